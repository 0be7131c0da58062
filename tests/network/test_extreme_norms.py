"""Norms of gradients whose squares overflow or vanish, beside float64 or long double ones."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastbp import SGD, Network
from fastbp.kernels import update

# powers of ten of gradients whose squares are no floats
POWERS = {"float32": (-40, -30, -24, -21, 18, 20, 25, 30), "float64": (-250, -170, 160, 240)}
CASES = [(dtype, power) for dtype, powers in POWERS.items() for power in powers]


def norms(gradients):
    return np.sqrt((np.asarray(gradients, np.longdouble) ** 2).sum(axis=-1))


@pytest.mark.parametrize(("dtype", "power"), CASES)
def test_update_clips_to_the_norm(dtype, power):
    rng = np.random.default_rng(0)
    for count in (1, 7, 2000):
        g = (rng.normal(size=count) * 10.0**power).astype(dtype)
        g[rng.random(count) < 0.3] = 0
        g[-1] = 10.0**power
        largest = norms(g)
        for share in (0.01, 0.5, 2.0):
            w = np.zeros(count, dtype)
            most = float(largest * share)
            update("sgd", w, g, np.zeros((2, count), dtype), 1, learning_rate=1.0, clip_norm=most)
            expected = -np.asarray(g, np.longdouble) * min(1.0, share)
            least = float(np.finfo(dtype).smallest_subnormal)
            np.testing.assert_allclose(w, expected.astype(dtype), rtol=2e-6, atol=2 * least)


def test_update_of_zeros_and_of_what_is_not_finite():
    for value in (0.0, np.inf, np.nan):
        w, g = np.zeros(9), np.zeros(9)
        g[4] = value
        update("sgd", w, g, np.zeros((2, 9)), 1, learning_rate=1.0, clip_norm=1.0)
        assert not w[g == 0].any()
        assert np.isfinite(w[4]) == (value == 0)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize(("dtype", "power"), CASES[1:])  # but those that are themselves rounded
def test_norms_of_samples_are_those_of_their_gradients(dtype, power, kind):
    """The squared error of a linear network: numbers of that size as outputs, as inputs, as both.

    A row of zeros, and one that fits, are among them.
    """
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(70, 9)), rng.normal(size=(70, 3))
    X[3], X[4], y[4] = 0, 0, 0
    half = 10.0 ** (power // 2)
    for of_x, of_y in ((1.0, 10.0**power), (half, half), (10.0**power, 1e-3)):
        network = Network([9, 3], "identity", dtype=dtype, seed=0)
        network.parameters[:] *= 1e-3 * of_y / max(of_x, 1e-30)
        network.biases[0][:] = 0
        scaled_x, scaled_y = (X * of_x).astype(dtype), (y * of_y).astype(dtype)
        given = csr_array(scaled_x) if kind == "sparse" else scaled_x
        expected = norms(network.per_sample_gradients(scaled_x, scaled_y))
        found = [network.per_sample_norms(scaled_x, scaled_y, n_threads=k) for k in (1, 2, 3)]
        np.testing.assert_allclose(found[0], expected.astype(dtype), rtol=3e-6, atol=1e-44)
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
        # a clipped batch, in any number of threads
        most = float(expected[expected > 0].min() / 2)
        steps = set()
        for threads in (1, 2, 3):
            clipped = Network(
                [9, 3], "identity", dtype=dtype, seed=0, optimizer=SGD(1, clip_sample_norm=most)
            )
            clipped.parameters[:] = network.parameters
            _, gradients = clipped.backward(given, scaled_y, n_threads=threads)
            steps.add(gradients.flat.tobytes())
        assert len(steps) == 1
        each = np.asarray(network.per_sample_gradients(scaled_x, scaled_y), np.longdouble)
        each[expected > 0] *= (most / expected[expected > 0])[:, None]
        np.testing.assert_allclose(gradients.flat, each.mean(0), rtol=1e-3, atol=1e-4 * most)


@pytest.mark.parametrize("activation", ["tanh", "logistic", "relu", "hard_tanh", "softplus"])
@pytest.mark.parametrize(("dtype", "large"), [("float32", 1e20), ("float64", 1e200)])
def test_saturated_units_count_zero_beside_inputs_of_any_size(activation, dtype, large):
    network = Network(
        [2, 3, 1],
        activation,
        output_activation="logistic",
        loss="squared_error",
        dtype=dtype,
        seed=0,
    )
    X = np.array([[large, large], [-large, -large], [large, -large], [1, 2]], dtype)
    y = np.full((4, 1), 0.5)
    expected = norms(network.per_sample_gradients(X, y))
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(network.per_sample_norms(X, y), expected.astype(dtype), rtol=2e-6)


def test_small_deltas_of_large_inputs_count():
    """In float32 no square of the deltas is above 0, but those of the gradient are."""
    network = Network([1, 1, 1], "identity", dtype="float32", seed=0)
    network.parameters[:] = 0
    network.weights[1][:] = 1e-24
    X, y = np.full((1, 1), 1e22, "float32"), np.full((1, 1), -1, "float32")
    expected = norms(network.per_sample_gradients(X, y))[0]
    assert expected > 1
    np.testing.assert_allclose(network.per_sample_norms(X, y), expected.astype("f4"), rtol=1e-6)


def test_steps_of_large_numbers_have_the_length_of_the_clip():
    """Times in nanoseconds, not scaled: float32 takes the steps that float64 takes."""
    rng = np.random.default_rng(2)
    X, y = rng.uniform(1.5e18, 1.6e18, (64, 1)), rng.uniform(1.5e9, 1.6e9, (64, 1))
    for numbers in ({"clip_norm": 1.0}, {"clip_sample_norm": 1.0}):
        moved = {}
        for dtype in ("float32", "float64"):
            for threads in (1, 2, 3):
                network = Network(
                    [1, 8, 1], "relu", dtype=dtype, seed=0, optimizer=SGD(1, **numbers)
                )
                before = network.parameters.copy()
                network.fit(X, y, epochs=1, batch_size=64, n_threads=threads)
                moved.setdefault(dtype, []).append(network.parameters - before)
            assert len({each.tobytes() for each in moved[dtype]}) == 1
        assert np.linalg.norm(moved["float64"][0]) > 0.5
        np.testing.assert_allclose(moved["float32"][0], moved["float64"][0], atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[3, 1], [3, 4, 2]])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_norm_of_a_gradient_that_is_not_finite_is_not_zero(value, sizes, dtype):
    X = np.random.default_rng(0).normal(size=(5, 3)).astype(dtype)
    net = Network(sizes, dtype=dtype, seed=0)
    net.parameters[0] = value
    y = np.zeros((5, sizes[-1]), dtype)
    gradients = net.per_sample_gradients(X, y)
    found = net.per_sample_norms(X, y)
    is_finite = np.isfinite(gradients).all(axis=1)
    assert not is_finite.all()
    assert not np.isfinite(found[~is_finite]).any()
