"""Backpropagation against central differences of its own loss, and against the textbook."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
from fastbp import LOSSES, Dense, Dropout, Network
from smooth_nets import PAIRS, STEP, assert_near, assert_near_differences, build

every_pair = pytest.mark.parametrize("hidden, output, loss", PAIRS)


def differences(network, X, Y, weight=None):
    """The gradient of the loss that `backward` returns, by central differences."""
    p, slopes = network.parameters, np.empty(network.parameters.size)
    for i in range(p.size):
        old, losses = p[i], []
        for p[i] in (old + STEP, old - STEP):
            losses.append(network.backward(X, Y, weight)[0])
        p[i] = old
        slopes[i] = (losses[0] - losses[1]) / (2 * STEP)
    return slopes


def textbook(twin, *batch, **more):
    loss, dw, db = twin.gradient(*batch, **more)
    return loss, twin.flat(dw, db)


@every_pair
def test_every_pair_against_central_differences(hidden, output, loss):
    network, _, X, Y, rng = build([3, 9, 4], [hidden, output], loss)
    weight = rng.random(len(X))
    assert_near_differences(network.backward(X, Y)[1].flat, differences(network, X, Y))
    weighted = network.backward(X, Y, weight)[1].flat
    assert_near_differences(weighted, differences(network, X, Y, weight))


# the last layers are wider than a register, and leave one partly filled
# float32: 24 bits, a few roundings on the way through three products
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 1e-5)])
@every_pair
def test_every_pair_against_the_textbook(hidden, output, loss, dtype, tolerance):
    network, twin, X, Y, rng = build([5, 18, 7, 19], [hidden, "tanh", output], loss, dtype)
    for weight in (None, rng.random(len(X)).astype(dtype)):
        value, gradient = network.backward(X, Y, weight)
        expected, reference = textbook(twin, X, Y, weight)
        assert value == pytest.approx(expected, rel=tolerance)
        assert_near(gradient.flat, reference, tolerance)


@settings(max_examples=60, derandomize=True)
@given(
    sizes=st.lists(st.integers(1, 37), min_size=2, max_size=5),
    rows=st.integers(1, 33),
    bias=st.booleans(),
    loss=st.sampled_from(sorted(LOSSES)),
    names=st.lists(st.sampled_from(["tanh", "gelu", "softplus"]), min_size=3, max_size=3),
)
def test_any_shape_against_the_textbook(sizes, rows, bias, loss, names):
    names = [*names[: len(sizes) - 2], None]
    network, twin, X, Y, _ = build(sizes, names, loss, bias=bias, rows=rows)
    value, gradient = network.backward(X, Y)
    expected, reference = textbook(twin, X, Y)
    # one softmax output is the constant 1: loss and gradient are 0 up to rounding
    assert value == pytest.approx(expected, rel=1e-10, abs=1e-14)
    np.testing.assert_allclose(
        gradient.flat, reference, rtol=1e-8, atol=1e-10 * max(1e-3, np.abs(reference).max())
    )


@pytest.mark.parametrize("rows", range(1, 9))
def test_any_number_of_rows_against_the_textbook(rows):
    network, twin, X, Y, _ = build([3, 18, 2], ["tanh", None], "squared_error", rows=rows)
    assert_near(network.backward(X, Y)[1].flat, textbook(twin, X, Y)[1], 1e-10)


def test_a_layer_without_bias_has_no_such_gradient():
    network, _, X, Y, _ = build([4, 6, 3], ["relu", None], "squared_error", bias=False)
    gradient = network.backward(X, Y)[1]
    assert [b.size for b in gradient.biases] == [0, 0]
    assert gradient.flat.size == 4 * 6 + 6 * 3
    assert_near_differences(gradient.flat, differences(network, X, Y))


def test_gradients_are_shaped_like_the_layers():
    network, twin, X, Y, _ = build([4, 6, 3], ["tanh", None], "squared_error")
    gradient = network.backward(X, Y)[1]
    _, dw, db = twin.gradient(X, Y)
    for n in range(2):
        np.testing.assert_allclose(gradient.weights[n], dw[n], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(gradient.biases[n], db[n], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [2, 5, 19])
def test_integer_labels_and_one_hot_rows_give_the_same_bits(dtype, classes):
    network = Network([4, 6, classes], "tanh", "cross_entropy", dtype=dtype)
    rng = np.random.default_rng(3)
    X, labels = rng.normal(size=(11, 4)), rng.integers(0, classes, 11)
    weight = rng.random(11)
    for w in (None, weight):
        loss, gradient = network.backward(X, labels, w)
        loss_of_rows, gradient_of_rows = network.backward(X, np.eye(classes)[labels], w)
        assert loss == loss_of_rows
        assert np.array_equal(gradient.flat, gradient_of_rows.flat)
        assert np.abs(gradient.flat).max() > 1e-3


def test_a_row_of_weight_zero_counts_for_nothing():
    network, _, X, Y, rng = build([4, 6, 3], ["tanh", None], "squared_error")
    weight = rng.random(len(X))
    weight[2] = 0
    rest = np.arange(len(X)) != 2
    loss, gradient = network.backward(X, Y, weight)
    loss_of_rest, gradient_of_rest = network.backward(X[rest], Y[rest], weight[rest])
    assert loss == pytest.approx(loss_of_rest, rel=1e-14)
    np.testing.assert_allclose(gradient.flat, gradient_of_rest.flat, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_saturated_logits_keep_an_exact_loss_and_slope(loss, dtype):
    # -log of a probability of e^-1000, which no float holds, is 1000: the error of the logit
    network = Network([1, 2], loss=loss, dtype=dtype)
    network.weights[0][:] = [[1000.0, 0.0]]
    y = [[0.0, 1.0]]
    value, gradient = network.backward([[1.0]], y)
    # the second of the two binary outputs stands at logit 0: log 2, slope -1/2
    binary = loss == "binary_cross_entropy"
    assert value == pytest.approx(1000 + (np.log(2) if binary else 0), rel=1e-6)
    np.testing.assert_allclose(gradient.biases[0], [1, -0.5 if binary else -1], rtol=1e-6)


def dropped_outputs(network, X, Y):
    """Return the input of every layer after dropout, recovered from gradients alone.

    A weight of 1 on row i and 0 elsewhere leaves that row's a delta^T and delta.
    """
    rows = []
    for one in np.eye(len(X)):
        gradient = network.backward(X, Y, one)[1]
        best = [np.abs(b).argmax() for b in gradient.biases]
        pairs = zip(gradient.weights, gradient.biases, best, strict=True)
        rows.append([w[:, k] / b[k] for w, b, k in pairs])
    return [np.array(layer) for layer in zip(*rows, strict=True)]


@pytest.mark.parametrize("hidden", ["tanh", "relu", "gelu"])
def test_dropout_has_one_mask_in_both_passes(hidden):
    rates = [0.3125, 0.5, 0.1875]  # multiples of 2^-16, to which rates are rounded
    first, second, third = map(Dropout, rates)
    layers = [first, Dense(17, hidden), second, Dense(8, "tanh"), third]
    network = Network(inputs=6, layers=[*layers, Dense(2)], dtype="float64", seed=5)
    rng = np.random.default_rng(5)
    for b in network.biases:
        b[:] = 0.3 * rng.normal(size=b.shape)
    X, Y = rng.normal(size=(9, 6)), rng.normal(size=(9, 2))
    twin = oracle.MLP.of(network, [hidden, "tanh", "identity"], "squared_error")
    masks = []
    for n, (inputs, rate) in enumerate(zip(dropped_outputs(network, X, Y), rates, strict=True)):
        # where the layer's own output is 0 (relu), any mask will do
        known = [*masks, *[np.ones((9, w.shape[0])) for w in twin.weights[n:]]]
        full = np.array([twin.forward(x, [m[i] for m in known])[1][n] for i, x in enumerate(X)])
        alive = full != 0
        ratio = np.where(alive, inputs / np.where(alive, full, 1), 0)
        kept = ratio > 0.5
        np.testing.assert_allclose(ratio, kept / (1 - rate), rtol=1e-9, atol=1e-12)
        assert 0 < kept.sum() < alive.sum()
        masks.append(kept / (1 - rate))
    value, gradient = network.backward(X, Y)
    expected, reference = textbook(twin, X, Y, masks=masks)
    assert value == pytest.approx(expected, rel=1e-10)
    assert_near(gradient.flat, reference, 1e-10)
    if hidden != "relu":  # smooth, so that the masked loss has differences too
        assert_near_differences(gradient.flat, differences(network, X, Y))
