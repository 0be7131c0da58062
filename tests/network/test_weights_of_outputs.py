"""Weights (n, n_out): sum w_ij L_ij / (sum w_ij / n_out), beside NumPy and differences of it."""

import copy

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import r2_score

import oracle
from fastbp import LBFGS, LOSSES, SGD, Ensemble, LevenbergMarquardt, Network
from smooth_nets import STEP, assert_near, assert_near_differences, build

RNG = np.random.default_rng(2)
BY_OUTPUT = [name for name, record in LOSSES.items() if record.targets != "classes"]
# sizes, activations, loss: those with a canonical output, then others
CASES = [([4, 5, 3], ["tanh", None], loss) for loss in BY_OUTPUT]
CASES += [([4, 5, 3], ["tanh", "softmax"], "squared_error"), ([3, 20], [None], "huber")]
CASES += [([4, 5, 3], ["tanh", "tanh"], "squared_error"), ([3, 5, 1], ["tanh", None], "poisson")]


def drawn(shape):
    return RNG.random(shape) * (RNG.random(shape) < 0.7)


def mean_loss(twin, X, Y, weight):
    """Return the loss as its formula has it, output by output."""
    value, total = oracle.LOSSES[twin.loss][0], 0.0
    share = Y.shape[1] if LOSSES[twin.loss].is_mean else 1
    for x, y, row in zip(X, Y, weight, strict=True):
        a = twin.forward(x)[1][-1]
        for j, w in enumerate(row):
            total += w * value(a[j : j + 1], y[j : j + 1], twin.parameter) / share
    return total / (weight.sum() / Y.shape[1])


def differences(twin, of_loss):
    """Return the central differences of a loss by the parameters, in their order."""
    found = []
    for w, b in zip(twin.weights, twin.biases, strict=True):
        for array in (w.reshape(-1), b):
            for k in range(array.size):
                before = array[k]
                ends = []
                for array[k] in (before + STEP, before - STEP):
                    ends.append(of_loss())
                array[k] = before
                found.append((ends[0] - ends[1]) / (2 * STEP))
    return np.array(found)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[2]}-{c[1][-1] or 'partner'}-{c[0][-1]}")
def test_loss_and_gradient_are_those_of_the_formula(case):
    network, twin, X, Y, _ = build(*case)
    weight = drawn(Y.shape)
    expected = mean_loss(twin, X, Y, weight)
    loss, gradients = network.backward(X, Y, weight)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert network.evaluate(X, Y, weight)["loss"] == pytest.approx(expected, rel=1e-12)
    slopes = differences(twin, lambda: mean_loss(twin, X, Y, weight))
    assert_near_differences(gradients.flat, slopes)


@pytest.mark.parametrize("loss", [*BY_OUTPUT, "quantiles"])
def test_weights_that_are_alike_in_each_row_give_the_bits_of_one(loss):
    loss, levels = ("quantile", [0.2, 0.5, 0.9]) if loss == "quantiles" else (loss, None)
    X, Y = RNG.random((70, 4)), RNG.random((70, 3))
    weight = drawn(70).astype("float32")
    one, each = (Network([4, 9, 3], "tanh", loss, loss_parameter=levels, seed=1) for _ in range(2))
    plain = one.fit(X, Y, 3, 16, sample_weight=weight, validation_data=(X, Y, weight))
    tiled = np.repeat(weight[:, None], 3, axis=1)
    found = each.fit(X, Y, 3, 16, sample_weight=tiled, validation_data=(X, Y, tiled))
    assert np.array_equal(one.parameters, each.parameters)
    # the losses of a row are weighed before they are added, which may round
    np.testing.assert_allclose(found["loss"], plain["loss"], rtol=1e-6)
    np.testing.assert_allclose(found["val_loss"], plain["val_loss"], rtol=1e-6)


