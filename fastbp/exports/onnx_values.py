"""Values of an ONNX graph, with arithmetic and activations that add nodes to it.

All versions of onnxruntime have the operators in double precision as well, except Erf, which
computes in float32. They have Elu and the like in float32 only, so those are not used.
"""

import operator

import numpy as np

from .trace import formula_of


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


def activate(export, activation, z, alpha):
    """Add the activation of a layer to the graph of z (n, n_out); return its output.

    Raises
    ------
    ValueError
        If its formula has an operation that ONNX has no translation for; the message names the
        activation and `export`.
    """
    if activation == "softmax":
        return z.node("Softmax", axis=1)
    inputs = {"z": z, "alpha": float(alpha)}
    return formula_of(export, activation).evaluate(_OPERATIONS, inputs, z.constant)


def _expm1(x):
    return (x * 0.5).node("Tanh") * (x.node("Exp") + 1)  # no cancellation near 0


def _log1p(x):
    # the rounding error of 1 + x cancels in the ratio (Goldberg, 1991, theorem 4)
    grown = x + 1
    rest = grown - 1
    return _comparison("Greater")(rest.node("Abs"), 0).node(
        "Where", x * grown.node("Log") / rest, x, dtype=x.dtype
    )


def _erf(x):
    return x.cast(np.float32).node("Erf").cast(x.dtype)


def _comparison(kind):
    return lambda a, b: a.node(kind, b, dtype=np.bool_)


def _broadcast(like, number):
    return number.node("Expand", like.node("Shape", dtype=np.int64))


def _operator(kind):
    return lambda *values: values[0].node(kind, *values[1:])


_OPERATIONS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "lt": _comparison("Less"),
    "le": _comparison("LessOrEqual"),
    "gt": _comparison("Greater"),
    "ge": _comparison("GreaterOrEqual"),
    "exp": _operator("Exp"),
    "expm1": _expm1,
    "log": _operator("Log"),
    "log1p": _log1p,
    "tanh": _operator("Tanh"),
    "erf": _erf,
    "sqrt": _operator("Sqrt"),
    "absolute": _operator("Abs"),
    "maximum": _operator("Max"),
    "minimum": _operator("Min"),
    "select": lambda mask, a, b: mask.node("Where", a, b, dtype=a.dtype),
    "broadcast": _broadcast,
    "relu": _operator("Relu"),
    "logistic": _operator("Sigmoid"),
}
