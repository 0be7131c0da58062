"""Scripts for processes of their own that compile kernels."""

# a kernel that compiles in a moment
FILL = """
import numpy as np
from fastbp.kernels.random import fill_uniform
out = np.empty(5)
fill_uniform.serial(3, 1, 0, out)
assert ((out >= 0) & (out < 1)).all() and len(set(out)) == 5
"""
