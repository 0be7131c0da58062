"""Networks in the form of other houses, and theirs as networks."""
