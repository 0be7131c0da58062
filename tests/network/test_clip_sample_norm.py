"""Gradients of samples that are clipped before they are averaged: `clip_sample_norm`."""

import copy

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastbp import SGD, Adam, Dense, Dropout, Network, fit_many
from fastbp.kernels.support.ramp_rows import RampRows

RATE = 0.25


def nets(clip, **options):
    """Return two equal networks, the first of which clips."""
    options = {"dtype": "float64", "seed": 3, **options}
    sizes, activation = options.pop("sizes", [4, 9, 3]), options.pop("activation", "tanh")
    return [
        Network(sizes, activation, optimizer=SGD(RATE, clip_sample_norm=most), **options)
        for most in (clip, None)
    ]


def expected_mean(plain, X, y, clip, weight=None):
    """Return the weighted mean of the clipped gradients, and how many were clipped."""
    gradients = plain.per_sample_gradients(X, y)
    norms = np.linalg.norm(gradients, axis=1)
    factors = np.minimum(1, clip / norms)
    share = np.full(len(X), 1 / len(X)) if weight is None else weight / weight.sum()
    return (share * factors) @ gradients, (norms > clip).sum()


def data(rows=70, n_in=4, n_out=3):
    rng = np.random.default_rng(5)
    return rng.normal(size=(rows, n_in)), 3 * rng.normal(size=(rows, n_out)), rng.random(rows)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "mse"])
def test_backward_returns_the_mean_of_clipped_gradients(loss):
    X, y, weight = data()
    weight[3] = 0
    most = float(np.median(nets(None, loss=loss)[1].per_sample_norms(X, y)))
    clipped, plain = nets(most, loss=loss)
    for w in (None, weight):
        expected, count = expected_mean(plain, X, y, most, w)
        assert count == len(X) / 2
        loss_of, gradients = clipped.backward(X, y, w)
        np.testing.assert_allclose(gradients.flat, expected, rtol=1e-11, atol=1e-13)
        assert loss_of == plain.backward(X, y, w)[0]  # the loss is that of all samples
    # derivatives are not clipped
    assert np.array_equal(clipped.per_sample_norms(X, y), plain.per_sample_norms(X, y))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_of_fit_takes_the_clipped_mean(threads):
    X, y, weight = data(rows=300)
    clipped, plain = nets(2.0)
    before = plain.parameters.copy()
    expected, _ = expected_mean(plain, X, y, 2.0, weight)
    clipped.fit(X, y, 1, len(X), sample_weight=weight, shuffle=False, n_threads=threads)
    np.testing.assert_allclose(clipped.parameters, before - RATE * expected, rtol=1e-10)


def test_a_large_norm_changes_no_bit():
    X, y, weight = data(rows=300)
    for large, plain in (nets(1e9), nets(1e9, dtype="float32", sizes=[4, 20, 17, 3])):
        for net in (large, plain):
            net.fit(X, y, 3, 32, sample_weight=weight)
        assert np.array_equal(large.parameters, plain.parameters)


def test_sparse_rows_and_rows_with_ramps_are_clipped_as_dense_ones():
    X, y, _ = data(rows=90, n_in=6)
    X[np.random.default_rng(0).random(X.shape) < 0.6] = 0
    starts = np.array([0, 1, 5, 6, 9])
    values = np.random.default_rng(1).random((90, 4)) * np.diff(starts)
    values[0] = np.diff(starts)  # at the end of the ramps
    ramps = RampRows(values, starts, 0.75)
    for other, dense in ((csr_array(X), X), (ramps, ramps.dense())):
        first, _ = nets(1.5, sizes=[dense.shape[1], 9, 3])
        second = copy.deepcopy(first)
        assert expected_mean(first, dense, y, 1.5)[1] > 5
        for net, x in ((first, other), (second, dense)):
            net.fit(x, y, 3, 16)
        np.testing.assert_allclose(first.parameters, second.parameters, rtol=1e-10, atol=1e-12)


def test_dropout_counts_as_in_the_pass():
    X, y, _ = data(rows=40)
    layers = [Dropout(0.25), Dense(30, "tanh"), Dropout(0.5), Dense(3)]
    options = {"inputs": 4, "layers": layers, "dtype": "float64", "seed": 1}
    clipped = Network(optimizer=SGD(RATE, clip_sample_norm=1.0), **options)
    plain = Network(optimizer=SGD(RATE), **options)
    total = np.zeros(plain.parameters.size)
    for one in np.eye(len(X)):  # the masks are those of the place in the batch
        gradient = plain.backward(X, y, one)[1].flat
        total += gradient * min(1, 1 / np.linalg.norm(gradient)) / len(X)
    np.testing.assert_allclose(clipped.backward(X, y)[1].flat, total, rtol=1e-10, atol=1e-12)


def test_many_networks_at_once_clip_each_its_own():
    X, y, _ = data(rows=200)
    norms = (None, 0.5, 2.0)
    jobs = [Network([4, 6, 3], optimizer=Adam(1e-2, clip_sample_norm=c), seed=1) for c in norms]
    alone = copy.deepcopy(jobs)
    for result in fit_many(jobs, X, y, epochs=3):
        assert result.error is None
    for net in alone:
        net.fit(X, y, epochs=3)
    for net, one in zip(jobs, alone, strict=True):
        assert np.array_equal(net.parameters, one.parameters)
    assert len({net.parameters.tobytes() for net in jobs}) == 3


def test_it_is_saved_shown_and_checked(tmp_path):
    X, y, _ = data()
    net = Network([4, 6, 3], optimizer=Adam(clip_sample_norm=0.5, clip_norm=2.0), seed=0)
    net.save(tmp_path / "net.safetensors")
    loaded = Network.load(tmp_path / "net.safetensors")
    assert loaded.optimizer.clip_sample_norm == 0.5 and loaded.optimizer.clip_norm == 2.0
    for each in (net, loaded, copy.deepcopy(net)):
        each.fit(X, y, epochs=2)
        assert np.array_equal(each.parameters, net.parameters)
    assert "clip_sample_norm=0.5" in repr(net.optimizer)
    assert "clip sample norm 0.5" in str(net.optimizer)
    for bad in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match="clip_sample_norm"):
            Adam(clip_sample_norm=bad)
