"""Networks and estimators as scikit-learn's, and back: the same predictions on both sides."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from export_nets import N_IN, both_dtypes, check, filled, net_of, of_one_share
from fastbp import Dense, Dropout, MLPClassifier, MLPRegressor, Network
from fastbp.exports.sklearn import from_sklearn, to_sklearn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(8)
X = rng.normal(size=(60, N_IN))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)
MANY = (X[:, :3] > 0).astype(int)
HIDDEN = ["identity", "logistic", "tanh", "relu"]
FEW = {"hidden_layer_sizes": (8, 6), "max_iter": 15, "learning_rate_init": 0.01, "random_state": 0}
CLASSES = {
    "three": LABELS,
    "two": (LABELS > 0).astype(int),
    "strings": np.array(["no", "yes", "naïve"])[LABELS],
    "two strings": np.array(["no", "yes"])[(LABELS > 0).astype(int)],
    "many": MANY,
    "negative": LABELS - 5,
}
NUMBERS = {"one": X[:, 0] + X[:, 1] ** 2, "two": X[:, :2] + 1}
ATOL = {"float32": 1e-6, "float64": 1e-13}


def close(one, other, dtype):
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, rtol=10 * ATOL[dtype], atol=ATOL[dtype])


# ----------------------------------------------------------------- networks to scikit-learn


@both_dtypes
@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("n_out", [2, 3, 4])
def test_a_net_of_classes_is_a_classifier(activation, n_out, dtype):
    net = filled(Network([N_IN, 7, 6, n_out], activation, "cross_entropy", dtype=dtype))
    x = X.astype(dtype)
    net.biases[-1][:] -= np.log(net.forward(x)).mean(axis=0)  # no class shall win everywhere
    clf = to_sklearn(net)
    assert isinstance(clf, neural_network.MLPClassifier)
    assert np.array_equal(clf.predict(x), net.predict(x))
    assert len(set(net.predict(x))) > 1
    close(clf.predict_proba(x), net.forward(x), dtype)
    check(clf.predict_proba(x), net, x)


@both_dtypes
@pytest.mark.parametrize("n_out", [1, 2, 3])
def test_a_net_of_binary_outputs_is_a_classifier(n_out, dtype):
    net = filled(Network([N_IN, 7, n_out], "tanh", "binary_cross_entropy", dtype=dtype))
    clf, x = to_sklearn(net), X.astype(dtype)
    assert np.array_equal(clf.predict(x), net.predict(x))
    proba = clf.predict_proba(x)
    check(proba[:, 1:] if n_out == 1 else proba, net, x)
    if n_out == 1:
        close(proba.sum(axis=1), np.ones(60, dtype), dtype)


@both_dtypes
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
@pytest.mark.parametrize("n_out", [1, 3])
def test_a_net_of_numbers_is_a_regressor(loss, n_out, dtype):
    net = filled(Network([N_IN, 7, n_out], "relu", loss, dtype=dtype))
    reg, x = to_sklearn(net), X.astype(dtype)
    assert isinstance(reg, neural_network.MLPRegressor)
    close(reg.predict(x), net.predict(x), dtype)
    check(reg.predict(x).reshape(60, n_out), net, x)


def test_nets_without_hidden_layers_and_with_dropout_are_taken():
    for net in (
        filled(Network([N_IN, 3], loss="cross_entropy", dtype="float64")),
        filled(
            Network(
                inputs=N_IN,
                layers=[Dropout(0.2), Dense(4, "relu"), Dropout(0.5), Dense(3)],
                loss="cross_entropy",
                dtype="float64",
            )
        ),
    ):
        check(to_sklearn(net).predict_proba(X), net, X)


@pytest.mark.parametrize(
    "classes", [["a", "b", "c"], np.array([-3, 0, 7]), (1, 2, 3)], ids=["text", "array", "tuple"]
)
def test_the_outputs_have_the_labels_that_are_given(classes):
    net = filled(Network([N_IN, 7, 3], loss="cross_entropy"))
    clf = to_sklearn(net, classes)
    assert np.array_equal(clf.classes_, classes)
    assert np.array_equal(clf.predict(X), np.array(classes)[net.predict(X)])
    two = to_sklearn(filled(Network([N_IN, 1], loss="binary_cross_entropy")), classes[:2])
    assert set(two.predict(X)) == set(classes[:2])


def test_classes_that_do_not_fit_are_refused():
    net = Network([N_IN, 7, 3], loss="cross_entropy")
    for bad in (["a", "b"], ["b", "a", "c"], ["a", "a", "b"], [["a", "b", "c"]], "abc"):
        with pytest.raises(ValueError, match="expected 3 different labels, sorted"):
            to_sklearn(net, bad)
    for net in (Network([N_IN, 3]), Network([N_IN, 3], loss="binary_cross_entropy")):
        with pytest.raises(ValueError, match="not classes that exclude each other"):
            to_sklearn(net, [0, 1, 2])
    with pytest.raises(ValueError, match="the estimator has its own"):
        to_sklearn(MLPClassifier(**FEW).fit(X, LABELS), [0, 1, 2])


LACKING = [
    ({"activation": "gelu"}, "no activation 'gelu' in hidden layers"),
    ({"activation": ["relu", "tanh"]}, "no different activations of hidden layers, relu, tanh"),
    ({"output_activation": "tanh"}, "no output 'tanh' there, only identity and exp"),
    ({"output_activation": "logistic"}, "no output 'logistic' there"),
    (
        {"loss": "binary_cross_entropy", "output_activation": "hard_sigmoid"},
        "no output 'hard_sigmoid' there, only softmax and logistic",
    ),
]


@pytest.mark.parametrize("options, message", LACKING)
def test_what_scikit_learn_lacks_is_named(options, message):
    with pytest.raises(ValueError, match=f"scikit-learn has {message}"):
        to_sklearn(Network([N_IN, 4, 4, 2], **options))


def test_all_that_is_lacking_is_named_at_once():
    layers = [Dense(4, "gelu", bias=False), Dense(4, "relu"), Dense(1)]
    with pytest.raises(ValueError, match=r"gelu.*; no different .*; no layers without biases"):
        to_sklearn(Network(inputs=N_IN, layers=layers))
    with pytest.raises(ValueError, match="softmax of one output"):
        to_sklearn(of_one_share())


def test_what_is_neither_network_nor_estimator_is_refused():
    for bad in (None, 3, neural_network.MLPClassifier(), "net"):
        with pytest.raises(TypeError, match=r"fastbp\.to_sklearn: model=.*: expected a fastbp"):
            to_sklearn(bad)
    table = SimpleNamespace(schema=None, network=Network([N_IN, 1]))
    with pytest.raises(TypeError, match=r"no exact twin .* use fastbp\.to_onnx"):
        to_sklearn(table)
    net = Network([N_IN, 1])
    net.weights[0][:] = np.inf
    with pytest.raises(ValueError, match="hold NaN or infinity"):
        to_sklearn(net)


# ----------------------------------------------------------------- what it is good for there


def test_the_estimator_is_one_of_scikit_learns_in_all_it_does():
    net = filled(Network([N_IN, 7, 3], loss="cross_entropy", dtype="float64"))
    clf = to_sklearn(net, ["a", "b", "c"])
    assert clf.score(X, clf.predict(X)) == 1
    assert np.array_equal(pickle.loads(pickle.dumps(clf)).predict(X), clf.predict(X))
    assert clone(clf).get_params() == clf.get_params()
    assert make_pipeline(clf).predict(X).shape == (60,)
    with pytest.raises(ValueError, match="4 features"):
        clf.predict(X[:, :4])


@pytest.mark.parametrize(
    "net, y",
    [
        (Network([N_IN, 7, 3], loss="cross_entropy"), LABELS),
        (Network([N_IN, 7, 2], loss="cross_entropy"), CLASSES["two"]),
        (Network([N_IN, 7, 1], loss="binary_cross_entropy"), CLASSES["two"]),
        (Network([N_IN, 7, 3], loss="binary_cross_entropy"), MANY),
        (Network([N_IN, 7, 1]), NUMBERS["one"]),
        (Network([N_IN, 7, 2], loss="poisson"), np.abs(NUMBERS["two"])),
    ],
    ids=["three", "two", "binary", "many", "number", "counts"],
)
@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_training_goes_on_from_the_weights(net, y, how):
    estimator = to_sklearn(filled(net))
    before = [w.copy() for w in estimator.coefs_]
    own = net.parameters.copy()
    estimator.set_params(learning_rate_init=1e-4, max_iter=2, warm_start=how == "warm_start")
    (estimator.fit if how == "warm_start" else estimator.partial_fit)(X.astype("f"), y)
    for old, new in zip(before, estimator.coefs_, strict=True):
        assert 0 < abs(new - old).max() < 1e-3  # a step of Adam, from where it stood
    assert np.array_equal(net.parameters, own)


# ----------------------------------------------------------------- estimators


@both_dtypes
@pytest.mark.parametrize("kind", CLASSES)
def test_a_classifier_of_fastbp_is_one_of_scikit_learn_and_a_network(kind, dtype):
    x = X.astype(dtype)
    own = MLPClassifier(activation="tanh", alpha=0.02, dropout=0.1, **FEW).fit(x, CLASSES[kind])
    theirs = to_sklearn(own)
    assert np.array_equal(theirs.predict(x), own.predict(x))
    assert theirs.predict(x).dtype == own.predict(x).dtype
    close(theirs.predict_proba(x), own.predict_proba(x), dtype)
    assert np.array_equal(theirs.classes_, own.classes_)
    assert theirs.alpha == 0.02
    assert theirs.hidden_layer_sizes == (8, 6)
    assert theirs.loss_curve_ == own.loss_curve_
    theirs.partial_fit(x, CLASSES[kind])
    for net in (from_sklearn(own), from_sklearn(to_sklearn(own))):
        proba = own.predict_proba(x)
        check(proba[:, 1:] if own.n_outputs_ == 1 else proba, net, x)


@both_dtypes
@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_a_regressor_of_fastbp_is_one_of_scikit_learn_and_a_network(kind, loss, dtype):
    x, y = X.astype(dtype), abs(NUMBERS[kind])
    own = MLPRegressor(loss, solver="lbfgs", **{**FEW, "activation": ["tanh", "tanh"]}).fit(x, y)
    theirs = to_sklearn(own)
    close(theirs.predict(x), own.predict(x), dtype)
    check(own.predict(x).reshape(60, -1), from_sklearn(own), x)


def test_weights_that_were_set_by_hand_are_taken():
    own = MLPClassifier(**FEW).fit(X, LABELS)
    own.coefs_ = [-w for w in own.coefs_]
    close(to_sklearn(own).predict_proba(X), own.predict_proba(X), "float64")
    close(from_sklearn(own).forward(X), own.predict_proba(X), "float64")


def test_names_of_columns_are_kept():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"))
    clf = to_sklearn(MLPClassifier(**FEW).fit(frame, LABELS))
    assert list(clf.feature_names_in_) == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame[list("edcba")])


def test_what_scikit_learn_lacks_of_an_estimator_is_named():
    own = MLPClassifier(activation="gelu", **FEW).fit(X, LABELS)
    with pytest.raises(ValueError, match="no activation 'gelu'"):
        to_sklearn(own)
    own = MLPRegressor("cross_entropy", **FEW).fit(X, np.eye(3)[LABELS])
    with pytest.raises(ValueError, match="no output 'softmax' there"):
        to_sklearn(own)
    for unfitted in (MLPClassifier(), MLPRegressor()):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            to_sklearn(unfitted)


# ----------------------------------------------------------------- scikit-learn to networks


@both_dtypes
@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("kind", CLASSES)
def test_a_classifier_of_scikit_learn_is_a_network(kind, activation, dtype):
    x = X.astype(dtype)
    clf = neural_network.MLPClassifier(activation=activation, **FEW).fit(x, CLASSES[kind])
    net = from_sklearn(clf)
    assert net.dtype == dtype
    proba = clf.predict_proba(x)
    close(net.forward(x), proba[:, 1:] if clf.n_outputs_ == 1 else proba, dtype)
    found = net.predict(x)
    assert np.array_equal(clf.predict(x), found if kind == "many" else clf.classes_[found])


@both_dtypes
@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_a_regressor_of_scikit_learn_is_a_network(kind, loss, dtype):
    x = X.astype(dtype)
    reg = neural_network.MLPRegressor(**FEW)
    if loss == "poisson":
        if "loss" not in reg.get_params():
            pytest.skip("this scikit-learn has no such loss")
        reg.set_params(loss=loss)
    reg.fit(x, abs(NUMBERS[kind]))
    net = from_sklearn(reg)
    assert net.loss == loss
    close(net.predict(x), reg.predict(x), dtype)


def test_a_network_that_came_and_went_is_the_same():
    for net in (
        filled(Network([N_IN, 7, 6, 3], "tanh", "cross_entropy")),
        filled(Network([N_IN, 1], loss="binary_cross_entropy", dtype="float64")),
        filled(Network([N_IN, 4, 2], loss="poisson")),
    ):
        again = from_sklearn(to_sklearn(net), optimizer="sgd", seed=3)
        assert again.parameters.tobytes() == net.parameters.tobytes()
        assert (again.loss, again.dtype) == (net.loss, net.dtype)
        assert again.optimizer.name == "sgd"


def test_a_network_goes_on_training():
    clf = neural_network.MLPClassifier(**FEW).fit(X, LABELS)
    net = from_sklearn(clf)
    before = net.evaluate(X, LABELS)["loss"]
    net.fit(X, LABELS, epochs=5)
    assert net.evaluate(X, LABELS)["loss"] < before
    assert np.array_equal(from_sklearn(clf).weights[0], clf.coefs_[0])


def test_what_is_no_fitted_perceptron_is_refused():
    clf = neural_network.MLPClassifier(**FEW)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        from_sklearn(clf)
    for bad in (None, net_of("relu", "float32"), make_pipeline(clf), neural_network.BernoulliRBM()):
        with pytest.raises(TypeError, match=r"from_sklearn: estimator is a .*: expected a fitted"):
            from_sklearn(bad)
    clf.fit(X, LABELS)
    clf.coefs_[1][0, 0] = np.nan
    with pytest.raises(ValueError, match="hold NaN or infinity"):
        from_sklearn(clf)
    clf.coefs_[1] = clf.coefs_[1][:1]
    with pytest.raises(ValueError, match="expected layers that follow each other"):
        from_sklearn(clf)
