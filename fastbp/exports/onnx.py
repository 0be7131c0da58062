"""Networks, and models of tables with their preprocessing, as ONNX models."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotations import FilePath, FloatType
from ..ensemble import Ensemble
from ..kernels.formulas.losses import LOSSES
from ..network import Network
from ..quoted import quoted
from .network import as_network, described, is_table_model, needing, write

if TYPE_CHECKING:
    import onnx

    from ..tables.model import TableModel


def to_onnx(
    model: "Network | Ensemble | TableModel",
    path: FilePath | None = None,
    *,
    dtype: FloatType | None = None,
) -> "onnx.ModelProto":
    """Return a network, or the model of a table with its preprocessing, as an ONNX model.

    That of an ensemble computes the mean. A network has one input, "X" (n, n_in), and the outputs

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
    model : Network, Ensemble or TableModel
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
        raise ValueError(f'fastbp.to_onnx: dtype={quoted(dtype)}: expected "float32" or "float64"')
    source: Any = model
    is_table = is_table_model(model)
    given = source.network if is_table else source
    net = as_network("to_onnx", given, "model", several=True)
    with needing(("onnx",), "to_onnx needs onnx: python -m pip install 'fastbp[onnx]'"):
        from .onnx_graph import Graph
    graph = Graph()
    kind = np.dtype(dtype or net.dtype)
    if is_table:
        _add_table(graph, source.schema, net, kind)
    else:
        _add_network(graph, net, kind)
    proto = graph.model(f"{described(net)}; written by fastbp")
    if path is not None:
        write(path, proto.SerializeToString())
    return proto


def _add_network(graph, net, dtype):
    a = graph.forward("to_onnx", net, graph.input("X", dtype, net.layers[0].n_in))
    n_out = net.layers[-1].n_out
    graph.output(a, "outputs", n_out)
    targets = LOSSES[net.loss].targets
    if targets == "classes":
        graph.output(a.largest(), "label")
    elif targets == "unit":
        labels = a.node("Greater", 0.5).cast(np.int64)
        if n_out == 1:
            graph.output(labels.flat(), "label")
        else:
            graph.output(labels, "label", n_out)


def _add_table(graph, schema, net, dtype):
    from .onnx_tables import add_features

    _check_sizes(schema, net)
    a = graph.forward("to_onnx", net, add_features(graph, schema).cast(dtype))
    target = schema.target
    if schema.more_targets:
        _add_several(graph, schema, a)
        return
    if target.task == "regression":
        prediction = a.cast(np.float64) * target.scale + target.mean
        graph.output(prediction.flat(), "prediction")
        return
    if net.layers[-1].n_out == 1:
        a = a.two_columns()
    if target.kind == "integer":
        classes = graph.constant([int(c) for c in target.classes], np.int64)
    else:
        classes = graph.constant(target.classes, object)
    graph.output(classes.node("Gather", a.largest()), "label")
    graph.output(a, "probabilities", len(target.classes))


def _add_several(graph, schema, a):
    """Add the outputs of several targets: numbers, or probabilities and 0 or 1, (n, n_targets)."""
    targets = schema.targets
    if targets[0].task == "regression":
        if schema.quantiles:
            a = a.ascending(len(targets) // len(schema.target_names))
        scales, means = [t.scale for t in targets], [t.mean for t in targets]
        graph.output(a.cast(np.float64) * scales + means, "prediction", len(targets))
        return
    graph.output(a.node("Greater", 0.5).cast(np.int64), "label", len(targets))
    graph.output(a, "probabilities", len(targets))


def _check_sizes(schema, net):
    """Raise ValueError if a schema's features and classes do not fit the network."""
    outputs = {1} if schema.target.task == "regression" else {len(schema.target.classes)}
    if schema.more_targets:
        outputs = {schema.n_outputs}
    elif len(schema.target.classes) == 2:
        outputs.add(1)
    n_in = net.layers[0].n_in
    n_out = net.layers[-1].n_out
    if n_in != schema.n_features or n_out not in outputs:
        raise ValueError(
            f"fastbp.to_onnx: model.network has {n_in} inputs and {n_out} outputs; model.schema "
            f"has {schema.n_features} features and {schema.n_outputs} outputs"
        )
