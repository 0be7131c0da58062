"""Vectors, register tiles and the loops around them."""
