"""Quantiles of several levels, one for each output: loss, delta, bits, file."""

import numpy as np
import pytest
from scipy.stats import norm

from fastbp import Dense, Network, kernels

LEVELS = (0.1, 0.5, 0.8, 0.95)


def textbook(A, Y, weight, levels):
    """Return the loss of Koenker and Bassett, 1978, summed over outputs, and its derivative."""
    e = Y - A
    losses = np.where(e > 0, levels * e, (levels - 1) * e).sum(axis=1)
    slopes = np.where(e > 0, -levels, 1 - levels) * weight[:, None] / weight.sum()
    return (losses * weight).sum() / weight.sum(), slopes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 7, 16, 17, 100])
@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_loss_and_derivative_are_the_textbooks(dtype, rows, outputs):
    rng = np.random.default_rng(rows)
    A, Y = rng.normal(size=(2, rows, outputs)).astype(dtype)
    weight = rng.random(rows).astype(dtype)
    levels = np.array(LEVELS[:outputs])
    value, D = kernels.loss(A, Y, "quantile", sample_weight=weight, parameter=levels)
    expected = textbook(*(part.astype(np.float64) for part in (A, Y, weight)), levels)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    assert value == pytest.approx(expected[0], rel=tolerance)
    np.testing.assert_allclose(D, expected[1], rtol=tolerance)


def data(rows=400):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(rows, 1)).astype(np.float32)
    y = X[:, 0] + (1 + 0.4 * X[:, 0]) * rng.normal(size=rows)
    return X, np.repeat(y[:, None], len(LEVELS), axis=1).astype(np.float32)


def network(levels=LEVELS, **options):
    layers = [Dense(16, "tanh"), Dense(len(levels) if isinstance(levels, tuple) else 1)]
    kept = {"loss": "quantile", "loss_parameter": levels, "seed": 0, "optimizer": "adam"}
    return Network(inputs=1, layers=layers, **kept | options)


def test_gradients_are_those_of_central_differences():
    net = network(dtype="float64")
    X, Y = (each[:9].astype(np.float64) for each in data())
    gradient = net.backward(X, Y)[1].flat
    p, slopes = net.parameters, np.empty(net.parameters.size)
    for place in range(p.size):
        old, losses = p[place], []
        for p[place] in (old + 1e-6, old - 1e-6):
            losses.append(net.backward(X, Y)[0])
        p[place] = old
        slopes[place] = (losses[0] - losses[1]) / 2e-6
    np.testing.assert_allclose(gradient, slopes, atol=1e-8)


def test_one_level_has_the_bits_of_the_level_by_itself():
    X, Y = data()
    alone, among = network(0.3), network((0.3,))
    for net in (alone, among):
        net.fit(X, Y[:, :1], epochs=3)
    assert (alone.parameters == among.parameters).all()


def test_any_number_of_threads_has_the_same_bits():
    X, Y = data(5_000)
    nets = [network() for _ in range(2)]
    for threads, net in enumerate(nets, 1):
        net.fit(X, Y, epochs=2, batch_size=512, n_threads=threads)
    assert (nets[0].parameters == nets[1].parameters).all()


def test_the_quantiles_of_noise_are_learned():
    X, Y = data(6_000)
    net = network()
    net.fit(X, Y, epochs=150, batch_size=256)
    x = np.linspace(-1.5, 1.5, 31)[:, None].astype(np.float32)
    expected = x + (1 + 0.4 * x) * norm.ppf(LEVELS)
    assert np.abs(net.forward(x) - expected).mean() < 0.15


def test_levels_are_kept_in_the_file(tmp_path):
    net = network()
    net.save(tmp_path / "net.fbp")
    again = Network.load(tmp_path / "net.fbp")
    assert again.loss_parameter == LEVELS
    X, Y = data()
    for each in (net, again):
        each.fit(X, Y, epochs=2)
    assert (net.parameters == again.parameters).all()
