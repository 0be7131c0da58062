"""SIMD vectors, register tiles, and the loops around them."""
