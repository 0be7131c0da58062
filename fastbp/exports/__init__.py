"""Networks in the form of other libraries, and their networks as ours."""
