"""Predictions, scores and records of a table's model."""
