"""The counter-based generator and the initial weights: the distributions they claim, repeatably.

Every stream is fixed by its seed, so no test is a matter of luck; the bounds are those a true
generator would break less than once in ten thousand streams, and a wrong formula always.
"""

import itertools
import math

import numpy as np
import pytest

import oracle
from fastbp import INITIALIZERS, Dense, Network, kernels

N = 200_000
SEEDS = [0, 1, 12345, 2**63 - 1]
normal_distribution = np.vectorize(lambda x: (1 + math.erf(x / math.sqrt(2))) / 2)

every_seed = pytest.mark.parametrize("seed", SEEDS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
every_rate = pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])


def assert_mean(values, mean, variance):
    """The mean of so many independent values lies within five of its standard deviations."""
    assert abs(values.mean() - mean) < 5 * math.sqrt(variance / values.size)


def assert_distributed(values, distribution):
    """Kolmogorov and Smirnov: sqrt(n) D exceeds 2.3 with probability 2 exp(-2 2.3^2) = 5e-5."""
    steps = distribution(np.sort(values))
    n = values.size
    places = np.arange(n + 1) / n
    distance = max((places[1:] - steps).max(), (steps - places[:-1]).max())
    assert math.sqrt(n) * distance < 2.3


def assert_chi_square(statistic, freedom):
    # mean `freedom`, standard deviation sqrt(2 freedom); five of them either way
    assert abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)


@every_seed
def test_uniform_numbers(seed):
    u = kernels.random_uniform(N, seed)
    assert u.min() >= 0 and u.max() < 1
    assert_mean(u, 1 / 2, 1 / 12)
    assert_mean((u - 1 / 2) ** 2, 1 / 12, 1 / 180)
    assert_distributed(u, lambda x: x)


@every_seed
def test_normal_numbers(seed):
    z = kernels.random_normal(N, seed)
    # moments 1, 0, 3, 0, 15, 0, 105: the variance of z^k is E z^2k - (E z^k)^2
    for power, (mean, variance) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], start=1):
        assert_mean(z**power, mean, variance)
    assert_distributed(z, normal_distribution)


@every_seed
@pytest.mark.parametrize("fill", [kernels.random_uniform, kernels.random_normal])
def test_neighbours_and_streams_are_uncorrelated(fill, seed):
    z = fill(N, seed)
    others = [fill(N, seed, purpose=1), fill(N, seed, place=1), fill(N, (seed + 1) % 2**63)]
    mean, deviation = z.mean(), z.std()
    for lag in (1, 2, 3, 16):
        assert_mean((z[lag:] - mean) * (z[:-lag] - mean) / deviation**2, 0, 1)
    for other in others:
        assert not np.isin(z, other).any()
        assert_mean((z - mean) * (other - mean) / deviation**2, 0, 1)


@pytest.mark.parametrize("fill", [kernels.random_uniform, kernels.random_normal])
def test_a_number_depends_on_its_place_alone(fill):
    whole = fill(1000, 7, purpose=2, place=3)
    assert np.array_equal(fill(1000, 7, purpose=2, place=3), whole)
    assert np.array_equal(fill(10, 7, purpose=2, place=3), whole[:10])


@every_seed
@pytest.mark.parametrize("n", [0, 1, 2, 10, 1797, 70_000])
def test_a_permutation_holds_every_place_once(n, seed):
    order = kernels.permutation(n, seed, place=5)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(n))
    assert np.array_equal(kernels.permutation(n, seed, place=5), order)


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [kernels.permutation(100, seed, place) for seed in SEEDS for place in range(5)]
    assert len({order.tobytes() for order in orders}) == len(orders)


def test_all_orders_of_a_few_are_equally_frequent():
    draws, places = 12_000, list(itertools.permutations(range(4)))
    counts = dict.fromkeys(places, 0)
    for epoch in range(draws):
        counts[tuple(kernels.permutation(4, 3, epoch).tolist())] += 1
    expected = draws / len(places)
    statistic = sum((count - expected) ** 2 / expected for count in counts.values())
    assert_chi_square(statistic, len(places) - 1)


def test_every_row_is_equally_often_at_every_place():
    draws, n = 4000, 12
    counts = np.zeros((n, n))
    for epoch in range(draws):
        counts[np.arange(n), kernels.permutation(n, 4, epoch)] += 1
    # n^2 counts of variance draws/n (1 - 1/n), of which (n - 1)^2 are free: rows and columns add up
    variance = draws / n * (1 - 1 / n)
    statistic = ((counts - draws / n) ** 2 / variance).sum() * ((n - 1) / n) ** 2
    assert_chi_square(statistic, (n - 1) ** 2)


@every_dtype
@every_rate
def test_dropout_zeroes_at_its_rate_and_scales_the_rest(rate, dtype):
    a = np.random.default_rng(0).uniform(1, 2, (500, 301)).astype(dtype)
    dropped = kernels.dropout(a, rate, seed=9)
    kept = dropped != 0
    rate = round(rate * 2**16) / 2**16
    np.testing.assert_allclose(
        dropped[kept], a[kept].astype(float) / (1 - rate), rtol=np.finfo(dtype).eps
    )
    assert_mean((~kept).astype(float), rate, rate * (1 - rate))
    # no row and no column is favoured
    for axis in (0, 1):
        n = a.shape[axis]
        share = (kept.mean(axis=axis) - (1 - rate)) / math.sqrt(rate * (1 - rate) / n)
        assert np.abs(share).max() < 5
    # neighbours in a row and in a column fall independently
    ones = (kept - (1 - rate)) / math.sqrt(rate * (1 - rate))
    assert_mean(ones[1:] * ones[:-1], 0, 1)
    assert_mean(ones[:, 1:] * ones[:, :-1], 0, 1)


