"""Quantiles that cannot cross: outputs that ascend, in every pass, file, export and estimator."""

import pickle

import numpy as np
import pytest
from numba import njit
from sklearn.metrics import d2_pinball_score

import oracle
from fastbp import Dense, MLPRegressor, Network, to_c, to_numpy, to_sklearn
from fastbp.kernels import forward_batch, forward_row

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def noisy(rows=1_200):
    """Inputs and a target whose spread depends on one of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 4))
    spread = 0.2 + 0.8 / (1 + np.exp(-2 * X[:, 2]))
    return X, X[:, 0] + np.sin(2 * X[:, 1]) + spread * rng.normal(size=rows)


def repeated(y):
    return np.repeat(y[:, None], len(LEVELS), axis=1)


@njit
def run_rows(state, X, out):
    for i in range(len(X)):
        forward_row(state, X[i], out[i])


@njit
def run_batch(state, X, out):
    forward_batch(state, X, out)


def network(output="ascending", levels=LEVELS, **options):
    layers = [Dense(24, "tanh"), Dense(len(levels))]
    kept = {"loss": "quantile", "loss_parameter": levels, "seed": 0}
    return Network(inputs=4, layers=layers, output_activation=output, **kept | options)


def pinball(A, y):
    """The loss of Koenker and Bassett, 1978, as a mean over rows and levels."""
    e, levels = y[:, None] - A, np.array(LEVELS)
    return np.maximum(levels * e, (levels - 1) * e).mean()


def crossed(A):
    return (np.diff(A, axis=1) < 0).any(axis=1)


def test_outputs_never_cross_and_are_as_good_as_those_that_do():
    X, y = noisy()
    train, held = slice(0, 800), slice(800, None)
    losses = {}
    for output in ("ascending", "identity"):
        net = network(output)
        net.fit(X[train], repeated(y[train]), epochs=60, batch_size=32)
        far = np.concatenate([X[held], 100 * X[held]])
        losses[output] = pinball(net.forward(X[held]), y[held])
        assert crossed(net.forward(far)).any() == (output == "identity")
    assert losses["ascending"] < 1.1 * losses["identity"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_of_any_weights_ascend_after_rounding(dtype):
    rng = np.random.default_rng(1)
    levels = tuple(np.linspace(0.02, 0.98, 33))
    net = network(levels=levels, dtype=dtype)
    for size in (1e-3, 1, 30, 1e4):
        net.parameters[:] = rng.normal(0, size, net.parameters.size)
        A = net.forward(rng.normal(0, 3, (500, 4)))
        assert not crossed(A).any()
        assert len(np.unique(A[:, 16])) > 100


@pytest.mark.parametrize("columns", range(1, 6))
def test_one_row_a_batch_and_the_textbook_agree(columns):
    net = network(levels=LEVELS[:columns], dtype="float64")
    net.parameters[:] = np.random.default_rng(2).normal(size=net.parameters.size)
    X = noisy(50)[0]
    A, out = net.forward(X), np.zeros((50, columns))
    twin = oracle.MLP.of(net, ["tanh", "ascending"], "quantile", alphas=[0, 0])
    np.testing.assert_allclose(A, [twin.forward(x)[1][-1] for x in X], rtol=1e-12)
    for run, state in ((run_rows, net.row_state()), (run_batch, net.train_state(50))):
        out[:] = 0
        run(state, X, out)
        assert (out == A).all()


def test_steps_fits_threads_and_files_have_the_same_bits(tmp_path):
    X, y = noisy()
    nets = [network() for _ in range(3)]
    for threads, net in enumerate(nets, 1):
        net.fit(X, repeated(y), epochs=2, batch_size=400, n_threads=threads)
    stepped = network()
    for first in range(0, 2 * len(X), 400):
        rows = slice(first % len(X), first % len(X) + 400)
        stepped.step(X[rows], repeated(y)[rows])
    plain = network()
    plain.fit(X, repeated(y), epochs=2, batch_size=400, shuffle=False)
    assert (plain.parameters == stepped.parameters).all()
    nets[0].save(tmp_path / "net.safetensors")
    nets += [Network.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(nets[0]))]
    for net in nets[1:]:
        assert (net.parameters == nets[0].parameters).all()
        assert (net.forward(X) == nets[0].forward(X)).all()


def test_the_first_outputs_are_two_standard_deviations_wide():
    for columns in (2, 5, 33):
        net = network(levels=tuple(np.linspace(0.02, 0.98, columns)), dtype="float64")
        A = net.forward(np.zeros((1, 4)))[0]  # biases alone: all other biases are 0
        np.testing.assert_allclose(np.diff(A), 2 / (columns - 1))
        assert A[columns // 2] == 0
        assert (net.with_seed(1).biases[-1] == net.biases[-1]).all()


def test_exports_do_not_cross_and_scikit_learns_is_refused():
    X, y = noisy()
    net = network(dtype="float64")
    net.fit(X, repeated(y), epochs=5)
    exec(to_numpy(net), module := {})
    A = module["predict"](X)
    np.testing.assert_allclose(A, net.forward(X), rtol=1e-10, atol=1e-12)
    assert not crossed(module["predict"](1e3 * X)).any()
    assert "net_ascending(out, 5);" in to_c(net)
    with pytest.raises(ValueError, match="no output 'ascending' there"):
        to_sklearn(net)


@pytest.mark.parametrize("levels", [(0.5, 0.1), (0.1, 0.1)])
def test_levels_that_do_not_ascend_are_refused(levels):
    with pytest.raises(
        ValueError, match=r"loss_parameter=\(0\.\d, 0\.1\): expected levels that as"
    ):
        network(levels=levels)
    network("identity", levels=levels)


def test_only_the_output_ascends():
    with pytest.raises(ValueError, match="activation='ascending': a hidden layer needs an element"):
        Network([4, 5, 3], "ascending")


def test_the_regressor_predicts_several_quantiles_of_one_target():
    X, y = noisy()
    weight = np.random.default_rng(3).random(len(y))
    reg = MLPRegressor(
        "quantile",
        (24,),
        loss_parameter=list(LEVELS),
        random_state=0,
        early_stopping=True,
        learning_rate_init=0.01,
    )
    A = reg.fit(X, y, weight).predict(X)
    assert A.shape == (len(X), 5) and not crossed(A).any() and reg.out_activation_ == "ascending"
    shares = [np.average(y <= a, weights=weight) for a in A.T]
    np.testing.assert_allclose(shares, LEVELS, atol=0.06)
    constant = np.array([np.quantile(y, level) for level in LEVELS])
    gains = [
        1 - pinball_of(a, y, q).mean() / pinball_of(c, y, q).mean()
        for a, c, q in zip(A.T, constant, LEVELS, strict=True)
    ]
    assert reg.score(X, y) == pytest.approx(np.mean(gains), rel=1e-3)
    assert reg.best_validation_score_ == max(reg.validation_scores_) > 0.3
    with pytest.raises(ValueError, match=r"y has 2 targets: expected one"):
        reg.fit(X, np.stack([y, y], axis=1))


def pinball_of(a, y, level):
    return np.maximum(level * (y - a), (level - 1) * (y - a))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_score_of_one_level_in_a_list_is_that_of_the_level():
    X = np.random.default_rng(0).normal(size=(60, 3))
    options = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
    one = MLPRegressor("quantile", loss_parameter=[0.3], **options).fit(X, X[:, 0])
    expected = d2_pinball_score(X[:, 0], one.predict(X), alpha=0.3)
    assert one.score(X, X[:, 0]) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match=r"loss_parameter=\[0.1, 0.9\]: .* predicts 1 quantiles"):
        one.set_params(loss_parameter=[0.1, 0.9]).score(X, X[:, 0])
    with pytest.raises(ValueError, match=r"loss_parameter=\[\]: expected at least one level"):
        MLPRegressor("quantile", loss_parameter=[], **options).fit(X, X[:, 0])