def test_a_fit_makes_the_steps_of_the_formula():
    network, twin, X, Y, _ = build([4, 5, 3], ["tanh", None], "squared_error", rows=40)
    weight = drawn(Y.shape)
    fitted = Network([4, 5, 3], "tanh", optimizer=SGD(0.25), dtype="float64", seed=0)
    fitted.parameters[:] = network.parameters
    fitted.fit(X, Y, 1, 25, sample_weight=weight, shuffle=False)
    for rows in (slice(0, 25), slice(25, 40)):
        given = X[rows], Y[rows], weight[rows]
        change = -0.25 * differences(twin, lambda given=given: mean_loss(twin, *given))
        place = 0
        for array in [
            a.reshape(-1) for pair in zip(twin.weights, twin.biases, strict=True) for a in pair
        ]:
            array += change[place : place + array.size]
            place += array.size
    expected = np.concatenate(
        [np.ravel(a) for pair in zip(twin.weights, twin.biases, strict=True) for a in pair]
    )
    np.testing.assert_allclose(fitted.parameters, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads_and_a_step_has_those_of_a_fit(dtype):
    X, Y = RNG.normal(size=(300, 6)), RNG.random((300, 7))
    weight = drawn(Y.shape)
    nets = [Network([6, 30, 7], loss="huber", dtype=dtype, seed=3) for _ in range(4)]
    for threads, net in enumerate(nets[:3], start=1):
        net.fit(X, Y, 2, 150, sample_weight=weight, shuffle=False, n_threads=threads)
    for _ in range(2):
        for rows in (slice(0, 150), slice(150, 300)):
            nets[3].step(X[rows], Y[rows], weight[rows], n_threads=2)
    assert len({net.parameters.tobytes() for net in nets}) == 1
    alone, apart = nets[0], nets[1]
    for x in (X, csr_array(np.where(np.abs(X) > 1, X, 0))):
        loss, grads = apart.backward(x, Y, weight)
        apart.update(grads)
        assert alone.step(x, Y, weight) == loss
        alone.step(X, Y)  # without weights, nor those of before
        apart.update(apart.backward(X, Y)[1])
        assert np.array_equal(alone.parameters, apart.parameters)


@pytest.mark.parametrize("optimizer", [LevenbergMarquardt(), LBFGS()], ids=["lm", "lbfgs"])
def test_second_order_optimizers_find_the_weighted_least_squares(optimizer):
    X, Y = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 2))
    weight = drawn(Y.shape)
    net = Network([3, 2], optimizer=optimizer, dtype="float64", seed=0)
    net.fit(X, Y, 200, sample_weight=weight)
    columns = np.column_stack([X, np.ones(50)])
    for j in range(2):
        root = np.sqrt(weight[:, j])
        exact = np.linalg.lstsq(columns * root[:, None], Y[:, j] * root, rcond=None)[0]
        found = [*net.weights[0][:, j], net.biases[0][j]]
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)


def test_derivatives_take_them():
    network, twin, X, Y, rng = build([4, 5, 3], ["tanh", None], "squared_error")
    weight, v = drawn(Y.shape), rng.normal(size=network.parameters.size)
    by_inputs = np.empty_like(X)
    for place in np.ndindex(X.shape):
        ends = [X.copy(), X.copy()]
        ends[0][place] += STEP
        ends[1][place] -= STEP
        up, down = (mean_loss(twin, x, Y, weight) for x in ends)
        by_inputs[place] = (up - down) / (2 * STEP)
    assert_near_differences(network.input_gradient(X, Y, weight), by_inputs)
    slopes = []
    for sign in (1, -1):
        moved = copy.deepcopy(network)
        moved.parameters[:] += sign * STEP * v
        slopes.append(moved.backward(X, Y, weight)[1].flat)
    assert_near(network.hvp(X, Y, v, weight), (slopes[0] - slopes[1]) / (2 * STEP), 1e-6)
    J = network.jacobian(X, wrt="parameters").reshape(-1, v.size)
    product = J.T @ (weight.ravel() * (J @ v)) / (weight.sum() / 3)
    np.testing.assert_allclose(network.gauss_newton_product(X, Y, v, weight), product, rtol=1e-9)


