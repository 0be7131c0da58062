"""Monotonic inputs: by the signs of derivatives after training, in every way to train."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from fastbp import (
    ACTIVATIONS,
    LBFGS,
    SGD,
    Adam,
    AdamW,
    Dense,
    Dropout,
    LevenbergMarquardt,
    MLPClassifier,
    MLPRegressor,
    ModelFileError,
    Network,
    custom_activation,
    fit_many,
)
from fastbp.kernels import activation, train_steps
from fastbp.model_file import to_bytes

SIGNS = (1, 0, -1, 0)
OPTIMIZERS = {
    "sgd": SGD(0.05, momentum=0.9, nesterov=True),
    "adam": Adam(1e-2),
    "adamw": AdamW(1e-2, weight_decay=0.1, l1=1e-3, l2=1e-2),
    "clip_norm": Adam(1e-2, clip_norm=0.05),
    "clip_sample_norm": Adam(1e-2, clip_sample_norm=0.05),
}


def data(rows=600, noise=0.1, seed=0):
    """Inputs, and a target that rises in input 0, falls in input 2, and turns in input 1."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 4))
    y = np.tanh(2 * X[:, 0]) - 1.5 / (1 + np.exp(-3 * X[:, 2])) + np.sin(2 * X[:, 1]) * X[:, 3]
    return X, y + noise * rng.normal(size=rows)


def wrong(rows=600):
    """The same with the signs turned round: training pulls against what is promised."""
    X, y = data(rows)
    return X, y - 2 * np.tanh(2 * X[:, 0]) + 2 * X[:, 2]


def network(activation="tanh", sizes=(24, 12), outputs=1, monotonic=SIGNS, **options):
    kept = {"dtype": "float64", "seed": 0, "optimizer": Adam(1e-2)}
    return Network([4, *sizes, outputs], activation, monotonic=monotonic, **kept | options)


def assert_monotonic(net, X=None, signs=SIGNS):
    """By the derivatives, which are sums of products of what is checked nowhere else."""
    X = np.random.default_rng(7).normal(0, 3, (300, 4)) if X is None else X
    slopes = net.jacobian(X) * np.array(signs)
    assert (slopes >= 0).all()
    for w, of_rows in zip(net.weights, (signs, [1], [1], [1]), strict=False):
        assert (w * np.reshape(of_rows, (-1, 1)) >= 0).all()


RISING = [name for name, record in ACTIVATIONS.items() if record.rises]


@pytest.mark.parametrize("name", [n for n, r in ACTIVATIONS.items() if not r.of_rows])
def test_an_activation_is_said_to_rise_if_it_never_falls(name):
    values = activation(np.linspace(-12, 12, 4001)[None], name)
    assert ACTIVATIONS[name].rises == bool((np.diff(values) >= -1e-12).all())


