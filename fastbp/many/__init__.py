"""Many models in one call, one on each core."""
