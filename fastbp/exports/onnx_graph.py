"""An ONNX graph, written node by node."""

import onnx
from numpy.typing import DTypeLike
from onnx import helper, numpy_helper

from .. import __version__
from ..annotations import Array
from .onnx_values import Value, tensor_type

# read by onnxruntime 1.16, the oldest version in the tests, and later ones
_OPSET, _ML_OPSET, _IR_VERSION = 17, 3, 8
_ML_OPERATORS = {"LabelEncoder"}


class Graph:
    """The writer of `Value`: inputs are added first, then nodes and outputs."""

    def __init__(self):
        self._nodes: list = []
        self._constants: list = []
        self._inputs: list = []
        self._outputs: list = []
        self._names: set[str] = set()

    def input(self, name: str, dtype: DTypeLike, columns: int) -> Value:
        """Add an input (n, columns) of exactly this name."""
        self._names.add(name)
        self._inputs.append(helper.make_tensor_value_info(name, tensor_type(dtype), ["n", columns]))
        return Value(self, dtype, name)

    def output(self, value: Value, name: str, *shape: int) -> None:
        """Make a value (n, *shape) an output; "_" is appended to its name if an input has it."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        self._nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
        self._outputs.append(
            helper.make_tensor_value_info(name, tensor_type(value.dtype), ["n", *shape])
        )

    def node(self, kind: str, inputs: list[str], attributes: dict) -> str:
        """Add a node with one result; return its name."""
        name = self._free(kind.lower())
        domain = "ai.onnx.ml" if kind in _ML_OPERATORS else None
        self._nodes.append(
            helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes)
        )
        return name

    def constant(self, array: Array) -> str:
        """Add an array, one of objects as strings; return its name."""
        name = self._free("constant")
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def model(self, description: str) -> onnx.ModelProto:
        """Return the graph as a ModelProto, checked by onnx."""
        graph = helper.make_graph(
            self._nodes, "fastbp", self._inputs, self._outputs, self._constants
        )
        model = helper.make_model(
            graph,
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

    def _free(self, stem):
        name = stem
        n = 0
        while name in self._names:
            n += 1
            name = f"{stem}_{n}"
        self._names.add(name)
        return name
