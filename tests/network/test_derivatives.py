"""Jacobians, products with them and gradients of single samples, against central differences."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastbp import Dense, Dropout, Network
from fastbp.derivatives.workspace import rows_of_block
from smooth_nets import PAIRS, SHAPES, STEP, assert_near_differences, build, logits

every_pair = pytest.mark.parametrize("hidden, output, loss", PAIRS)
every_shape = pytest.mark.parametrize("name", SHAPES)


def slopes_by_inputs(function, X):
    """Return d function(X)_k / d x_j of each row (n, n_out, n_in), by central differences."""
    found = []
    for j in range(X.shape[1]):
        move = STEP * np.eye(X.shape[1])[j]
        found.append((function(X + move) - function(X - move)) / (2 * STEP))
    return np.stack(found, axis=-1)


def slopes_by_parameters(network, function):
    """Return d function() / d p of each parameter, by central differences; the last axis."""
    p, found = network.parameters, []
    for i in range(p.size):
        old, values = p[i], []
        for p[i] in (old + STEP, old - STEP):
            values.append(function())
        p[i] = old
        found.append((values[0] - values[1]) / (2 * STEP))
    return np.stack(found, axis=-1)


@every_pair
def test_jacobians_of_every_pair(hidden, output, loss):
    network, _, X, _, _ = build([3, 9, 4], [hidden, output], loss)
    assert_near_differences(network.jacobian(X), slopes_by_inputs(network.forward, X))
    of_logits = slopes_by_inputs(lambda x: logits(network, x), X)
    assert_near_differences(network.jacobian(X, of="logits"), of_logits)
    by_parameters = slopes_by_parameters(network, lambda: network.forward(X))
    assert_near_differences(network.jacobian(X, wrt="parameters"), by_parameters)


@every_pair
def test_gradients_of_samples_and_inputs_of_every_pair(hidden, output, loss):
    network, _, X, Y, rng = build([3, 9, 4], [hidden, output], loss)
    gradients = network.per_sample_gradients(X, Y)
    for i in range(2):
        one = slopes_by_parameters(network, lambda i=i: network.backward(X[[i]], Y[[i]])[0])
        assert_near_differences(gradients[i], one)
    mean = network.backward(X, Y)[1].flat
    np.testing.assert_allclose(gradients.mean(axis=0), mean, rtol=1e-12, atol=1e-12)
    norms = np.linalg.norm(gradients, axis=1)
    np.testing.assert_allclose(network.per_sample_norms(X, Y), norms, rtol=1e-12)
    weight = rng.random(len(X))
    loss_of = network.backward
    for w in (None, weight):
        for i in range(2):

            def of_row(x, i=i, w=w):
                moved = X.copy()
                moved[i] = x[0]
                return np.array([[loss_of(moved, Y, w)[0]]])

            slopes = slopes_by_inputs(of_row, X[[i]])[0, 0]
            found = network.input_gradient(X, Y, w)[i]
            np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=1e-8)


@every_shape
def test_any_shape(name):
    sizes, names, bias = SHAPES[name]
    network, _, X, Y, _ = build(sizes, names, "squared_error", bias=bias, rows=13)
    assert_near_differences(network.jacobian(X), slopes_by_inputs(network.forward, X))
    by_parameters = network.jacobian(X, wrt="parameters")
    slopes = slopes_by_parameters(network, lambda: network.forward(X))
    assert_near_differences(by_parameters, slopes)
    gradients = network.per_sample_gradients(X, Y)
    errors = (network.forward(X) - Y)[:, None]  # dL/dA of the squared error
    np.testing.assert_allclose(gradients, (errors @ by_parameters)[:, 0], rtol=1e-10, atol=1e-12)
    norms = network.per_sample_norms(X, Y)
    np.testing.assert_allclose(norms, np.linalg.norm(gradients, axis=1), rtol=1e-12)


@every_shape
@pytest.mark.parametrize("of", ["outputs", "logits"])
def test_vjp_is_the_product_with_both_jacobians(name, of):
    sizes, names, bias = SHAPES[name]
    network, _, X, _, rng = build(sizes, names, "squared_error", bias=bias, rows=13)
    cotangent = rng.normal(size=(13, sizes[-1]))
    gradients, dX = network.vjp(X, cotangent, of)
    J, P = (network.jacobian(X, of, wrt) for wrt in ("inputs", "parameters"))
    np.testing.assert_allclose(dX, np.einsum("nk,nkj->nj", cotangent, J), rtol=1e-10, atol=1e-12)
    flat = np.einsum("nk,nkp->p", cotangent, P)
    np.testing.assert_allclose(gradients.flat, flat, rtol=1e-10, atol=1e-11)
    for l, layer in enumerate(network.layers):  # noqa: E741 - as in the textbook
        assert gradients.weights[l].shape == (layer.n_in, layer.n_out)
        assert gradients.biases[l].size == layer.bias * layer.n_out
    if sizes[-1] == 1:
        assert np.array_equal(network.vjp(X, cotangent[:, 0], of)[1], dX)


def test_a_loss_of_ones_own_trains_the_network():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, 2))
    y = X[:, :1] * X[:, 1:]
    network = Network([2, 16, 1], "tanh", seed=0)
    before = np.mean(np.cosh(network.forward(X) - y))
    for _ in range(400):  # log cosh, which is in no table
        network.update(network.vjp(X, np.tanh(network.forward(X) - y) / len(X))[0])
    assert np.mean(np.cosh(network.forward(X) - y)) - 1 < 0.1 * (before - 1)


def test_blocks_of_rows_give_what_their_parts_give():
    network = Network([5, 12, 3], "tanh", dtype="float64", seed=2)
    rows = rows_of_block(network.engine.plan)
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(2 * rows + 77, 5)), rng.normal(size=(2 * rows + 77, 3))
    dX, jacobian = network.input_gradient(X, Y) * len(X), network.jacobian(X)
    gradients, norms = network.per_sample_gradients(X, Y), network.per_sample_norms(X, Y)
    for part in (slice(40), slice(rows - 5, rows + 5), slice(2 * rows, None)):
        found = network.input_gradient(X[part], Y[part]) * len(X[part])
        np.testing.assert_allclose(dX[part], found, rtol=1e-13)
        assert np.array_equal(jacobian[part], network.jacobian(X[part]))
        assert np.array_equal(gradients[part], network.per_sample_gradients(X[part], Y[part]))
        assert np.array_equal(norms[part], network.per_sample_norms(X[part], Y[part]))
    flat = network.vjp(X, network.forward(X) - Y)[0].flat
    np.testing.assert_allclose(flat / len(X), network.backward(X, Y)[1].flat, rtol=1e-12)


def test_classes_and_dropout():
    layers = [Dropout(0.2), Dense(8, "relu"), Dropout(0.5), Dense(3)]
    network = Network(inputs=4, layers=layers, loss="cross_entropy", dtype="float64", seed=1)
    same = Network([4, 8, 3], "relu", "cross_entropy", dtype="float64")
    same.parameters[:] = network.parameters
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(9, 4)), rng.integers(0, 3, 9)
    mean = same.backward(X, y)[1].flat
    gradients = network.per_sample_gradients(X, y)
    np.testing.assert_allclose(gradients.mean(axis=0), mean, rtol=1e-12, atol=1e-14)
    assert np.array_equal(gradients, network.per_sample_gradients(X, np.eye(3)[y]))
    assert np.array_equal(network.jacobian(X), same.jacobian(X))


def test_threads_may_derive_one_network_while_another_trains_it():
    network = Network([5, 12, 3], "tanh", "cross_entropy", seed=2)
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(300, 5)), rng.integers(0, 3, 300)
    v = rng.normal(size=network.parameters.size)
    calls = [
        lambda: network.jacobian(X),
        lambda: network.hvp(X, y, v),
        lambda: network.per_sample_norms(X, y),
        lambda: network.vjp(X, network.forward(X))[0].flat,
    ]
    expected = [call() for call in calls]
    with ThreadPoolExecutor(4) as pool, network.engine.gate.in_use:  # as in a training
        for _ in range(10):
            found = list(pool.map(lambda call: call(), calls))
            assert all(map(np.array_equal, found, expected))


def test_bad_arguments_are_refused_before_any_work():
    network = Network([3, 4, 2])
    X, Y = np.ones((5, 3)), np.ones((5, 2))
    nan = np.where(np.arange(15).reshape(5, 3) == 7, np.nan, 1.0)
    for call, error, words in (
        (lambda: network.jacobian(X[:, :2]), ValueError, "2 columns but the network has 3 inputs"),
        (lambda: network.jacobian(X[0]), ValueError, "expected 2 dimensions"),
        (lambda: network.jacobian(X[:0]), ValueError, "at least one sample"),
        (lambda: network.jacobian(nan), ValueError, r"X\[2, 1\] is nan"),
        (lambda: network.jacobian(X.astype(complex)), TypeError, "expected real numbers"),
        (lambda: network.jacobian(X, "output"), ValueError, "of='output'"),
        (lambda: network.jacobian(X, wrt="weights"), ValueError, "wrt='weights'"),
        (lambda: network.jacobian(X, n_threads=0), ValueError, "n_threads=0"),
        (lambda: network.jacobian(csr_array(X)), TypeError, "X is a sparse matrix"),
        (lambda: network.vjp(X, Y[:, :1]), ValueError, "cotangent has 1 columns"),
        (lambda: network.vjp(X, Y[:4]), ValueError, "cotangent has 4 rows but X has 5"),
        (lambda: network.vjp(X, nan[:, :2]), ValueError, r"cotangent\[2, 1\] is nan"),
        (lambda: network.vjp(X, Y[:, 0]), ValueError, "expected 2 dimensions"),
        (lambda: network.per_sample_gradients(X, Y[:, :1]), ValueError, "y has 1 columns"),
        (lambda: network.per_sample_norms(X, Y[:4]), ValueError, "y has 4 rows but X has 5"),
        (lambda: network.input_gradient(X, Y, -Y[:, 0]), ValueError, "sample_weight lies in"),
        (lambda: network.per_sample_norms(csr_array(X), Y), TypeError, "X is a sparse matrix"),
    ):
        with pytest.raises(error, match=words):
            call()
    classes = Network([3, 4, 2], loss="cross_entropy")
    with pytest.raises(ValueError, match="label 2"):
        classes.per_sample_gradients(X, [0, 1, 2, 0, 1])


def test_a_result_that_does_not_fit_into_memory_is_refused():
    network = Network([1, 1000, 1000, 1])
    X = y = np.ones((3_000_000, 1), np.float32)
    with pytest.raises(MemoryError, match=r"the Jacobian .* needs about .* TiB.*use vjp or jvp"):
        network.jacobian(X, wrt="parameters")
    with pytest.raises(MemoryError, match=r"gradients of the samples .* needs about .*fewer rows"):
        network.per_sample_gradients(X, y)
