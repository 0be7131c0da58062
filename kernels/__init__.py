"""The compiled kernels, one for each line of backpropagation's mathematics.

Every function takes and gives NumPy arrays, float32 or float64, around the loops
that training runs. Nothing is compiled before it is first called. A function has
the name of its equation, as its file has: ``from fastbp.kernels.loss import LOSSES``
reaches the file, ``fastbp.kernels.formulas.losses`` is the function.
"""

from .activation import activation, activation_derivative
from .dropout import dropout
from .forward_row import forward_row
from .hadamard import hadamard
from .loss import loss
from .matmul import matmul
from .outer import outer
from .peak import measure_peak
from .random import permutation, random_normal, random_uniform
from .sparse_matmul import sparse_matmul
from .sparse_outer import sparse_outer
from .update import update

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
