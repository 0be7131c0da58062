"""Fitted estimators as ONNX models: converters that skl2onnx finds once they are registered.

Activations are written from operators that onnxruntime has in double precision as well, whatever
the version: it has Elu and its like in float32 only. Erf, which it has so too, has to serve both.
"""

from math import sqrt

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..kernels.activation import GELU_CUBIC, SELU_ALPHA, SELU_SCALE, SQRT_2_PI
from .classifier import MLPClassifier
from .regressor import MLPRegressor


def _code(dtype):
    """Return ONNX's number of a dtype."""
    from onnx.helper import np_dtype_to_tensor_dtype

    return np_dtype_to_tensor_dtype(np.dtype(dtype))


class _Value:
    """What a node of a graph gives; arithmetic with it adds nodes.

    Parameters
    ----------
    scope, container : skl2onnx's Scope and ModelComponentContainer
        They name what there is, and hold the nodes.
    dtype : numpy.dtype
        Of the value, and of the numbers that it meets.
    name : str
        Its name in the graph.
    """

    def __init__(self, scope, container, dtype, name):
        self._scope, self._container, self.dtype, self.name = scope, container, dtype, name

    def node(self, kind, *others, dtype=None, **attributes):
        """Add a node that takes this value and `others`, values or numbers; return its result."""
        inputs = [v.name if isinstance(v, _Value) else self.constant(v).name for v in others]
        name = self._scope.get_unique_variable_name(kind.lower())
        operator = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, [self.name, *inputs], name, name=operator, **attributes)
        return _Value(self._scope, self._container, dtype or self.dtype, name)

    def constant(self, array, dtype=None):
        """Add an array to the graph; one of objects holds strings."""
        array = np.asarray(array, dtype or self.dtype)
        name = self._scope.get_unique_variable_name("constant")
        content = [s.encode() for s in array] if array.dtype == object else array.ravel()
        self._container.add_initializer(name, _code(array.dtype), list(array.shape), content)
        return _Value(self._scope, self._container, array.dtype, name)

    def cast(self, dtype):
        """Convert to another type of numbers, unless it is the same."""
        if self.dtype == dtype:
            return self
        return self.node("Cast", dtype=np.dtype(dtype), to=_code(dtype))

    def to_output(self, variable):
        """Let this be one of the outputs of the operator that is converted."""
        operator = self._scope.get_unique_operator_name("Identity")
        self._container.add_node("Identity", self.name, variable.full_name, name=operator)

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


def _negative_expm1(z):
    """``exp(z) - 1`` where z < 0, else 0."""
    return z.node("Min", 0).node("Exp") - 1


def _clip(z, low, high):
    return z.node("Max", low).node("Min", high)


def _erf(z):
    return z.cast(np.float32).node("Erf").cast(z.dtype)


def _tanh_softplus(z):
    e = z.node("Min", 20).node("Exp")
    n = e * (e + 2)
    return n / (n + 2)


# the formulas of kernels/activation.py, by name: (z, alpha) -> a
_FORMULAS = {
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
    "hard_sigmoid": lambda z, alpha: _clip(z / 6 + 0.5, 0, 1),
    "hard_tanh": lambda z, alpha: _clip(z, -1, 1),
    "hard_swish": lambda z, alpha: z * _clip(z / 6 + 0.5, 0, 1),
    "exp": lambda z, alpha: z.node("Exp"),
    "softmax": lambda z, alpha: z.node("Softmax", axis=1),
}


def _outputs(scope, operator, container):
    """Write the net of an operator's estimator; return its outputs (n, n_out).

    They are computed in float64 if the inputs are float64, else in float32, whatever the net is.
    """
    from onnx.helper import tensor_dtype_to_np_dtype
    from skl2onnx.common.data_types import guess_proto_type

    estimator, given = operator.raw_operator, operator.inputs[0]
    dtype = tensor_dtype_to_np_dtype(guess_proto_type(given.type))
    a = _Value(scope, container, dtype, given.full_name)
    a = a.cast(np.float64 if dtype == np.float64 else np.float32)
    specs = estimator._run.network._engine.plan.specs
    for spec, W, b in zip(specs, estimator.coefs_, estimator.intercepts_, strict=True):
        a = _FORMULAS[spec.activation](a @ W + b, spec.alpha)
    return a


def _convert_regressor(scope, operator, container):
    _outputs(scope, operator, container).to_output(operator.outputs[0])


def _convert_classifier(scope, operator, container):
    from skl2onnx.common.utils_classifier import get_label_classes

    estimator, p = operator.raw_operator, _outputs(scope, operator, container)
    if estimator._kind() == "multilabel-indicator":
        labels = p.node("Greater", 0.5).cast(np.int64)
    else:
        classes = _exportable(get_label_classes(scope, estimator))
        if estimator.n_outputs_ == 1:
            p = (-p + 1).node("Concat", p, axis=1)
            classes = np.resize(classes, 2)  # a single class is both columns' label
        place = p.node("ArgMax", axis=1, keepdims=0)
        labels = p.constant(classes, classes.dtype).node("Gather", place)
    labels.to_output(operator.outputs[0])
    p.to_output(operator.outputs[1])


def _exportable(classes):
    """Return labels as int64, or as strings in an array of objects.

    Raises
    ------
    ValueError
        If they are numbers, and not whole.
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
    if operator.raw_operator._kind() == "multilabel-indicator":
        operator.outputs[0].type.shape = shape


def register_onnx():
    """Let skl2onnx convert fitted `MLPClassifier` and `MLPRegressor`, in pipelines too.

    Then ``skl2onnx.to_onnx(clf, X[:1])`` gives a model as it does for scikit-learn's own: with
    the label and the probabilities, and the options `zipmap`, `nocl` and `output_class_labels`.
    A regressor's output has the shape (n, n_outputs). To call it again does no harm.

    float64 inputs are computed in float64, all others in float32. Two things onnxruntime has in
    float32 only: the probabilities as dicts, so that float64 inputs need
    ``options={"zipmap": False}``; and the Erf of "gelu", of which 7 digits are right.

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
