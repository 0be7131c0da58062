"""Fitted estimators as ONNX models: converters to register in skl2onnx."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..estimators.classifier import MLPClassifier
from ..estimators.regressor import MLPRegressor
from ..quoted import quoted
from .network import as_network, needing


def _outputs(scope, operator):
    """Return the outputs (n, n_out) of an operator's estimator, a value of a new graph.

    They are computed in float64 if the inputs are float64, else in float32, for any dtype of the
    network.
    """
    from onnx.helper import tensor_dtype_to_np_dtype
    from skl2onnx.common.data_types import guess_proto_type

    from .onnx_graph import Graph, Value

    given = operator.inputs[0]
    dtype = tensor_dtype_to_np_dtype(guess_proto_type(given.type))
    graph = Graph(scope.get_unique_variable_name)
    X = Value(graph, dtype, given.full_name)
    X = X.cast(np.float64 if dtype == np.float64 else np.float32)
    network = as_network("register_onnx", operator.raw_operator.network_, "network_")
    return graph.forward("register_onnx", network, X)


def _finish(container, operator, *outputs):
    """Make values the outputs of an operator, and add their graph to skl2onnx's container."""
    from onnx.helper import get_attribute_value

    graph = outputs[0].graph
    for value, variable in zip(outputs, operator.outputs, strict=True):
        graph.rename(value, variable.full_name)
    container.initializers.extend(graph.constants)
    for node in graph.nodes:
        attributes = {a.name: get_attribute_value(a) for a in node.attribute}
        results = list(node.output)
        container.add_node(node.op_type, list(node.input), results, name=node.name, **attributes)


def _convert_regressor(scope, operator, container):
    _finish(container, operator, _outputs(scope, operator))


def _convert_classifier(scope, operator, container):
    from skl2onnx.common.utils_classifier import get_label_classes

    estimator = operator.raw_operator
    p = _outputs(scope, operator)
    if _is_multilabel(estimator):
        labels = p.node("Greater", 0.5).cast(np.int64)
    else:
        classes = _exportable(get_label_classes(scope, estimator))
        if estimator.n_outputs_ == 1:
            p = p.two_columns()
            classes = np.resize(classes, 2)  # a single class is both columns' label
        labels = p.graph.constant(classes, classes.dtype).node("Gather", p.largest())
    _finish(container, operator, labels, p)


def _is_multilabel(classifier):
    """Return whether each output is a label of its own, and not one of several classes."""
    return classifier.out_activation_ == "logistic" and classifier.n_outputs_ > 1


def _exportable(classes):
    """Return labels as int64, or as strings in an array of objects; refuse other numbers."""
    if isinstance(classes[0], str):
        return classes.astype(object)
    whole = classes.astype(np.int64)
    if not np.array_equal(whole, classes):
        raise ValueError(
            f"classes_={quoted(classes)}: ONNX has labels that are whole numbers or strings"
        )
    return whole


def _set_shapes(operator):
    from skl2onnx.common import shape_calculator

    estimator = operator.raw_operator
    check_is_fitted(estimator)
    rows = operator.inputs[0].get_first_dimension()
    if isinstance(estimator, MLPRegressor):
        shape_calculator.calculate_linear_regressor_output_shapes(operator)
        operator.outputs[0].type.shape = [rows, estimator.n_outputs_]
        return
    shape_calculator.calculate_linear_classifier_output_shapes(operator)
    operator.outputs[1].type.shape = [rows, max(2, estimator.n_outputs_)]
    if _is_multilabel(estimator):
        operator.outputs[0].type.shape = operator.outputs[1].type.shape


def register_onnx() -> None:
    """Let skl2onnx convert fitted `MLPClassifier` and `MLPRegressor`, in pipelines too.

    Then ``skl2onnx.to_onnx(clf, X[:1])`` returns a model as for scikit-learn's estimators: with
    the label and the probabilities, and the options `zipmap`, `nocl` and `output_class_labels`.
    A regressor's output has the shape (n, n_outputs). Calling it again has no effect.

    float64 inputs are computed in float64, all others in float32. onnxruntime has two things in
    float32 only: probabilities as dicts, so that float64 inputs need
    ``options={"zipmap": False}``; and the Erf of "gelu", which has 7 correct digits.

    Raises
    ------
    ModuleNotFoundError
        If skl2onnx is not installed.

    References
    ----------
    The operators: https://onnx.ai/onnx/operators/
    """
    message = 'register_onnx needs skl2onnx: python -m pip install "fastbp[onnx]"'
    with needing(("skl2onnx", "onnx"), message):
        from skl2onnx import update_registered_converter

    update_registered_converter(
        MLPClassifier,
        "FastbpMLPClassifier",
        _set_shapes,
        _convert_classifier,
        options={
            "zipmap": [True, False, "columns"],
            "output_class_labels": [False, True],
            "nocl": [True, False],
        },
    )
    update_registered_converter(MLPRegressor, "FastbpMLPRegressor", _set_shapes, _convert_regressor)
