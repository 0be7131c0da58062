"""Estimators as ONNX models: onnxruntime predicts what they predict."""

import sys

import numpy as np
import pytest

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

import onnxruntime as ort
from skl2onnx import to_onnx
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import ACTIVATIONS, MLPClassifier, MLPRegressor
from fastbp.exports.skl2onnx import register_onnx

rng = np.random.default_rng(3)
X = rng.normal(size=(150, 6))
BINARY = (X[:, 0] > 0.2).astype(int)
THREE = BINARY + (X[:, 1] > 0)
MANY = np.c_[BINARY, 1 - BINARY, THREE > 1]
NAMES = np.array(["no", "yes", "naïve"])
FEW = {"hidden_layer_sizes": (8, 7), "max_iter": 20, "learning_rate_init": 0.01, "random_state": 0}
TARGETS = {
    "binary": BINARY,
    "binary strings": NAMES[BINARY],
    "booleans": BINARY.astype(bool),
    "floats": 2.0 * BINARY - 1,
    "multiclass": THREE - 1,
    "bytes of integers": THREE.astype(np.uint8),
    "strings": NAMES[THREE],
    "objects": NAMES.astype(object)[THREE],
    "multilabel": MANY,
    "two labels": MANY[:, :2],
}
HIDDEN = [name for name in ACTIVATIONS if not ACTIVATIONS[name].of_rows]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both_dtypes = pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-12)])


@pytest.fixture(scope="module", autouse=True)
def registered():
    register_onnx()


def session_of(estimator, X, options=None, **more):
    options = {id(estimator): options} if options else None
    model = to_onnx(estimator, X[:1], options=options, **more)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(session, X):
    """The outputs by name; each has the type and the shape that the model promises."""
    outputs = session.run(None, {session.get_inputs()[0].name: X})
    promised = session.get_outputs()
    for output, value in zip(promised, outputs, strict=True):
        if output.type.startswith("tensor"):
            assert len(output.shape) == value.ndim
            assert all(a in (None, b) for a, b in zip(output.shape, value.shape, strict=True))
    return dict(zip([output.name for output in promised], outputs, strict=True))


def check_classifier(clf, X, tolerance, options=None, **more):
    found = run(session_of(clf, X, options or {"zipmap": False}, **more), X)
    assert np.array_equal(found["label"], clf.predict(X))
    assert found["probabilities"].dtype == X.dtype
    np.testing.assert_allclose(found["probabilities"], clf.predict_proba(X), atol=tolerance)
    return found


def check_regressor(reg, X, tolerance):
    (found,) = run(session_of(reg, X), X).values()
    expected = reg.predict(X)
    assert found.dtype == X.dtype
    assert found.shape == (len(X), expected.size // len(X))
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=tolerance, atol=tolerance)


@both_dtypes
@pytest.mark.parametrize("kind", TARGETS)
def test_a_classifier_gives_the_same_labels_and_probabilities(kind, dtype, tolerance):
    clf = MLPClassifier(**FEW).fit(X.astype(dtype), TARGETS[kind])
    assert len(np.unique(clf.predict(X), axis=0)) > 1
    check_classifier(clf, X.astype(dtype), tolerance)


@both_dtypes
@pytest.mark.parametrize("y", [X[:, 0], X[:, :3]], ids=["one", "three"])
def test_a_regressor_gives_the_same_numbers(y, dtype, tolerance):
    check_regressor(MLPRegressor(**FEW).fit(X.astype(dtype), y), X.astype(dtype), tolerance)


@both_dtypes
@pytest.mark.parametrize("loss", ["poisson", "huber", "binary_cross_entropy", "cross_entropy"])
def test_the_output_of_every_loss_is_the_same(loss, dtype, tolerance):
    y = np.exp(X[:, :2]) / np.exp(X[:, :2]).sum(axis=1, keepdims=True)
    reg = MLPRegressor(loss, **FEW).fit(X.astype(dtype), y)
    assert reg.out_activation_ in ("exp", "identity", "logistic", "softmax")
    check_regressor(reg, X.astype(dtype), tolerance)


@both_dtypes
@pytest.mark.parametrize("activation", HIDDEN)
def test_every_activation_is_the_same(activation, dtype, tolerance):
    if (activation, dtype) == ("gelu", np.float64):
        tolerance = 1e-6  # the runtime has no Erf of doubles
    x = X.astype(dtype)
    clf = MLPClassifier(activation=activation, **FEW).fit(x, THREE)
    # inputs of all sizes, to the ends of the formulas, where rounding weighs more; exp overflows
    wide = x if activation == "exp" else x * np.logspace(-3, 3, len(x), dtype=dtype)[:, None]
    check_classifier(clf, wide, 30 * tolerance)
    check_classifier(clf, x, tolerance)


