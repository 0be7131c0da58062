"""Sizes and costs that speed depends on, each with the cache or the measurement it comes from."""

CACHE_LINE = 64  # bytes; also the widest vector
