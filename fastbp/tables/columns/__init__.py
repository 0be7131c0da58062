"""What columns hold: kinds, statistics, targets, and their encoding."""
