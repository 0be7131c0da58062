"""The compiled kernels, one for each line of backpropagation's mathematics.

Every function takes and gives NumPy arrays, float32 or float64, around the loops
that training runs. Nothing is compiled before it is first called. A function has
the name of its equation, as its file has: ``from fastbp.kernels.loss import LOSSES``
reaches the file, ``fastbp.kernels.loss`` is the function.
"""

from .apply import activation, activation_derivative
from .delta import loss
from .hadamard import hadamard
from .loop import forward_row
from .matmul import matmul
from .optimizer import update
from .outer import outer
from .peak import measure_peak
from .random import dropout, permutation, random_normal, random_uniform
from .sparse import sparse_matmul, sparse_outer

__all__ = [
    "activation",
    "activation_derivative",
    "dropout",
    "forward_row",
    "hadamard",
    "loss",
    "matmul",
    "measure_peak",
    "outer",
    "permutation",
    "random_normal",
    "random_uniform",
    "sparse_matmul",
    "sparse_outer",
    "update",
]
