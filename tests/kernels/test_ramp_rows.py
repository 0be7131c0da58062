"""Products with rows that have ramps: the numbers of the dense products, from short rows."""

import numpy as np
import pytest

from fastbp import Adam, Dense, Dropout, Network, kernels
from fastbp.data.samples import samples
from fastbp.kernels.ramp_matmul import TABLE_FLOATS
from fastbp.kernels.simd.gemm import SCRATCH_FLOATS
from fastbp.kernels.support.ramp_rows import MOST_RAMPS, RampRows, ramp_rows

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# rows, the ramps of each column or 1, units
SHAPES = [
    (7, [1, 3, 1, 1, 5], 5),
    (32, [1, 32] * 13, 256),
    (1, [2], 1),
    (33, [1, 1, 7, 2, 1, 150], 37),
    (5, [4, 4], 100),
    (9, [1, 6, 3], 31),
    (4, [1, 1], 64),
]


def made(shape, dtype):
    """Return short rows, the starts of their columns, and W, b and D to go with them."""
    rows, ramps, n_out = shape
    rng = np.random.default_rng(7)
    X = np.empty((rows, len(ramps)), dtype)
    for c, count in enumerate(ramps):
        X[:, c] = rng.random(rows) * count if count > 1 else rng.normal(size=rows)
        X[rng.random(rows) < 0.2, c] = rng.choice([0, 1, count])
    starts = np.cumsum([0, *ramps])
    shapes = (starts[-1], n_out), (n_out,), (rows, n_out)
    return X, starts, *(rng.normal(size=s).astype(dtype) for s in shapes)


def features(X, ramps, height):
    """Return the features one by one, in float64, as the definition says."""
    columns = []
    for c, count in enumerate(ramps):
        x = X[:, c].astype(float)
        columns += [x] if count == 1 else [height * np.clip(x - i, 0, 1) for i in range(count)]
    return np.stack(columns, axis=1)


@both_dtypes
@pytest.mark.parametrize("shape", SHAPES)
def test_the_products_are_those_of_the_features(shape, dtype):
    X, starts, W, b, D = made(shape, dtype)
    F = features(X, shape[1], 0.5)
    eps = 4 * np.finfo(dtype).eps
    # the position in the last bins is rounded to more than its part of one, once per bin
    wide = eps * max(shape[1]) * len(shape[1])
    Z = kernels.ramp_matmul(X, starts, W, b, height=0.5)
    np.testing.assert_allclose(Z, F @ W + b, rtol=eps, atol=10 * wide)
    Z = kernels.ramp_matmul(X, starts, W, height=0.5)
    np.testing.assert_allclose(Z, F @ W, rtol=eps, atol=10 * wide)
    G = kernels.ramp_outer(X, starts, D, height=0.5)
    np.testing.assert_allclose(G, F.T @ D, rtol=eps, atol=10 * wide)
    np.testing.assert_allclose(RampRows(X, starts, 0.5).dense(), F, rtol=eps)


@both_dtypes
@pytest.mark.parametrize("shape", SHAPES)
def test_the_bits_are_those_of_one_thread_and_of_one_row(shape, dtype):
    X, starts, W, b, D = made(shape, dtype)
    Z, G = kernels.ramp_matmul(X, starts, W, b), kernels.ramp_outer(X, starts, D)
    for threads in (1, 2, 3):
        assert np.array_equal(kernels.ramp_matmul(X, starts, W, b, n_threads=threads), Z)
        assert np.array_equal(kernels.ramp_outer(X, starts, D, n_threads=threads), G)
    one_by_one = [kernels.ramp_matmul(X[i : i + 1], starts, W, b) for i in range(len(X))]
    assert np.array_equal(np.concatenate(one_by_one), Z)


