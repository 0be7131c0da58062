"""`LevenbergMarquardt` and `LBFGS`: minima that SciPy and linear algebra find too."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import minimize

from fastbp import (
    LBFGS,
    Dense,
    DivergenceError,
    Dropout,
    LevenbergMarquardt,
    MLPClassifier,
    MLPRegressor,
    ModelFileError,
    Network,
    fit_many,
    model_file,
    plan_ranks,
)
from fastbp.data import ArraySource
from fastbp.data.samples import samples
from fastbp.data.windows import Whole
from fastbp.kernels.net import normal
from fastbp.second_order.marquardt import MarquardtSteps

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (200, 2))
Y = np.column_stack([np.sin(3 * X[:, 0]), X[:, 0] * X[:, 1]])
WEIGHT = RNG.uniform(0, 2, 200)
both = pytest.mark.parametrize("optimizer", [LevenbergMarquardt(), LBFGS()], ids=repr)


def net(optimizer, sizes=(2, 6, 2), activation="tanh", **more):
    return Network(list(sizes), activation, optimizer=optimizer, dtype="float64", seed=0, **more)


# ------------------------------------------------------------------ the normal equations


@pytest.mark.parametrize("loss", ["squared_error", "mean_squared_error"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
@pytest.mark.parametrize("sizes", [(2, 6, 2), (2, 5, 4, 2), (2, 2), (2, 40, 30, 2)], ids=str)
def test_the_equations_are_those_of_the_jacobian(sizes, weight, loss):
    network = net(LevenbergMarquardt(l2=0.3), sizes, "silu", loss=loss)
    network.biases[0][:] = 0.1
    data = samples(X, Y, network.engine.plan, loss, weight)
    steps = MarquardtSteps(network.engine, Whole(data, len(X), False, 0))
    found = steps._equations(network.parameters.copy(), 1)
    J = network.jacobian(X, wrt="parameters").reshape(400, -1)
    errors = (network.forward(X) - Y).ravel()
    share = np.repeat(np.ones(200) if weight is None else weight, 2)
    share /= share[::2].sum()
    is_weight = np.concatenate(
        [
            np.r_[np.ones(w.size), np.zeros(b.size)]
            for w, b in zip(network.weights, network.biases, strict=True)
        ]
    )
    matrix = (J.T * share) @ J + 0.3 * np.diag(is_weight)
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-12)
    slope = J.T @ (share * errors) + 0.3 * is_weight * network.parameters
    np.testing.assert_allclose(found.slope, slope, atol=1e-12)
    penalty = 0.15 * (is_weight * network.parameters**2).sum()
    assert found.objective == pytest.approx(0.5 * share @ errors**2 + penalty, rel=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "mean_squared_error"])
@pytest.mark.parametrize(
    "weight", [None, WEIGHT, RNG.uniform(0, 2, (200, 2))], ids=["even", "weighted", "by output"]
)
def test_the_first_step_goes_along_the_curve(weight, loss):
    network = net(LevenbergMarquardt(damping=0.5), (2, 9, 7, 2), loss=loss)
    start, size = network.parameters.copy(), network.parameters.size
    share = np.ones((200, 2)) if weight is None else np.broadcast_to(weight.T, (2, 200)).T
    share = 2 * share.ravel() / share.sum()
    a, J = network.forward(X).ravel(), network.jacobian(X, wrt="parameters").reshape(400, size)
    matrix, slope = (J.T * share) @ J, J.T @ (share * (a - Y.ravel()))
    damped = matrix + 0.5 * np.diag(matrix.diagonal())
    step = np.linalg.solve(damped, -slope)
    network.parameters[:] = start + 0.1 * step
    bent = 200 * (network.forward(X).ravel() - a - 0.1 * J @ step)
    change = np.linalg.solve(damped, -J.T @ (share * bent))
    ahead = np.linalg.norm(J @ change) / np.linalg.norm(J @ step)
    assert 0.01 < ahead < 0.7  # the curve is neither straight nor refused
    network.parameters[:] = start
    network.fit(X, Y, epochs=1, sample_weight=weight)
    np.testing.assert_allclose(network.parameters, start + step + change / 2, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_are_those_of_one_thread(dtype):
    for optimizer in (LevenbergMarquardt(), LBFGS()):
        found = []
        for threads in (1, 2, 3):
            network = Network([2, 20, 9, 2], "tanh", optimizer=optimizer, dtype=dtype, seed=0)
            network.fit(X, Y, epochs=8, n_threads=threads)
            found.append(network.parameters.tobytes())
        assert len(set(found)) == 1


# ------------------------------------------------------------------ minima


@both
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
def test_a_linear_net_ends_at_the_solution_of_least_squares(optimizer, weight):
    network = net(optimizer, (2, 2))
    history = network.fit(X, Y, epochs=200, sample_weight=weight)
    assert history.stopped == "converged" and len(history) < 100
    root = np.sqrt(np.ones(200) if weight is None else weight)[:, None]
    A = np.column_stack([X, np.ones(200)])
    solution = np.linalg.lstsq(A * root, Y * root, rcond=None)[0]
    np.testing.assert_allclose(network.weights[0], solution[:2], atol=1e-7)
    np.testing.assert_allclose(network.biases[0], solution[2], atol=1e-7)


@both
def test_a_penalty_gives_the_solution_of_ridge_regression(optimizer):
    network = net(type(optimizer)(l2=0.1), (2, 2))
    network.fit(X, Y, epochs=200)
    centred = X - X.mean(0)
    matrix = centred.T @ centred / 200 + 0.1 * np.eye(2)
    solution = np.linalg.solve(matrix, centred.T @ (Y - Y.mean(0)) / 200)
    np.testing.assert_allclose(network.weights[0], solution, atol=1e-7)


def test_lbfgs_ends_at_the_minimum_of_a_convex_loss():
    labels = (Y[:, 0] > 0.5).astype(int) + (X[:, 1] > 0)
    network = Network(
        [2, 3], loss="cross_entropy", optimizer=LBFGS(l2=0.01), dtype="float64", seed=0
    )
    network.fit(X, labels, epochs=300)

    def value(weights):
        logits = X @ weights[:6].reshape(2, 3) + weights[6:]
        chosen = logits[np.arange(200), labels]
        penalty = 0.005 * weights[:6] @ weights[:6]
        return np.mean(np.log(np.exp(logits).sum(1)) - chosen) + penalty

    found = minimize(value, np.zeros(9), method="BFGS", options={"gtol": 1e-7})
    assert value(network.parameters) == pytest.approx(found.fun, abs=1e-9)
    np.testing.assert_allclose(network.weights[0].ravel(), found.x[:6], atol=1e-4)


def test_marquardt_finds_the_net_that_made_the_targets():
    """There is a solution without errors, and the way to it is short."""
    teacher, network = net(LevenbergMarquardt(tol=0)), net(LevenbergMarquardt(tol=0))
    rng = np.random.default_rng(1)
    network.parameters[:] += rng.normal(size=network.parameters.size) * 0.05
    history = network.fit(X, teacher.forward(X), epochs=400)
    assert history["loss"][0] > 1e-4 and network.evaluate(X, teacher.forward(X))["loss"] < 1e-15
    others = rng.uniform(-1, 1, (50, 2))
    np.testing.assert_allclose(network.forward(others), teacher.forward(others), atol=1e-5)


def test_no_iteration_of_either_raises_the_loss():
    for optimizer in (LevenbergMarquardt(), LBFGS()):
        losses = np.array(net(optimizer).fit(X, Y, epochs=60)["loss"])
        assert (np.diff(losses) <= 0).all() and losses[-1] < losses[0] / 30


@pytest.mark.parametrize(
    "loss, targets",
    [
        ("cross_entropy", (X[:, 0] > 0).astype(int)),
        ("huber", Y),
        ("poisson", np.exp(Y)),
        ("binary_cross_entropy", (Y > 0).astype(float)),
    ],
)
def test_lbfgs_lowers_any_loss(loss, targets):
    network = net(LBFGS(), loss=loss)
    history = network.fit(X, targets, epochs=50)
    slope = network.backward(X, targets)[1].flat
    assert history["loss"][-1] < history["loss"][0] / 1.5
    assert np.abs(slope).max() < 0.02


# ------------------------------------------------------------------ as other trainings


@both
def test_histories_have_validation_stopping_callbacks_and_limits(optimizer):
    network = net(optimizer)
    valid = (X[:50], Y[:50])
    seen = []
    history = network.fit(
        X, Y, epochs=40, validation_data=valid, callbacks=lambda e: seen.append(e) or len(seen) == 7
    )
    assert history.stopped == "callback" and len(history) == len(seen) == 7
    assert history["val_loss"][-1] == pytest.approx(network.evaluate(*valid)["loss"], rel=1e-12)
    noise = np.random.default_rng(2).normal(size=(20, 2))
    history = net(optimizer, (2, 30, 2)).fit(
        X[:20], noise, epochs=500, validation_data=(X[20:40], noise), early_stopping=5
    )
    assert history.stopped == "early stopping"
    assert net(optimizer).fit(X, Y, epochs=10**6, max_time=0.2).stopped in ("time", "converged")


@both
def test_files_copies_and_pickles_keep_the_optimizer(optimizer, tmp_path):
    network = net(type(optimizer)(l2=0.01, tol=1e-6))
    network.fit(X, Y, epochs=3)
    network.save(tmp_path / "net.safetensors")
    loaded = Network.load(tmp_path / "net.safetensors")
    for other in (loaded, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert repr(other.optimizer) == repr(network.optimizer)
        assert type(other.optimizer) is type(optimizer)
        other.fit(X, Y, epochs=2)
    network.fit(X, Y, epochs=2)
    if isinstance(optimizer, LevenbergMarquardt):
        assert loaded.parameters.tobytes() == network.parameters.tobytes()


def test_many_networks_train_with_it_in_parallel():
    jobs = [net(LevenbergMarquardt()) for _ in range(3)]
    alone = net(LevenbergMarquardt())
    alone.fit(X, Y, epochs=4)
    found = fit_many(jobs, X, Y, epochs=4).wait()
    assert [each.error for each in found] == [None] * 3
    assert {each.network.parameters.tobytes() for each in found} == {alone.parameters.tobytes()}


@pytest.mark.parametrize("rows", [200, 4096])
def test_what_was_derived_before_changes_no_bit(rows):
    """Larger blocks of rows that a Jacobian left behind are not written beyond."""
    X = np.random.default_rng(3).uniform(-1, 1, (rows, 2))
    plain, other = net(LevenbergMarquardt(), (2, 9, 1)), net(LevenbergMarquardt(), (2, 9, 1))
    other.jacobian(X, n_threads=1)
    other.per_sample_gradients(X, X[:, :1], n_threads=1)
    for each in (plain, other):
        each.fit(X, X[:, 0] * X[:, 1], epochs=4, n_threads=1)
    assert plain.parameters.tobytes() == other.parameters.tobytes()


def test_the_solution_is_that_of_lapack():
    rng = np.random.default_rng(4)
    for size in (1, 2, 3, 7, 8, 9, 33, 100):
        root = rng.normal(size=(size, size + 2))
        matrix, rhs, out = root @ root.T, rng.normal(size=size), np.empty(size)
        factor = np.empty(size**2)
        scales = rng.uniform(0.5, 2, size)
        assert normal.factor_damped.serial(np.tril(matrix).ravel(), 0.5, scales, factor)
        normal.solve_factored.serial(factor, rhs, out)
        np.testing.assert_allclose(
            out, np.linalg.solve(matrix + 0.5 * np.diag(scales), rhs), rtol=1e-9
        )
    for wrong in (-1.0, np.nan, -0.5):
        assert not normal.factor_damped.serial(np.eye(1).ravel() * wrong, 0.5, *np.ones((2, 1)))


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e6])
def test_it_converges_where_no_step_changes_the_parameters(scale):
    """Not where the damping is large, which targets of any size may need."""
    network = net(LevenbergMarquardt(damping=1e12, tol=0.0))
    history = network.fit(X, scale * Y, epochs=60)
    assert history["loss"][-1] < 0.5 * history["loss"][0] and len(history) > 20


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "make, fit, error, words",
    [
        ({"loss": "huber"}, {}, ValueError, 'loss="huber": LevenbergMarquardt needs squared_error'),
        ({}, {"X": ArraySource(X, Y), "y": None}, ValueError, "X is a stream: Levenberg"),
        ({}, {"X": iter([(X, Y)]), "y": None}, ValueError, "X is a stream: Levenberg"),
        ({}, {"X": iter([]), "y": None}, ValueError, "X is a stream: Levenberg"),
        ({}, {"X": scipy.sparse.csr_array(X)}, ValueError, "X is sparse: LevenbergMarquardt takes"),
    ],
)
def test_what_it_cannot_train_is_refused_by_name(make, fit, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = net(**({"optimizer": LevenbergMarquardt()} | make))
    before = network.parameters.copy()
    with pytest.raises(error, match=words):
        network.fit(**({"X": X, "y": Y, "epochs": 2} | fit))
    np.testing.assert_array_equal(network.parameters, before)
    assert not list(tmp_path.iterdir())


@both
def test_there_are_no_single_steps_and_no_dropout(optimizer):
    network = net(optimizer)
    _, gradients = network.backward(X, Y)
    for step in (
        lambda: network.update(gradients),
        lambda: network.update(gradients, rate=0.1),
        lambda: network.step(X, Y),
        lambda: network.step(X, Y, rate=0.1),
        lambda: network.train_state(8),
        lambda: plan_ranks(network, 1000, 100, ranks=[2]),
        lambda: network.set_learning_rate(0.1),
    ):
        with pytest.raises(TypeError, match="it takes all rows at once: call fit"):
            step()
    layers = [Dense(4), Dropout(0.1), Dense(2)]
    with pytest.raises(ValueError, match="the network has dropout"):
        Network(inputs=2, layers=layers, optimizer=optimizer).fit(X, Y, epochs=1)


@pytest.mark.parametrize(
    "kind, numbers, words",
    [
        (LevenbergMarquardt, {"damping": 0}, "damping=0: expected a number greater than 0"),
        (LevenbergMarquardt, {"l2": -1}, "l2=-1"),
        (LevenbergMarquardt, {"tol": np.nan}, "tol=nan"),
        (LBFGS, {"memory": 0}, "memory=0: expected at least 1"),
        (LBFGS, {"memory": 2.5}, "memory=2.5"),
    ],
)
def test_arguments_out_of_range_are_named(kind, numbers, words):
    with pytest.raises((ValueError, TypeError), match=words):
        kind(**numbers)


def test_what_does_not_fit_is_said_with_the_numbers():
    network = net(LevenbergMarquardt(), (2, 90_000, 2))  # J^T J of 450,002 parameters: 1.5 TiB
    before = network.parameters.copy()
    with pytest.raises(MemoryError, match=r"LevenbergMarquardt of 450,002 parameters .* LBFGS"):
        network.fit(X[:3], Y[:3], epochs=1)
    np.testing.assert_array_equal(network.parameters, before)


def test_a_loss_that_is_not_finite_ends_it_as_any_training():
    for optimizer in (LevenbergMarquardt(), LBFGS()):
        network = net(optimizer, (2, 2))
        network.parameters[:] = 1e200
        with pytest.raises(DivergenceError):
            network.fit(X * 1e150, Y, epochs=2)


@pytest.mark.parametrize("numbers", [{"memory": -1}, {"memory": 10, "l2": "much"}, {"l1": 0.5}, {}])
def test_a_file_with_a_wrong_optimizer_is_refused(numbers, tmp_path):
    model = net(LBFGS()).to_model()
    hyper = dict(model.optimizer.hyper_parameters) | numbers if numbers else {}
    object.__setattr__(model.optimizer, "_numbers", hyper)
    model_file.save(tmp_path / "net.safetensors", model)
    with pytest.raises(ModelFileError, match="describes a network that cannot be built"):
        Network.load(tmp_path / "net.safetensors")


# ------------------------------------------------------------------ the estimator


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_the_solver_of_the_regressor_finds_the_minimum():
    options = {"hidden_layer_sizes": (6,), "activation": "tanh", "random_state": 0, "tol": 1e-9}
    lm = MLPRegressor(solver="lm", max_iter=300, **options).fit(X, Y)
    lbfgs = MLPRegressor(solver="lbfgs", max_iter=300, max_fun=10**5, **options).fit(X, Y)
    assert lm.loss_ <= 1.1 * lbfgs.loss_ and lm.n_iter_ <= 300
    # half of the mean square, as scikit-learn has it, and alpha / 2n of the squares of weights
    penalty = 1e-4 / 400 * sum((w**2).sum() for w in lm.coefs_)
    error = ((lm.predict(X) - Y) ** 2).mean() / 2
    assert lm.loss_ == pytest.approx(error + penalty, rel=1e-9)
    # where the gradient of the objective is 0, penalty included, by differences
    weights, biases = lm.coefs_, lm.intercepts_

    def objective():
        errors = np.tanh(X @ weights[0] + biases[0]) @ weights[1] + biases[1] - Y
        return (errors**2).sum() / 400 + 1e-4 / 400 * sum((w**2).sum() for w in weights)

    for array in (*weights, *biases):
        values = []
        for step in (1e-5, -2e-5):
            array.flat[0] += step
            values.append(objective())
        array.flat[0] += 1e-5
        assert abs(values[0] - values[1]) / 2e-5 < 1e-5
    assert not hasattr(lm, "partial_fit")
    with pytest.raises(ValueError, match="The 'solver' parameter of MLPClassifier must be"):
        MLPClassifier(solver="lm").fit(X, X[:, 0] > 0)
    with pytest.raises(ValueError, match="solver='lm', loss='huber'"):
        MLPRegressor("huber", solver="lm").fit(X, Y)
    with pytest.raises(ValueError, match="optimizer=LBFGS"):
        MLPRegressor(optimizer=LBFGS()).fit(X, Y)
    with pytest.warns(UserWarning, match=r"lm: the maximum iterations \(2\)"):
        MLPRegressor(solver="lm", max_iter=2, random_state=0).fit(X, Y)