@both_dtypes
def test_every_layer_may_have_an_activation_of_its_own(dtype, tolerance):
    x = X.astype(dtype)
    clf = MLPClassifier((7, 6, 5), ["leaky_relu", "sigmoid", "swish"], max_iter=5, random_state=0)
    check_classifier(clf.fit(x, THREE), x, tolerance)


@both_dtypes
def test_an_estimator_may_be_a_step_of_a_pipeline_or_what_a_search_found(dtype, tolerance):
    x = (5 * X + 2).astype(dtype)
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**FEW)).fit(x, NAMES[THREE])
    check_classifier(pipeline, x, tolerance)
    pipeline = make_pipeline(StandardScaler(), MLPRegressor(**FEW)).fit(x, X[:, :2])
    check_regressor(pipeline, x, tolerance)
    search = GridSearchCV(MLPClassifier(**FEW), {"activation": ["relu", "silu"]}, cv=2)
    check_classifier(search.fit(x, THREE), x, tolerance)


@pytest.mark.parametrize("opset", [9, 11, 13, 18])
def test_older_versions_of_the_operators_do_as_well(opset):
    activations = ["elu", "softplus", "mish", "gelu", "hard_sigmoid"]
    clf = MLPClassifier((5,) * 5, activations, max_iter=5, random_state=0).fit(X, NAMES[THREE])
    check_classifier(clf, X, 1e-6, target_opset={"": opset, "ai.onnx.ml": 1})
    check_classifier(clf, X.astype(np.float32), 1e-5, target_opset={"": opset, "ai.onnx.ml": 1})


def test_the_options_of_scikit_learns_classifiers_are_there():
    x = X.astype(np.float32)
    clf = MLPClassifier(**FEW).fit(x, NAMES[THREE])
    proba = clf.predict_proba(x)
    # as by default, a list of dicts
    found = run(session_of(clf, x), x)
    assert np.array_equal(found["output_label"], clf.predict(x))
    rows = [[row[name] for name in clf.classes_] for row in found["output_probability"]]
    np.testing.assert_allclose(rows, proba, atol=1e-6)
    found = run(session_of(clf, x, {"zipmap": "columns"}), x)
    columns = np.c_[found["snaïve"], found["sno"], found["syes"]]
    np.testing.assert_allclose(columns, proba, atol=1e-6)
    found = check_classifier(clf, x, 1e-6, {"zipmap": False, "output_class_labels": True})
    assert np.array_equal(found["class_labels"], clf.classes_)
    found = run(session_of(clf, x, {"zipmap": False, "nocl": True}), x)
    assert np.array_equal(found["label"], proba.argmax(axis=1))


def test_weights_set_by_hand_and_integer_inputs_are_exported_too():
    integers = (10 * X).astype(np.int64)
    clf = MLPClassifier(**FEW).fit(integers, BINARY)
    before = clf.predict_proba(integers)
    clf.coefs_ = [-w for w in clf.coefs_]
    found = run(session_of(clf, integers, {"zipmap": False}), integers)
    assert found["probabilities"].dtype == np.float32
    np.testing.assert_allclose(found["probabilities"], clf.predict_proba(integers), atol=1e-5)
    assert abs(found["probabilities"] - before).max() > 0.1


def test_a_single_class_has_one_label():
    clf = MLPClassifier(**FEW).fit(X, np.full(150, 4))
    clf.intercepts_[-1][:] = 0
    found = check_classifier(clf, X, 1e-12)
    assert set(found["label"]) == {4}


def test_labels_that_are_no_whole_numbers_are_refused():
    clf = MLPClassifier(**FEW).fit(X, BINARY)
    clf.classes_ = np.array([0.0, 0.5])
    with pytest.raises(ValueError, match=r"0\.5.*: ONNX has labels that are whole numbers"):
        to_onnx(clf, X[:1], options={"zipmap": False})


def test_what_is_not_fitted_is_not_converted():
    for estimator, options in [(MLPClassifier(), {"zipmap": False}), (MLPRegressor(), None)]:
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            session_of(estimator, X, options)


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r'install "fastbp\[onnx\]"') as caught:
        register_onnx()
    assert caught.value.name == "skl2onnx"


def test_nothing_is_registered_or_imported_before_it_is_asked_for(run_python):
    run_python("""
        import sys
        import numpy as np
        from fastbp import MLPRegressor
        from fastbp.exports.skl2onnx import register_onnx

        assert not {"onnx", "skl2onnx", "onnxruntime"} & set(sys.modules)
        from skl2onnx import to_onnx
        from skl2onnx.common.exceptions import MissingShapeCalculator

        X = np.eye(4)
        reg = MLPRegressor(solver="lbfgs", random_state=0).fit(X, X[:, 0])
        try:
            to_onnx(reg, X)
        except MissingShapeCalculator as error:
            assert "MLPRegressor" in str(error)
        else:
            raise AssertionError("converted what nobody registered")
        for _ in range(2):
            register_onnx()
            assert to_onnx(reg, X).graph.output[0].name == "variable"
    """)