def test_no_rows():
    X, starts, W, b, D = made((3, [2, 1], 4), np.float64)
    assert kernels.ramp_matmul(X[:0], starts, W, b).shape == (0, 4)
    assert np.array_equal(kernels.ramp_outer(X[:0], starts, D[:0]), np.zeros((3, 4)))


@pytest.mark.parametrize(
    "change, error, says",
    [
        ({"X": np.ones((2, 2), int)}, TypeError, "X has dtype int64"),
        ({"X": np.array([[1.0, 0], [3.5, 0]])}, ValueError, "position 3.5 in row 1, column 0: exp"),
        ({"X": np.array([[-0.1, 0]])}, ValueError, "position -0.1 in row 0"),
        ({"X": np.array([[np.nan, 0]])}, ValueError, "position nan in row 0"),
        ({"starts": np.array([0.0, 3, 4])}, TypeError, "starts has dtype float64"),
        ({"starts": np.array([0, 4])}, ValueError, r"starts has shape \(2,\)"),
        ({"starts": np.array([1, 3, 4])}, ValueError, "does not ascend from 0"),
        ({"starts": np.array([0, 4, 4])}, ValueError, "does not ascend from 0"),
        ({"starts": np.array([0, 4097, 4098])}, ValueError, "4097 ramps, of at most 4096"),
        ({"W": np.ones((5, 2))}, ValueError, r"W has shape \(5, 2\): expected \(4, 2\)"),
        ({"W": np.ones((4, 2), "f4")}, TypeError, "W has dtype float32"),
        ({"height": np.inf}, ValueError, "height"),
        ({"height": 0}, ValueError, "height"),
        ({"bias": np.ones(3)}, ValueError, r"bias has shape \(3,\)"),
    ],
)
def test_what_does_not_fit_is_named(change, error, says):
    given = {"X": np.ones((2, 2)), "starts": np.array([0, 3, 4]), "W": np.ones((4, 2))}
    with pytest.raises(error, match=says):
        kernels.ramp_matmul(**given | change)


def test_the_table_of_most_ramps_fits_the_scratch_of_a_run():
    assert TABLE_FLOATS <= SCRATCH_FLOATS
    shape = (9, [1, MOST_RAMPS], 70)
    X, starts, W, b, D = made(shape, np.float64)
    F = features(X, shape[1], 1)
    np.testing.assert_allclose(kernels.ramp_matmul(X, starts, W, b), F @ W + b, atol=1e-9)
    np.testing.assert_allclose(kernels.ramp_outer(X, starts, D), F.T @ D, atol=1e-9)


def test_slices_and_chosen_rows():
    X, starts, *_ = made((12, [3, 1, 2], 2), np.float64)
    rows = ramp_rows("X", X, starts, 0.5)
    assert rows.shape == (12, 6)
    assert len(rows) == 12
    assert rows.nbytes == X.nbytes
    assert np.shares_memory(rows[3:7].values, X)
    assert np.array_equal(rows[3:7].dense(), rows.dense()[3:7])
    chosen = np.array([5, 0, 5, 11])
    assert np.array_equal(rows[chosen].dense(), rows.dense()[chosen])


def trained(X, y, weight, dtype, threads=1, hidden=(24, 20), **options):
    net = Network(
        [X.shape[1], *hidden, y.shape[1]],
        optimizer=Adam(1e-2, clip_norm=options.pop("clip_norm", None)),
        dtype=dtype,
        seed=3,
        **options,
    )
    net.engine.set_objective(penalty=0.1)
    given = {"epochs": 4, "batch_size": 32, "sample_weight": weight, "n_threads": threads}
    history = net.fit(X, y, validation_data=(X[:40], y[:40]), **given)
    loss, grads = net.backward(X, y, n_threads=threads)
    return (
        np.array(history["loss"]),
        np.array(history["val_loss"]),
        net.parameters,
        net.forward(X, threads),
        grads.flat,
        np.array([loss, *net.evaluate(X, y).values()]),
    )


