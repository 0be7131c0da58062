"""Outputs with dropout: their mean and spread are those of the distribution of masks."""

import numpy as np
import pytest
import scipy.sparse

from fastbp import Dense, Dropout, Network

RNG = np.random.default_rng(0)
X = RNG.normal(size=(700, 6))


def linear(rate=0.25, dtype="float64", seed=3):
    """Return a net whose inputs drop out, and whose outputs are linear."""
    layers = [Dropout(rate), Dense(2, "identity")]
    return Network(inputs=6, layers=layers, dtype=dtype, seed=seed)


def deep(dtype="float32", seed=0):
    layers = [Dense(20), Dropout(0.5), Dense(9, "tanh"), Dropout(0.1), Dense(3)]
    return Network(inputs=6, layers=layers, loss="cross_entropy", dtype=dtype, seed=seed)


def test_of_a_linear_net_mean_and_spread_are_those_of_the_theory():
    """Each input is x / (1 - p) or 0: its mean is x, its variance x^2 p / (1 - p)."""
    network, samples, p = linear(), 4000, 0.25
    (W,), count = network.weights, samples
    mean, spread = network.forward(X, dropout=True, samples=samples)
    variance = (X**2) @ (W**2) * p / (1 - p)
    z = (mean - network.forward(X)) / np.sqrt(variance / count)
    assert abs(z.mean()) < 0.2 and 0.9 < z.std() < 1.1 and np.abs(z).max() < 5
    np.testing.assert_allclose(spread, np.sqrt(variance), rtol=0.1)


def test_rows_and_units_drop_out_by_themselves():
    network = linear(0.5)
    network.weights[0][:] = np.eye(6)[:, :2]
    draws = [network.forward(np.ones((900, 6)), dropout=True, samples=2)[0] for _ in range(2)]
    np.testing.assert_array_equal(*draws)  # by the seed
    kinds, counts = np.unique(draws[0], axis=0, return_counts=True)
    # means of two draws of 0 or 2, for two outputs: each of the nine pairs comes
    assert len(kinds) == 9 and counts.min() > 30
    other = linear(0.5, seed=4)
    other.weights[0][:] = network.weights[0]
    assert (other.forward(np.ones((900, 6)), dropout=True, samples=2)[0] != draws[0]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 7, 700])
def test_the_bits_depend_neither_on_threads_nor_on_other_rows(dtype, rows):
    network = deep(dtype)
    whole = network.forward(X, dropout=True, samples=5, n_threads=1)
    for threads in (1, 2, 3):
        found = network.forward(X[:rows], dropout=True, samples=5, n_threads=threads)
        for a, b in zip(found, whole, strict=True):
            assert a.dtype == dtype and a.tobytes() == b[:rows].tobytes()


def test_it_leaves_the_network_as_it_was_and_takes_sparse_rows():
    network, labels = deep(), RNG.integers(0, 3, 700)
    twin = deep()
    for each in (network, twin):
        each.fit(X, labels, epochs=1)
    mean, spread = network.forward(X, dropout=True, samples=30)
    assert np.allclose(mean.sum(1), 1, atol=1e-5) and (spread > 0).all()
    for each in (network, twin):
        each.fit(X, labels, epochs=1)
    assert network.parameters.tobytes() == twin.parameters.tobytes()
    rows = X * (X > 0.5)
    found = network.forward(scipy.sparse.csr_array(rows), dropout=True, samples=4)
    np.testing.assert_allclose(
        found[0], network.forward(rows, dropout=True, samples=4)[0], atol=1e-6
    )


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"samples": 1}, ValueError, "samples=1: expected at least 2"),
        ({"samples": 2.5}, TypeError, "samples=2.5"),
        ({"samples": 3, "dropout": False}, ValueError, "samples=3: give dropout=True"),
        ({"dropout": "yes"}, TypeError, "dropout='yes'"),
        ({"n_threads": 0}, ValueError, "n_threads=0"),
    ],
)
def test_what_is_wrong_is_named(arguments, error, words):
    with pytest.raises(error, match=words):
        deep().forward(X, **({"dropout": True} | arguments))
    with pytest.raises(ValueError, match="dropout=True: the network has none"):
        Network([6, 2]).forward(X, dropout=True)
    with pytest.raises(ValueError, match="X has 5 columns"):
        deep().forward(X[:, :5], dropout=True)
