"""An ONNX graph, written node by node; importing this module needs onnx.

All versions of onnxruntime have the operators in double precision as well, except Erf, which
computes in float32. They have Elu and the like in float32 only, so those are not used.
"""

from collections.abc import Callable
from functools import partialmethod
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, numpy_helper

from .. import __version__
from ..ensemble import Ensemble, members_of
from ..network import Network
from .trace import formula_of

# read by onnxruntime 1.16, the oldest version in the tests, and later ones
_OPSET, _ML_OPSET, _IR_VERSION = 17, 3, 8
_ML_OPERATORS = {"LabelEncoder"}
# of results that have another dtype than the first input
_BOOLEAN = {"Less", "LessOrEqual", "Greater", "GreaterOrEqual", "IsNaN"}
_INTEGER = {"ArgMax", "LabelEncoder", "Shape"}


class Graph:
    """Nodes and constants; inputs are added before them. `unique` makes a name from a stem."""

    def __init__(self, unique: Callable[[str], str] | None = None):
        self.nodes: list = []
        self.constants: list = []
        self._inputs: list = []
        self._outputs: list = []
        self._names: set[str] = set()
        self._unique = unique or self._own_unique

    def input(self, name: str, dtype: DTypeLike, columns: int) -> "Value":
        """Add an input (n, columns) of exactly this name."""
        self._names.add(name)
        self._inputs.append(_value_info(name, dtype, columns))
        return Value(self, dtype, name)

    def output(self, value: "Value", name: str, *shape: int) -> None:
        """Make a value (n, *shape) an output; "_" is appended to its name if an input has it."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        self.rename(value, name)
        self._outputs.append(_value_info(name, value.dtype, *shape))

    def rename(self, value: "Value", name: str) -> None:
        """Give a value a name that no other has."""
        self.nodes.append(helper.make_node("Identity", [value.name], [name], name=name))

    def node(self, kind: str, inputs: list[str], attributes: dict, outputs: int = 1) -> str:
        """Add a node; return the name of its result, or of the first of `outputs`."""
        name = self._unique(kind.lower())
        names = [name, *(self._unique(f"{kind.lower()}_other") for _ in range(1, outputs))]
        domain = "ai.onnx.ml" if kind in _ML_OPERATORS else None
        self.nodes.append(
            helper.make_node(kind, inputs, names, name=name, domain=domain, **attributes)
        )
        return name

    def constant(self, content: ArrayLike, dtype: DTypeLike) -> "Value":
        """Add an array; objects are strings."""
        array = np.asarray(content, dtype)
        name = self._unique("constant")
        self.constants.append(numpy_helper.from_array(array, name))
        return Value(self, array.dtype, name)

    def forward(self, export: str, net: Network | Ensemble, a: "Value") -> "Value":
        """Add the layers of a network for inputs (n, n_in); return their outputs (n, n_out).

        Of an ensemble it is the mean of the members' outputs.
        """
        first, *others = (self._of_one(export, member, a) for member in members_of(net))
        for each in others:
            first = first + each
        return first / (1 + len(others)) if others else first

    def _of_one(self, export, net, a):
        for layer, W, b in zip(net.layers, net.weights, net.biases, strict=True):
            z = a.node("MatMul", W)
            z = z + b if layer.bias else z
            if layer.activation in _ACTIVATIONS:
                a = _ACTIVATIONS[layer.activation](z)
            elif layer.activation == "ascending":
                a = _ascending(export, z, layer.n_out)
            else:
                a = _by_formula(export, layer.activation, float(layer.alpha), z)
        return a

    def model(self, description: str) -> onnx.ModelProto:
        """Return the graph as a ModelProto, checked by onnx."""
        model = helper.make_model(
            helper.make_graph(self.nodes, "fastbp", self._inputs, self._outputs, self.constants),
            producer_name="fastbp",
            producer_version=__version__,
            doc_string=description,
            ir_version=_IR_VERSION,
            opset_imports=[
                helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)
            ],
        )  # fmt: skip
        onnx.checker.check_model(model, full_check=True)
        return model

    def _own_unique(self, stem):
        name = stem
        n = 0
        while name in self._names:
            n += 1
            name = f"{stem}_{n}"
        self._names.add(name)
        return name


def _value_info(name, dtype, *shape):
    return helper.make_tensor_value_info(name, _tensor_type(dtype), ["n", *shape])


def _tensor_type(dtype: DTypeLike) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


class Value:
    """The result of a node of a graph; arithmetic with it adds nodes."""

    def __init__(self, graph: Graph, dtype: DTypeLike, name: str) -> None:
        self.graph = graph
        self.dtype = np.dtype(dtype)
        self.name = name

    def node(self, kind: str, *others: Any, **attributes: Any) -> "Value":
        """Add a node of this value and `others`, values or numbers; return its result."""
        inputs = [self, *(v if isinstance(v, Value) else self.constant(v) for v in others)]
        name = self.graph.node(kind, [value.name for value in inputs], attributes)
        dtype = inputs[1].dtype if kind == "Where" else self.dtype
        if kind in _BOOLEAN:
            dtype = np.dtype(bool)
        elif kind in _INTEGER:
            dtype = np.dtype(np.int64)
        return Value(self.graph, dtype, name)

    def constant(self, content: ArrayLike) -> "Value":
        """Add an array of the value's dtype."""
        return self.graph.constant(content, self.dtype)

    def cast(self, dtype: DTypeLike) -> "Value":
        """Convert to another dtype; return the value itself if it has that dtype."""
        if self.dtype == dtype:
            return self
        return Value(self.graph, dtype, self.node("Cast", to=_tensor_type(dtype)).name)

    def flat(self) -> "Value":
        """Return a value (n, 1) as (n,)."""
        return self.node("Reshape", self.graph.constant([-1], np.int64))

    def largest(self) -> "Value":
        """Return the place of the largest number of each row, int64 (n,)."""
        return self.node("ArgMax", axis=1, keepdims=0)

    def two_columns(self) -> "Value":
        """Return the probabilities (n, 2) of two classes from that of the second (n, 1)."""
        return (-self + 1).node("Concat", self, axis=1)

    def columns(self, start: int, stop: int) -> "Value":
        """Return the columns of a value from `start` to `stop`."""
        places = ([start], [stop], [1])
        return self.node("Slice", *(self.graph.constant(place, np.int64) for place in places))

    def ascending(self, count: int) -> "Value":
        """Return a value (n, k) whose columns ascend among each `count` of them."""
        groups = self.node("Reshape", self.graph.constant([-1, count], np.int64))
        inputs = [groups.name, self.graph.constant([count], np.int64).name]
        name = self.graph.node("TopK", inputs, {"axis": 1, "largest": 0}, outputs=2)
        shape = self.node("Shape").name
        return Value(self.graph, self.dtype, self.graph.node("Reshape", [name, shape], {}))

    __neg__ = partialmethod(node, "Neg")
    __add__ = partialmethod(node, "Add")
    __sub__ = partialmethod(node, "Sub")
    __mul__ = partialmethod(node, "Mul")
    __truediv__ = partialmethod(node, "Div")