@both_dtypes
@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("hidden", [(24, 20), (65,), ()])
def test_training_is_that_on_the_dense_rows(hidden, clip_norm, dtype):
    # several blocks of the gradient, a number with more ramps than a block, a short last batch
    X, starts, *_ = made((110, [1, 150, 1, 7, 1, 1, 40, 31, 2], 1), dtype)
    rng = np.random.default_rng(0)
    y, weight = rng.normal(size=(110, 2)).astype(dtype), rng.uniform(0.5, 2, 110).astype(dtype)
    rows = ramp_rows("X", X, starts, 0.5)
    options = {"hidden": hidden, "clip_norm": clip_norm}
    dense = trained(rows.dense(), y, weight, dtype, **options)
    short = trained(rows, y, weight, dtype, **options)
    tolerance = 1e-4 if dtype == np.float32 else 1e-10
    for one, other in zip(dense, short, strict=True):
        np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance / 10)
    for threads in (2, 3):
        more = trained(rows, y, weight, dtype, threads, **options)
        assert all(map(np.array_equal, more, short))


def test_dropout_of_inputs_is_that_of_the_dense_rows():
    X, starts, *_ = made((60, [1, 9, 1], 1), np.float64)
    y = np.sin(X.sum(axis=1, keepdims=True))
    rows = ramp_rows("X", X, starts, 0.5)
    nets = []
    for x in (rows.dense(), rows):
        layers = [Dropout(0.3), Dense(8), Dense(1, "identity")]
        net = Network(inputs=11, layers=layers, dtype="float64", seed=0)
        net.fit(x, y, epochs=3, batch_size=16)
        nets.append(net)
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


def test_one_network_takes_dense_rows_and_rows_with_ramps_in_turn():
    X, starts, *_ = made((50, [1, 9, 4], 1), np.float64)
    y = np.sin(X.sum(axis=1, keepdims=True))
    rows = ramp_rows("X", X, starts)
    others = ramp_rows("X", np.clip(X, 0, 4), np.array([0, 4, 10, 14]))
    net = Network([14, 8, 1], dtype="float64", seed=0)
    for x in (rows, rows.dense(), others, rows, others.dense()):
        np.testing.assert_allclose(
            net.forward(x), net.forward(getattr(x, "dense", lambda x=x: x)()), atol=1e-13
        )
        got = net.backward(x, y)[1].flat
        expected = net.backward(getattr(x, "dense", lambda x=x: x)(), y)[1].flat
        np.testing.assert_allclose(got, expected, atol=1e-13)


def test_rows_are_checked_against_the_network():
    X, starts, *_ = made((5, [3, 1], 1), np.float64)
    net = Network([5, 1], dtype="float64")
    with pytest.raises(ValueError, match="X has 4 columns but the network has 5 inputs"):
        net.forward(RampRows(X, starts))
    net = Network([4, 1])
    X[2, 1] = np.inf
    with pytest.raises(ValueError, match=r"X.*inf"):
        net.forward(RampRows(X, starts))
    X[2] = [3.1, 0]
    with pytest.raises(ValueError, match=r"X has the position 3.09\d* in row 2, column 0"):
        net.forward(RampRows(X, starts))
    with pytest.raises(ValueError, match="at least one sample"):
        samples(RampRows(X[:0], starts), np.empty((0, 1)), net.engine.plan, "squared_error")


def test_blocks_that_arrive_may_have_ramps():
    X, starts, *_ = made((30, [3, 1], 1), np.float64)
    y = np.sin(X.sum(axis=1, keepdims=True))
    nets = []
    for rows in (RampRows(X, starts).dense(), RampRows(X, starts)):
        net = Network([4, 1], dtype="float64", seed=0)
        blocks = iter([(rows[:7], y[:7]), (rows[7:], y[7:])])
        net.fit(blocks, batch_size=10, steps_per_epoch=3, epochs=1)
        nets.append(net)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, atol=1e-13)
