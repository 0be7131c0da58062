"""Doctor, benchmark and warm-up."""