# activations that ONNX has operators for
_ACTIVATIONS = {
    "relu": lambda z: z.node("Relu"),
    "logistic": lambda z: z.node("Sigmoid"),
    "silu": lambda z: z * z.node("Sigmoid"),
    "softmax": lambda z: z.node("Softmax", axis=1),
}


def _expm1(x):
    return (x * 0.5).node("Tanh") * (x.node("Exp") + 1)  # no cancellation near 0


def _log1p(x):
    # the rounding error of 1 + x cancels in the ratio (Goldberg, 1991, theorem 4)
    grown = x + 1
    rest = grown - 1
    return rest.node("Abs").node("Greater", 0).node("Where", x * grown.node("Log") / rest, x)


def _by_formula(export, activation, alpha, z):
    return formula_of(export, activation).evaluate(_OPERATIONS, z, alpha, z.constant)


def _ascending(export, z, count):
    m, axis = count // 2, z.graph.constant(1, np.int64)
    middle = z.columns(m, m + 1)
    gaps = [
        _by_formula(export, "softplus", 0.0, z.columns(*ends)) for ends in ((0, m), (m + 1, count))
    ]
    below = middle - gaps[0].node("CumSum", axis, reverse=1)
    return below.node("Concat", middle, middle + gaps[1].node("CumSum", axis), axis=1)


def _operator(kind):
    return lambda first, *others: first.node(kind, *others)


_KINDS = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "negative": "Neg",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "exp": "Exp",
    "log": "Log",
    "tanh": "Tanh",
    "sqrt": "Sqrt",
    "absolute": "Abs",
    "maximum": "Max",
    "minimum": "Min",
    "select": "Where",
}
_OPERATIONS = {
    **{name: _operator(kind) for name, kind in _KINDS.items()},
    "expm1": _expm1,
    "log1p": _log1p,
    "erf": lambda x: x.cast(np.float32).node("Erf").cast(x.dtype),
    "broadcast": lambda like, number: number.node("Expand", like.node("Shape")),
}