@every_rate
def test_the_mask_is_the_key_s_alone(rate):
    ones = np.ones((40, 50))
    mask = kernels.dropout(ones, rate, seed=9, place=3)
    assert np.array_equal(kernels.dropout(ones, rate, seed=9, place=3), mask)
    single = kernels.dropout(ones.astype(np.float32), rate, seed=9, place=3)
    assert np.array_equal(single != 0, mask != 0)
    for seed, place in ((9, 4), (10, 3)):
        assert not np.array_equal(kernels.dropout(ones, rate, seed=seed, place=place), mask)


@every_dtype
@pytest.mark.parametrize("columns", [1, 15, 16, 63, 64, 65, 200])
def test_masks_are_parts_of_the_hashes_of_a_row(dtype, columns):
    rate, rows = 0.3, 5
    mask = kernels.dropout(np.ones((rows, columns), dtype), rate, seed=9, place=2) != 0
    for row in range(rows):
        assert mask[row].tolist() == oracle.kept(rate, 9, 2, row, columns)


@pytest.mark.parametrize("rate", [1e-7, 0.999, 0.9999, 1 - 1e-7])
def test_an_extreme_rate_keeps_the_mean(rate):
    dropped = kernels.dropout(np.ones((4000, 1000)), rate, seed=9)
    rate = min(round(rate * 2**16), 2**16 - 1) / 2**16
    assert_mean(dropped, 1, rate / (1 - rate)) if rate else np.testing.assert_equal(dropped, 1)


@every_dtype
def test_a_rate_of_zero_changes_nothing(dtype):
    a = np.random.default_rng(0).normal(size=(30, 20)).astype(dtype)
    assert np.array_equal(kernels.dropout(a, 0.0, seed=9), a)


# ---------------------------------------------------------------- initial weights

# wide, tall, and square enough that every fan is another number
SHAPES = [(80, 300), (300, 80), (64, 100)]


def drawn(name, shape, seed=3, dtype="float64"):
    n_in, n_out = shape
    layers = [Dense(n_out, "identity", initializer=name)]
    network = Network(inputs=n_in, layers=layers, dtype=dtype, seed=seed)
    assert not network.biases[0].any()
    return network.weights[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", INITIALIZERS)
def test_initial_weights_have_the_variance_of_their_formula(name, shape):
    w = drawn(name, shape)
    variance, fourth = oracle.INITIALIZERS[name]
    variance = variance(*shape)
    if fourth is None:  # not independent: the sum of squares is exact
        assert (w**2).mean() == pytest.approx(variance, rel=1e-12)
    else:
        assert_mean(w, 0, variance)
        assert_mean(w**2, variance, (fourth - 1) * variance**2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [n for n in INITIALIZERS if n.endswith(("uniform", "normal"))])
def test_initial_weights_have_the_shape_their_name_says(name, shape):
    w, deviation = drawn(name, shape).ravel(), math.sqrt(oracle.INITIALIZERS[name][0](*shape))
    if name.endswith("uniform"):
        limit = math.sqrt(3) * deviation
        assert np.abs(w).max() <= limit
        assert_distributed(w, lambda x: (x / limit + 1) / 2)
    else:
        assert_distributed(w, lambda x: normal_distribution(x / deviation))


@pytest.mark.parametrize("shape", [*SHAPES, (7, 7), (1, 5), (5, 1)])
def test_orthogonal_weights_are_orthonormal(shape):
    w = drawn("orthogonal", shape)
    small = w if w.shape[0] <= w.shape[1] else w.T
    np.testing.assert_allclose(small @ small.T, np.eye(len(small)), atol=1e-13)


def test_orthogonal_weights_favour_no_direction():
    # Haar: the first entry of a random unit vector of dimension 4 has mean 0, variance 1/4 and
    # fourth moment 3 / (4 6); a QR without its signs fixed would always have w[0, 0] < 0
    first = np.array([drawn("orthogonal", (4, 4), seed)[0, 0] for seed in range(1000)])
    assert_mean(first, 0, 1 / 4)
    assert_mean(first**2, 1 / 4, 1 / 8 - 1 / 16)


@pytest.mark.parametrize("name", [n for n in INITIALIZERS if n != "zeros"])
def test_layers_and_seeds_have_weights_of_their_own(name):
    def weights(seed):
        return Network([6, 6, 6], initializer=name, dtype="float64", seed=seed).weights

    first, second = weights(0)
    assert not np.isin(first, second).any()
    assert not np.isin(first, weights(1)[0]).any()
    assert np.array_equal(first, weights(0)[0])


@pytest.mark.parametrize("name", INITIALIZERS)
def test_float32_weights_are_the_float64_ones_rounded(name):
    shape = SHAPES[0]
    assert np.array_equal(
        drawn(name, shape, dtype="float32"), drawn(name, shape).astype(np.float32)
    )


@pytest.mark.parametrize(
    "activation, expected",
    [("relu", "he_uniform"), ("selu", "lecun_normal"), ("tanh", "glorot_uniform")],
)
def test_the_default_suits_the_activation(activation, expected):
    default = Network(inputs=30, layers=[Dense(20, activation)], dtype="float64").weights[0]
    named = [Dense(20, activation, initializer=expected)]
    assert np.array_equal(default, Network(inputs=30, layers=named, dtype="float64").weights[0])
