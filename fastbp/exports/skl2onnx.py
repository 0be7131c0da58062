"""Fitted estimators as ONNX models: converters to register in skl2onnx."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..estimators.classifier import MLPClassifier
from ..estimators.regressor import MLPRegressor
from .onnx_values import Value, activate, tensor_type


class _Writer:
    """The writer of `Value` on skl2onnx's Scope and ModelComponentContainer."""

    def __init__(self, scope, container):
        self._scope, self._container = scope, container

    def node(self, kind, inputs, attributes):
        name = self._scope.get_unique_variable_name(kind.lower())
        operator = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, inputs, name, name=operator, **attributes)
        return name

    def constant(self, array):
        name = self._scope.get_unique_variable_name("constant")
        content = [s.encode() for s in array] if array.dtype == object else array.ravel()
        self._container.add_initializer(name, tensor_type(array.dtype), list(array.shape), content)
        return name

    def output(self, value, variable):
        """Make a value an output of the operator that is converted."""
        operator = self._scope.get_unique_operator_name("Identity")
        self._container.add_node("Identity", value.name, variable.full_name, name=operator)


def _outputs(writer, operator):
    """Write the network of an operator's estimator; return its outputs (n, n_out).

    They are computed in float64 if the inputs are float64, else in float32, for any dtype of the
    network.
    """
    from onnx.helper import tensor_dtype_to_np_dtype
    from skl2onnx.common.data_types import guess_proto_type

    estimator, given = operator.raw_operator, operator.inputs[0]
    dtype = tensor_dtype_to_np_dtype(guess_proto_type(given.type))
    a = Value(writer, dtype, given.full_name)
    a = a.cast(np.float64 if dtype == np.float64 else np.float32)
    specs = estimator.network_.layers
    for spec, W, b in zip(specs, estimator.coefs_, estimator.intercepts_, strict=True):
        a = activate("register_onnx", spec.activation, a @ W + b, spec.alpha)
    return a


def _convert_regressor(scope, operator, container):
    writer = _Writer(scope, container)
    writer.output(_outputs(writer, operator), operator.outputs[0])


def _convert_classifier(scope, operator, container):
    from skl2onnx.common.utils_classifier import get_label_classes

    estimator, writer = operator.raw_operator, _Writer(scope, container)
    p = _outputs(writer, operator)
    if _is_multilabel(estimator):
        labels = p.node("Greater", 0.5).cast(np.int64)
    else:
        classes = _exportable(get_label_classes(scope, estimator))
        if estimator.n_outputs_ == 1:
            p = (-p + 1).node("Concat", p, axis=1)
            classes = np.resize(classes, 2)  # a single class is both columns' label
        place = p.node("ArgMax", axis=1, keepdims=0)
        labels = p.constant(classes, classes.dtype).node("Gather", place)
    writer.output(labels, operator.outputs[0])
    writer.output(p, operator.outputs[1])


def _is_multilabel(classifier):
    """Return whether each output is a label of its own, and not one of several classes."""
    return classifier.out_activation_ == "logistic" and classifier.n_outputs_ > 1


def _exportable(classes):
    """Return labels as int64, or as strings in an array of objects.

    Raises
    ------
    ValueError
        If they are numbers that are not integers.
    """
    if isinstance(classes[0], str):
        return classes.astype(object)
    whole = classes.astype(np.int64)
    if not np.array_equal(whole, classes):
        raise ValueError(f"classes_={classes!r}: ONNX has labels that are whole numbers or strings")
    return whole


def _set_regressor_shapes(operator):
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes

    check_is_fitted(operator.raw_operator)
    calculate_linear_regressor_output_shapes(operator)
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [rows, operator.raw_operator.n_outputs_]


def _set_classifier_shapes(operator):
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    check_is_fitted(operator.raw_operator)
    calculate_linear_classifier_output_shapes(operator)
    rows = operator.inputs[0].get_first_dimension()
    shape = [rows, max(2, operator.raw_operator.n_outputs_)]
    operator.outputs[1].type.shape = shape
    if _is_multilabel(operator.raw_operator):
        operator.outputs[0].type.shape = shape


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
    try:
        from skl2onnx import update_registered_converter
    except ModuleNotFoundError as error:
        if error.name not in ("skl2onnx", "onnx"):
            raise
        raise ModuleNotFoundError(
            'fastbp.register_onnx needs skl2onnx: python -m pip install "fastbp[onnx]"',
            name=error.name,
        ) from error

    update_registered_converter(
        MLPClassifier,
        "FastbpMLPClassifier",
        _set_classifier_shapes,
        _convert_classifier,
        options={
            "zipmap": [True, False, "columns"],
            "output_class_labels": [False, True],
            "nocl": [True, False],
        },
    )
    update_registered_converter(
        MLPRegressor, "FastbpMLPRegressor", _set_regressor_shapes, _convert_regressor
    )
