"""Networks, and models of tables with their preprocessing, as ONNX models."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotations import FilePath, FloatType
from ..network import Network
from .network import Layer, described, is_table_model, layers_of, write
from .onnx_values import Value, activate

if TYPE_CHECKING:
    import onnx

    from ..tables.model import TableModel


def to_onnx(
    model: "Network | TableModel", path: FilePath | None = None, *, dtype: FloatType | None = None
) -> "onnx.ModelProto":
    """Return a network, or the model of a table with its preprocessing, as an ONNX model.

    A network has one input, "X" (n, n_in), and the outputs

    - "outputs" (n, n_out): those of ``net.forward``, with dropout inactive
    - "label": those of ``net.predict``, int64: the class (n,) for the loss "cross_entropy"; 0 or
      1 for "binary_cross_entropy", (n,) for one output and (n, n_out) for several; other losses
      have none

    A model of a table has an input (n, 1) for each of its columns, by their names:

    - numbers: float64; dates: float64, seconds since 1970-01-01 UTC; booleans: float64, 0 or 1;
      NaN where a value is missing
    - categories: strings, "" where a value is missing. Words that mean a missing value in a
      table, such as "NA", are unknown categories here, and so are categories with spaces around
      them, which reading a table strips

    and the outputs

    - "label" (n,): the class, int64 if the classes are integers, else strings ("false" and
      "true" for booleans); and "probabilities" (n, n_classes), in the order of the schema
    - "prediction" (n,), if the target is a number: float64, in the units of the table

    If a column has the name of an output, the output is called "label_" or the like; the order
    of the outputs is as above. Columns are encoded in float64, as `TableModel.predict` does.

    Parameters
    ----------
    model : Network or TableModel
        The model; it is not changed.
    path : str or path, optional
        Where to write it, atomically.
    dtype : {"float32", "float64"}, optional
        The dtype of the network, and of its inputs and outputs if it is not the model of a
        table; default: its own.

    Returns
    -------
    onnx.ModelProto
        Checked by onnx; of opset 17 (and 3 of ai.onnx.ml). onnxruntime has its operators in both
        dtypes, except Erf, for the activation "gelu", which has 7 correct digits in float64 too.

    Raises
    ------
    TypeError
        If `model` has another type.
    ValueError
        If `dtype` is not one of these, weights are not finite, an activation cannot be written
        in ONNX, or a column has no name.
    OSError
        If `path` cannot be written.
    ModuleNotFoundError
        If onnx is not installed.

    References
    ----------
    The operators: https://onnx.ai/onnx/operators/

    Examples
    --------
    >>> import fastbp
    >>> net = fastbp.Network([4, 8, 3], loss="cross_entropy")
    >>> [output.name for output in fastbp.to_onnx(net).graph.output]
    ['outputs', 'label']
    """
    if dtype not in (None, "float32", "float64", np.float32, np.float64):
        raise ValueError(f'fastbp.to_onnx: dtype={dtype!r}: expected "float32" or "float64"')
    source: Any = model
    schema = source.schema if is_table_model(model) else None
    net = source if schema is None else source.network
    layers = layers_of("to_onnx", net, "model")
    kind = np.dtype(dtype or net.dtype)
    graph = _new_graph()
    if schema is None:
        _add_network(graph, net.loss, layers, kind)
    else:
        _add_table(graph, schema, layers, kind)
    proto = graph.model(f"A multilayer perceptron of fastbp: {described(layers)}")
    write(path, proto.SerializeToString() if path is not None else None)
    return proto


def _new_graph():
    try:
        from .onnx_graph import Graph
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ModuleNotFoundError(
            "fastbp.to_onnx needs onnx: python -m pip install 'fastbp[onnx]'", name="onnx"
        ) from error
    return Graph()


def _add_network(graph, loss, layers, dtype):
    n_out = layers[-1].n_out
    a = _forward(graph.input("X", dtype, layers[0].n_in), layers)
    graph.output(a, "outputs", n_out)
    if loss == "cross_entropy":
        graph.output(a.node("ArgMax", dtype=np.int64, axis=1, keepdims=0), "label")
    elif loss == "binary_cross_entropy":
        labels = a.node("Greater", 0.5, dtype=np.bool_).cast(np.int64)
        graph.output(*((_flat(labels), "label") if n_out == 1 else (labels, "label", n_out)))


def _add_table(graph, schema, layers, dtype):
    from .onnx_tables import add_features

    _check_sizes(schema, layers)
    a = _forward(add_features(graph, schema).cast(dtype), layers)
    target = schema.target
    if target.task == "regression":
        graph.output(_flat(a.cast(np.float64) * target.scale + target.mean), "prediction")
        return
    if layers[-1].n_out == 1:  # the probability of the second of two classes
        a = (-a + 1).node("Concat", a, axis=1)
    kind = np.int64 if target.kind == "integer" else object
    classes = np.array([int(c) if target.kind == "integer" else c for c in target.classes], kind)
    place = a.node("ArgMax", dtype=np.int64, axis=1, keepdims=0)
    graph.output(a.constant(classes, kind).node("Gather", place), "label")
    graph.output(a, "probabilities", len(classes))


def _check_sizes(schema, layers):
    """Raise ValueError if a schema's features and classes do not fit the layers."""
    outputs = {1} if schema.target.task == "regression" else {len(schema.target.classes)}
    if len(schema.target.classes) == 2:
        outputs.add(1)
    n_in, n_out = layers[0].n_in, layers[-1].n_out
    if n_in != schema.n_features or n_out not in outputs:
        raise ValueError(
            f"fastbp.to_onnx: model.network has {n_in} inputs and {n_out} outputs; model.schema "
            f"has {schema.n_features} features and {len(schema.target.classes) or 1} outputs"
        )


def _forward(a: Value, layers: list[Layer]) -> Value:
    """Add the layers; return their output (n, n_out)."""
    for layer in layers:
        z = a @ a.constant(layer.weights)
        z = z if layer.biases is None else z + layer.biases
        a = activate("to_onnx", layer.activation, z, layer.alpha)
    return a


def _flat(value: Value) -> Value:
    """Return a value (n, 1) as (n,)."""
    return value.node("Reshape", value.constant([-1], np.int64))
