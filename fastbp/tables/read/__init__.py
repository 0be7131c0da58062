"""Tables from files and frames, read as frames of bounded size."""
