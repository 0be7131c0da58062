"""Values of an ONNX graph, with arithmetic and activations that add nodes to it.

All versions of onnxruntime have the operators in double precision as well, except Erf, which
computes in float32. They have Elu and the like in float32 only, so those are not used.
"""

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .trace import formula_of


def tensor_type(dtype: DTypeLike) -> int:
    """Return ONNX's number of a dtype; objects are strings."""
    from onnx.helper import np_dtype_to_tensor_dtype

    return np_dtype_to_tensor_dtype(np.dtype(dtype))


class Value:
    """The result of a node of a graph; arithmetic with it adds nodes.

    Parameters
    ----------
    writer : object
        Has the graph: ``node(kind, inputs, attributes)`` and ``constant(array)`` add to it and
        return the name of the result.
    dtype : dtype
        The dtype of the value, and of numbers in operations with it.
    name : str
        Its name in the graph.
    """

    def __init__(self, writer: Any, dtype: DTypeLike, name: str) -> None:
        self._writer = writer
        self.dtype = np.dtype(dtype)
        self.name = name

    def node(
        self, kind: str, *others: Any, dtype: DTypeLike | None = None, **attributes: Any
    ) -> "Value":
        """Add a node of this value and `others`, values or numbers; return its result."""
        inputs = [v.name if isinstance(v, Value) else self.constant(v).name for v in others]
        name = self._writer.node(kind, [self.name, *inputs], attributes)
        return Value(self._writer, dtype or self.dtype, name)

    def constant(self, array: ArrayLike, dtype: DTypeLike | None = None) -> "Value":
        """Add an array to the graph; objects are strings."""
        content = np.asarray(array, dtype or self.dtype)
        return Value(self._writer, content.dtype, self._writer.constant(content))

    def cast(self, dtype: DTypeLike) -> "Value":
        """Convert to another dtype; return the value itself if it has that dtype."""
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


def clip(z: Value, low: float, high: float) -> Value:
    """Add ``min(max(z, low), high)``."""
    return z.node("Max", low).node("Min", high)


def activate(export: str, activation: str, z: Value, alpha: float) -> Value:
    """Add the activation of a layer to the graph of z (n, n_out); return its output.

    Raises
    ------
    ValueError
        If the formula cannot be exported; the message names the activation and `export`.
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
