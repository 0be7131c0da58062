"""The compiled kernels, one for each equation of backpropagation.

Each function takes and returns NumPy arrays, float32 or float64, and runs the same loops as
training. It is compiled at its first call. A function and its file have the name of the
equation: ``from fastbp.kernels.loss import loss_rows`` imports from the file,
``fastbp.kernels.loss`` is the function.

Folders import only from those before them: support and tuning, compiler, simd, formulas, the
equations in this folder, net, forward_row, forward_batch and train_step.
"""

from . import compiler  # noqa: F401 - before Numba is imported
from .activation import activation, activation_derivative
from .dropout import dropout
from .forward_batch import forward_batch
from .forward_row import forward_row
from .hadamard import hadamard
from .loss import loss
from .matmul import matmul
from .outer import outer
from .peak import measure_peak
from .ramp_matmul import ramp_matmul
from .ramp_outer import ramp_outer
from .random import permutation, random_normal, random_uniform
from .sparse_matmul import sparse_matmul
from .sparse_outer import sparse_outer
from .train_step import train_step, train_steps
from .update import update

__all__ = [
    "activation",
    "activation_derivative",
    "dropout",
    "forward_batch",
    "forward_row",
    "hadamard",
    "loss",
    "matmul",
    "measure_peak",
    "outer",
    "permutation",
    "ramp_matmul",
    "ramp_outer",
    "random_normal",
    "random_uniform",
    "sparse_matmul",
    "sparse_outer",
    "train_step",
    "train_steps",
    "update",
]