@pytest.mark.parametrize("name", RISING)
def test_every_activation_that_rises(name):
    net = network(name, optimizer=Adam(1e-3 if name == "exp" else 1e-2))
    assert_monotonic(net)
    X, y = wrong()
    net.fit(X, y, epochs=5, batch_size=32)
    assert_monotonic(net, X if name == "exp" else None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_is_that_of_the_textbook_with_a_projection(optimizer, dtype):
    """A free twin, which NumPy projects after each step, has the same bits."""
    X, y = (each.astype(dtype) for each in wrong(200))
    net = network(optimizer=OPTIMIZERS[optimizer], dtype=dtype)
    twin = network(optimizer=OPTIMIZERS[optimizer], dtype=dtype, monotonic=None)
    twin.parameters[:] = net.parameters
    for start in range(0, 200, 20):
        for each in (net, twin):
            each.step(X[start : start + 20], y[start : start + 20])
        for w, signs in zip(twin.weights, (SIGNS, [1], [1]), strict=True):
            w[w * np.reshape(signs, (-1, 1)) < 0] = 0
    assert any((w == 0).any() for w in net.weights)
    assert (net.parameters == twin.parameters).all()
    assert_monotonic(net)


def test_every_way_to_train_has_the_same_bits(tmp_path):
    X, y = wrong()
    Y = y[:, None]
    nets = {threads: network() for threads in (1, 2, 3)}
    for threads, net in nets.items():
        net.fit(X, Y, epochs=2, batch_size=200, shuffle=False, n_threads=threads)
    nets["step"], nets["update"], nets["compiled"] = (network() for _ in range(3))
    for start in (0, 200, 400) * 2:
        rows = slice(start, start + 200)
        nets["step"].step(X[rows], Y[rows])
        nets["update"].update(nets["update"].backward(X[rows], Y[rows])[1])
    state = nets["compiled"].train_state(200)
    train_steps(state, X, Y, np.tile(np.arange(600), 2))
    nets["many"] = network()
    (result,) = fit_many([nets["many"]], X, Y, epochs=2, batch_size=200, shuffle=False)
    assert result.error is None
    nets["resumed"] = network()
    nets["resumed"].fit(X, Y, epochs=1, batch_size=200, shuffle=False)
    nets["resumed"].save(tmp_path / "net")
    nets["resumed"] = pickle.loads(pickle.dumps(Network.load(tmp_path / "net")))
    assert nets["resumed"].monotonic == SIGNS
    nets["resumed"].fit(X, Y, epochs=1, batch_size=200, shuffle=False)
    for way, net in nets.items():
        assert (net.parameters == nets[1].parameters).all(), way
        assert_monotonic(net)


def test_sparse_inputs_dropout_and_layers_that_stay():
    from scipy.sparse import csr_matrix

    X, y = wrong()
    X[np.abs(X) < 0.5] = 0
    layers = [Dropout(0.1), Dense(20, "elu"), Dropout(0.2), Dense(10, "tanh", bias=False), Dense(2)]
    net = Network(inputs=4, layers=layers, monotonic={0: 1, 2: -1}, dtype="float64", seed=1)
    frozen = net.weights[1].copy()
    net.set_trainable(1, False)
    net.fit(csr_matrix(X), np.stack([y, -y], 1), epochs=3)
    assert (net.weights[1] == frozen).all()
    assert_monotonic(net)


def all_rise(rows):
    """A target that rises in all of 20 inputs."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(rows, 20))
    y = sum(np.tanh((k % 3 + 1) * X[:, k]) for k in range(10))
    return X, y + np.log1p(np.exp(X[:, 10:].sum(axis=1))) + 0.2 * rng.normal(size=rows)


@pytest.mark.slow
@pytest.mark.parametrize("table, signs, most", [(data, SIGNS, 1.3), (all_rise, [1] * 20, 0.5)])
def test_on_a_monotone_function_it_is_as_good_as_a_free_net(table, signs, most):
    X, y = table(900)
    y, errors = y / y.std(), []
    for monotonic in (None, signs):
        sizes = [X.shape[1], 32, 32, 1]
        net = Network(sizes, "tanh", optimizer=Adam(3e-3), seed=0, monotonic=monotonic)
        net.fit(X[:600], y[:600], epochs=80, batch_size=32)
        errors.append(np.mean((net.forward(X[600:])[:, 0] - y[600:]) ** 2))
    assert errors[1] < most * errors[0] and errors[1] < 0.2


def test_the_first_weights_suit_normal_inputs():
    X = np.random.default_rng(3).normal(size=(2000, 4))
    net = network(sizes=(50, 50, 50), outputs=5)
    A = net.forward(X)
    assert (np.abs(A.mean(axis=0)) < 0.3).all() and 0.7 < A.std(axis=0).mean() < 1.3
    assert (net.with_seed(0).parameters == net.parameters).all()
    assert_monotonic(net.with_seed(5))


def test_a_dict_a_list_and_an_array_say_the_same():
    nets = [network(monotonic=m) for m in ({0: 1, 2: -1}, [1, 0, -1, 0], np.array(SIGNS))]
    assert {net.monotonic for net in nets} == {SIGNS}
    assert network(monotonic=[0, 0, 0, 0]).monotonic == network(monotonic=None).monotonic == ()
    assert Network([4, 3, 1], monotonic=SIGNS).layers[0].activation == "tanh"
    assert Network([4, 3, 1]).layers[0].activation == "relu"


WAVE = custom_activation("rises_by_itself", lambda z: z * 2.0)


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"monotonic": [1, 0]}, ValueError, r"monotonic=\[1, 0\]: expected 4 numbers"),
        ({"monotonic": {4: 1}}, ValueError, "monotonic: an input=4"),
        ({"monotonic": {"0": 1}}, TypeError, "monotonic: an input='0'"),
        ({"monotonic": {0: 2}}, ValueError, r"monotonic\[0\]=2"),
        ({"monotonic": [0.5, 0, 0, 0]}, TypeError, r"monotonic\[0\]=0.5"),
        ({"monotonic": "rise"}, TypeError, "monotonic='rise': expected a dict"),
        ({"monotonic": 1}, TypeError, "monotonic=1: expected a dict"),
        ({"activation": "gelu"}, ValueError, "layer 1 has the activation 'gelu'"),
        ({"activation": WAVE}, ValueError, "layer 1 has the activation 'rises_by_itself'"),
        ({"loss": "cross_entropy", "outputs": 3}, ValueError, "layer 3 has the activation 'softm"),
        ({"output_activation": "ascending"}, ValueError, "layer 3 has the activation 'ascending'"),
    ],
)
def test_what_cannot_be_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        network(**arguments)


@pytest.mark.parametrize("optimizer", [LevenbergMarquardt(), LBFGS()])
def test_optimizers_of_all_rows_are_refused(optimizer):
    X, y = data()
    with pytest.raises(ValueError, match="it keeps no signs of weights"):
        network(optimizer=optimizer).fit(X, y)


def test_weights_of_a_wrong_sign_are_refused_with_their_layer(tmp_path):
    X, y = data()
    for layer, place, words in (
        (0, (2, 3), r"layer 1 the weight \[2, 3\] is 1: expected it to be at most 0"),
        (1, (5, 2), r"layer 2 the weight \[5, 2\] is -1: expected it to be at least 0"),
    ):
        net = network()
        net.weights[layer][place] = 1 if layer == 0 else -1
        before = net.parameters.copy()
        calls = (
            lambda net=net: net.fit(X, y),
            lambda net=net: net.step(X, y),
            lambda net=net: net.backward(X, y),
            lambda net=net: net.train_state(8),
            lambda net=net: net.save(tmp_path / "net"),
        )
        for call in calls:
            with pytest.raises(ValueError, match=words):
                call()
        assert (net.parameters == before).all()
    assert not list(tmp_path.iterdir())
    model = network().to_model()
    model.params[:] *= -1
    (tmp_path / "net").write_bytes(to_bytes(model))
    with pytest.raises(ModelFileError, match="monotonic, but in layer 1 the weight"):
        Network.load(tmp_path / "net")


def test_files_of_other_nets_have_no_word_of_it(tmp_path):
    network(monotonic=None).save(tmp_path / "free")
    network().save(tmp_path / "signs")
    assert b"signs" not in (tmp_path / "free").read_bytes()
    assert b"signs" in (tmp_path / "signs").read_bytes()


# ---------------------------------------------------------------- estimators


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_the_regressor_by_every_solver(solver):
    X, y = wrong()
    reg = MLPRegressor(
        hidden_layer_sizes=(20, 10), activation="tanh", solver=solver, max_iter=30,
        monotonic_cst=SIGNS, random_state=0, warm_start=True,
    )  # fmt: skip
    for _ in range(2):
        reg.fit(X, y)
        assert_monotonic(reg.network_)
    assert clone(reg).get_params()["monotonic_cst"] == SIGNS
    assert np.isfinite(reg.score(X, y)) and reg.network_.monotonic == SIGNS
    reg.coefs_ = [-w for w in reg.coefs_]
    with pytest.raises(ValueError, match="the network is monotonic, but in layer 1 the weight"):
        reg.predict(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_classifier_by_names_of_features():
    pd = pytest.importorskip("pandas")
    X, y = data()
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = MLPClassifier(
        (20,), "tanh", max_iter=30, monotonic_cst={"a": 1, "c": -1}, random_state=0
    ).fit(frame, y > 0)
    assert_monotonic(clf.network_)
    up = frame.assign(a=frame["a"] + 1, c=frame["c"] - 1)
    assert (clf.predict_proba(up)[:, 1] >= clf.predict_proba(frame)[:, 1] - 1e-12).all()
    with pytest.raises(ValueError, match="there is none for several classes"):
        clone(clf).fit(frame, np.digitize(y, [-1, 1]))
    with pytest.raises(ValueError, match="monotonic_cst contains 1 unexpected feature"):
        clone(clf).set_params(monotonic_cst={"z": 1}).fit(frame, y > 0)
    with pytest.raises(ValueError, match="there is none for several quantiles"):
        MLPRegressor("quantile", loss_parameter=[0.1, 0.9], monotonic_cst=SIGNS).fit(X, y)
    with pytest.raises(ValueError, match="does not keep signs"):
        MLPRegressor(solver="lm", activation="tanh", monotonic_cst=SIGNS).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_that_go_on_keep_their_signs():
    X = np.random.default_rng(0).normal(size=(60, 3))
    options = {"hidden_layer_sizes": (8,), "activation": "tanh", "max_iter": 3, "random_state": 0}
    words = r"monotonic_cst=\[1, 0, 0\]: the fitted estimator, which goes on, has None"
    for how in ("partial_fit", True, "exact"):
        model = MLPRegressor(**options, warm_start=how != "partial_fit" and how).fit(X, X[:, 0])
        again = model.partial_fit if how == "partial_fit" else model.fit
        with pytest.raises(ValueError, match=words):
            model.set_params(monotonic_cst=[1, 0, 0])
            again(X, X[:, 0])
    with pytest.raises(ValueError, match=r"monotonic_cst=.*solver='lm' does not keep signs"):
        MLPRegressor(solver="lm", monotonic_cst=[1, 0, 0]).fit(X, X[:, 0])
