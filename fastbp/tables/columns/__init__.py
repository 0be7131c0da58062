"""Columns by kind, the target, and the schema that encodes them."""
