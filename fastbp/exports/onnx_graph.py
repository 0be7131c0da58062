"""An ONNX graph as it is written, node by node."""

import onnx
from onnx import helper, numpy_helper

from .. import __version__
from .onnx_values import Value, tensor_type

# onnxruntime 1.16, the oldest that is tested with, and all later ones read these
_OPSET, _ML_OPSET, _IR_VERSION = 17, 3, 8
_ML_OPERATORS = {"LabelEncoder"}


class Graph:
    """What a `Value` adds to; inputs come first, then nodes, then outputs, then `model`."""

    def __init__(self):
        self._nodes, self._constants, self._inputs, self._outputs = [], [], [], []
        self._names = set()

    def input(self, name, dtype, columns):
        """Add an input (n, columns) of exactly this name; return its `Value`."""
        self._names.add(name)
        self._inputs.append(helper.make_tensor_value_info(name, tensor_type(dtype), ["n", columns]))
        return Value(self, dtype, name)

    def output(self, value, name, *shape):
        """Let a value (n, *shape) be an output; "_" follows its name if an input has that."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        self._nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
        self._outputs.append(
            helper.make_tensor_value_info(name, tensor_type(value.dtype), ["n", *shape])
        )

    def node(self, kind, inputs, attributes):
        """Add a node with one result; return the name of that."""
        name, domain = self._free(kind.lower()), "ai.onnx.ml" if kind in _ML_OPERATORS else None
        self._nodes.append(
            helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes)
        )
        return name

    def constant(self, array):
        """Add an array, one of objects as strings; return its name."""
        name = self._free("constant")
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def model(self, description):
        """Return the graph as a ModelProto that onnx has checked."""
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
        name, n = stem, 0
        while name in self._names:
            n += 1
            name = f"{stem}_{n}"
        self._names.add(name)
        return name
