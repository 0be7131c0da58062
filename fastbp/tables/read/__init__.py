"""Tables from files and frames, in batches of bounded memory."""
