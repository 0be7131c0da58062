"""The activations as nodes of an ONNX graph, whoever writes the graph.

They are written from operators that onnxruntime has in double precision as well, whatever the
version: it has Elu and its like in float32 only. Erf, which it has so too, has to serve both.
"""

from math import sqrt

import numpy as np

from ..kernels.formulas.activations import GELU_CUBIC, SELU_ALPHA, SELU_SCALE, SQRT_2_PI


def tensor_type(dtype):
    """Return ONNX's number of a dtype; that of objects is that of strings."""
    from onnx.helper import np_dtype_to_tensor_dtype

    return np_dtype_to_tensor_dtype(np.dtype(dtype))


class Value:
    """What a node of a graph gives; arithmetic with it adds nodes.

    Parameters
    ----------
    writer : object
        Holds the graph: ``node(kind, inputs, attributes)`` and ``constant(array)`` add to it and
        return the name of what they have added.
    dtype : numpy.dtype
        Of the value, and of the numbers that it meets.
    name : str
        Its name in the graph.
    """

    def __init__(self, writer, dtype, name):
        self._writer, self.dtype, self.name = writer, np.dtype(dtype), name

    def node(self, kind, *others, dtype=None, **attributes):
        """Add a node that takes this value and `others`, values or numbers; return its result."""
        inputs = [v.name if isinstance(v, Value) else self.constant(v).name for v in others]
        name = self._writer.node(kind, [self.name, *inputs], attributes)
        return Value(self._writer, dtype or self.dtype, name)

    def constant(self, array, dtype=None):
        """Add an array to the graph; one of objects holds strings."""
        array = np.asarray(array, dtype or self.dtype)
        return Value(self._writer, array.dtype, self._writer.constant(array))

    def cast(self, dtype):
        """Convert to another type of numbers, unless it is the same."""
        if self.dtype == dtype:
            return self
        return self.node("Cast", dtype=np.dtype(dtype), to=tensor_type(dtype))

    def __neg__(self):
        return self.node("Neg")

    def __add__(self, other):
        return self.node("Add", other)

    def __sub__(self, other):
        return self.node("Sub", other)

    def __mul__(self, other):
        return self.node("Mul", other)

    def __truediv__(self, other):
        return self.node("Div", other)

    def __matmul__(self, other):
        return self.node("MatMul", other)


def clip(z, low, high):
    """Add ``min(max(z, low), high)``."""
    return z.node("Max", low).node("Min", high)


def _negative_expm1(z):
    """``exp(z) - 1`` where z < 0, else 0."""
    return z.node("Min", 0).node("Exp") - 1


def _erf(z):
    return z.cast(np.float32).node("Erf").cast(z.dtype)


def _tanh_softplus(z):
    e = z.node("Min", 20).node("Exp")
    n = e * (e + 2)
    return n / (n + 2)


# the formulas of kernels/activation.py, by name: (z, alpha) -> a
FORMULAS = {
    "identity": lambda z, alpha: z,
    "logistic": lambda z, alpha: z.node("Sigmoid"),
    "tanh": lambda z, alpha: z.node("Tanh"),
    "relu": lambda z, alpha: z.node("Relu"),
    "leaky_relu": lambda z, alpha: z.node("Relu") + z.node("Min", 0) * alpha,
    "elu": lambda z, alpha: z.node("Relu") + _negative_expm1(z) * alpha,
    "selu": lambda z, alpha: (z.node("Relu") + _negative_expm1(z) * SELU_ALPHA) * SELU_SCALE,
    "gelu": lambda z, alpha: z * 0.5 * (_erf(z / sqrt(2)) + 1),
    "gelu_tanh": lambda z, alpha: (
        z * 0.5 * (((z + z * z * z * GELU_CUBIC) * SQRT_2_PI).node("Tanh") + 1)
    ),
    "silu": lambda z, alpha: z * z.node("Sigmoid"),
    "softplus": lambda z, alpha: z.node("Relu") + ((-z.node("Abs")).node("Exp") + 1).node("Log"),
    "mish": lambda z, alpha: z * _tanh_softplus(z),
    "hard_sigmoid": lambda z, alpha: clip(z / 6 + 0.5, 0, 1),
    "hard_tanh": lambda z, alpha: clip(z, -1, 1),
    "hard_swish": lambda z, alpha: z * clip(z / 6 + 0.5, 0, 1),
    "exp": lambda z, alpha: z.node("Exp"),
    "softmax": lambda z, alpha: z.node("Softmax", axis=1),
}