def test_scores_weigh_each_output():
    X, Y = RNG.normal(size=(60, 4)), RNG.random((60, 3))
    weight = drawn(Y.shape)
    nets = [Network([4, 5, 3], dtype="float64", seed=seed) for seed in range(2)]
    for model in (nets[0], Ensemble(nets)):
        A = model.forward(X)
        r2 = [r2_score(Y[:, j], A[:, j], sample_weight=weight[:, j]) for j in range(3)]
        found = model.evaluate(X, Y, weight)
        squares = (weight * (A - Y) ** 2 / 2).sum() / (weight.sum() / 3)
        assert found == pytest.approx({"loss": squares, "r2": np.mean(r2)}, rel=1e-12)
    net = Network([4, 5, 3], loss="binary_cross_entropy", dtype="float64", seed=0)
    wrong = ((net.forward(X) > 0.5) != (Y > 0.5)) & (weight > 0)
    expected = np.average(~wrong.any(axis=1), weights=weight.sum(axis=1))
    assert 0 < expected < 1
    assert net.evaluate(X, Y, weight)["accuracy"] == pytest.approx(expected, rel=1e-12)
    history = net.fit(X, Y, 1, validation_data=(X, Y, weight))
    assert history["val_accuracy"][0] == net.evaluate(X, Y, weight)["accuracy"]


def test_an_output_of_no_weight_counts_for_nothing_even_where_it_overflows():
    net = Network([2, 2], loss="poisson", seed=0)
    net.biases[0][1] = 200.0  # exp(200) is infinite in float32
    X, Y, weight = np.ones((5, 2)), np.ones((5, 2)), np.tile([1.0, 0.0], (5, 1))
    alone = Network([2, 1], loss="poisson", seed=0)
    alone.weights[0][:], alone.biases[0][:] = net.weights[0][:, :1], net.biases[0][:1]
    loss, grads = net.backward(X, Y, weight)
    expected, of_one = alone.backward(X, Y[:, :1])
    assert loss == pytest.approx(2 * expected, rel=1e-6)
    np.testing.assert_allclose(grads.weights[0][:, :1], 2 * of_one.weights[0], rtol=1e-6)
    assert not grads.weights[0][:, 1].any() and grads.biases[0][1] == 0


@pytest.mark.parametrize(
    "bad, words",
    [
        (np.ones((20, 2)), r"2 columns but the network has 3 outputs.*\(n, n_out\)"),
        (np.ones((19, 3)), "19 rows"),
        (np.ones((20, 3, 1)), "1 dimension"),
        (-np.ones((20, 3)), "at least 0, not all 0; fit, step and backward take negative ones"),
        (np.zeros((20, 3)), "not all 0"),
        (np.full((20, 3), np.nan), r"sample_weight\[0, 0\] is nan"),
        (np.full((20, 3), np.inf), r"sample_weight\[0, 0\] is inf"),
    ],
)
def test_others_are_refused_before_any_work(bad, words):
    X, Y = np.ones((20, 4)), np.ones((20, 3))
    net = Network([4, 3], seed=0)
    before = net.parameters.copy()
    for call in (net.fit, net.step, net.backward, net.evaluate, net.input_gradient):
        with pytest.raises(ValueError, match=words):
            call(X, Y, sample_weight=bad)
    with pytest.raises(ValueError, match=r"validation_data\[2\]"):
        net.fit(X, Y, validation_data=(X, Y, bad))
    assert np.array_equal(net.parameters, before) and net.steps == 0


def test_losses_whose_outputs_depend_on_each_other_refuse_them():
    X, labels = np.ones((20, 4)), np.arange(20) % 3
    net = Network([4, 3], loss="cross_entropy", seed=0)
    for call in (net.fit, net.step, net.backward, net.evaluate):
        for y in (labels, np.eye(3)[labels]):
            with pytest.raises(ValueError, match="outputs of cross_entropy depend on each other"):
                call(X, y, sample_weight=np.ones((20, 3)))


def test_one_output_takes_them_as_weights_of_samples():
    X, y = RNG.normal(size=(20, 4)), RNG.normal(size=20)
    weight = drawn(20)
    column, row = Network([4, 1], seed=0), Network([4, 1], seed=0)
    column.fit(X, y, 2, 8, sample_weight=weight[:, None])
    row.fit(X, y, 2, 8, sample_weight=weight)
    assert np.array_equal(column.parameters, row.parameters)
