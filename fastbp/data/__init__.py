"""Sources of samples larger than memory."""
