"""Scripts for processes of their own that compile kernels."""

# counts what Numba compiles; a kernel from the cache is not compiled
COUNT = """
from numba.core import event
class Compilations(event.Listener):
    count = 0
    def on_start(self, event): Compilations.count += 1
    def on_end(self, event): pass
event.register("numba:compile", Compilations())
"""

# a kernel that compiles in a moment
FILL = """
import numpy as np
from fastbp.kernels.random import fill_uniform
out = np.empty(5)
fill_uniform.serial(3, 1, 0, out)
assert ((out >= 0) & (out < 1)).all() and len(set(out)) == 5
"""
