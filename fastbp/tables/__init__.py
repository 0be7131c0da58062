"""Tables: from a file of rows to a network that reads them, and back to scored rows."""
