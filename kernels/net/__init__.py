"""The passes over a whole network, and the loops over mini-batches."""
