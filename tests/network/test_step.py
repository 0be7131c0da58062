"""One step of training from Python: the bits of a fit of one batch, and what is refused."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from fastbp import OPTIMIZERS, Adam, Dense, DivergenceError, Dropout, Network
from fastbp.components.optimizers import Optimizer
from fastbp.kernels.support.ramp_rows import RampRows

RNG = np.random.default_rng(3)
X = RNG.normal(size=(37, 5))
WEIGHT = RNG.random(37) * (RNG.random(37) < 0.8)
LAYERS = [Dropout(0.1), Dense(18, "relu"), Dropout(0.4), Dense(17, "silu"), Dense(3)]
TARGETS = {
    "squared_error": RNG.normal(size=(37, 3)),
    "poisson": RNG.integers(0, 4, (37, 3)),
    "binary_cross_entropy": RNG.integers(0, 2, (37, 3)),
    "cross_entropy": RNG.integers(0, 3, 37),
}


def network(loss="squared_error", optimizer="adam", dtype="float32"):
    return Network(inputs=5, layers=LAYERS, loss=loss, optimizer=optimizer, dtype=dtype, seed=7)


def bits(net):
    """Return what a step changes, as bytes."""
    return net.parameters.tobytes(), net.engine.moments.tobytes(), net.steps


def as_read(loss, dtype):
    """Return X, targets and weights of the types that are read where they lie."""
    y = TARGETS[loss]
    return X.astype(dtype), y if y.ndim == 1 else y.astype(dtype), WEIGHT.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", TARGETS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_step_has_the_bits_of_a_fit_of_one_batch(threads, loss, dtype):
    stepped, fitted = network(loss, dtype=dtype), network(loss, dtype=dtype)
    x, y, weight = as_read(loss, dtype)
    for rows in (slice(0, 20), slice(20, 37), slice(0, 37), slice(5, 6)):
        given = x[rows], y[rows]
        value = stepped.step(*given, weight[rows] + 1, n_threads=threads)
        history = fitted.fit(
            *given, 1, 64, sample_weight=weight[rows] + 1, shuffle=False, n_threads=threads
        )
        assert value == pytest.approx(history["loss"][0], rel=1e-6)
        assert bits(stepped) == bits(fitted)


@pytest.mark.parametrize("clip_norm", [None, 0.2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_makes_the_step_of_its_fit(name, clip_norm):
    optimizer = Optimizer(name, clip_norm=clip_norm, l1=1e-3, l2=1e-3, weight_decay=0.01)
    stepped, fitted = network(optimizer=optimizer), network(optimizer=optimizer)
    for _ in range(3):
        stepped.step(X, TARGETS["squared_error"])
        fitted.fit(X, TARGETS["squared_error"], epochs=1, batch_size=37, shuffle=False)
    assert bits(stepped) == bits(fitted)


def test_a_step_is_backward_and_update():
    stepped, apart = network(), network()
    for rate in (0.1, 1e-3):
        loss, grads = apart.backward(X, TARGETS["squared_error"], WEIGHT)
        apart.update(grads)
        assert stepped.step(X, TARGETS["squared_error"], WEIGHT) == loss
        assert bits(stepped) == bits(apart)
        stepped.weights[1][:] *= rate  # weights that are set between two steps count
        apart.weights[1][:] *= rate


@pytest.mark.parametrize("flat", [np.zeros(3), np.zeros((2, 2)), [0.0], None], ids=str)
def test_gradients_of_another_size_are_refused(flat):
    net = network()
    before = bits(net)
    _, grads = net.backward(X, TARGETS["squared_error"])
    with pytest.raises(TypeError, match="grads: expected what backward"):
        net.update(dataclasses.replace(grads, flat=flat))
    assert bits(net) == before


def test_the_rate_of_a_step_can_be_given():
    given, own = network(optimizer=Adam(0.5)), network(optimizer=Adam(0.02))
    given.step(X, TARGETS["squared_error"], rate=0.02)
    own.step(X, TARGETS["squared_error"])
    assert bits(given) == bits(own)


def forms_of(array):
    """Yield an array of integers in forms that must be converted, or cannot be written."""
    fixed = array.astype("float32")
    fixed.flags.writeable = False
    yield from (fixed, array.tolist(), array.astype("int16"), np.asfortranarray(array))
    yield np.repeat(array.astype("float32"), 2, axis=0)[::2]


def test_arrays_of_every_form_give_one_step():
    x, y = np.rint(3 * X), np.rint(3 * TARGETS["squared_error"])
    expected = network()
    expected.step(x.astype("float32"), y.astype("float32"))
    for form, target in zip(forms_of(x), forms_of(y), strict=True):
        for given in ((form, y), (x, target), (form, target)):
            net = network()
            net.step(*given)
            assert bits(net) == bits(expected)


def test_sparse_rows_and_ramps_step_as_they_fit():
    sparse = sp.csr_matrix(np.where(np.abs(X) > 1, X, 0))
    ramps = RampRows(2 * RNG.random((37, 2)), np.array([0, 3, 5]), 1.0)
    for rows in (sparse, ramps):
        stepped, fitted = (Network([5, 8, 3], "tanh", seed=1) for _ in range(2))
        for _ in range(2):
            stepped.step(rows, TARGETS["squared_error"])
            stepped.step(X, TARGETS["squared_error"])
            for data in (rows, X):
                fitted.fit(data, TARGETS["squared_error"], epochs=1, batch_size=64, shuffle=False)
        assert bits(stepped) == bits(fitted)


def test_probabilities_are_targets_of_a_step():
    y = RNG.dirichlet(np.ones(3), 37)
    stepped, fitted = network("cross_entropy"), network("cross_entropy")
    stepped.step(X, y)
    fitted.fit(X, y, epochs=1, batch_size=37, shuffle=False)
    assert bits(stepped) == bits(fitted)


def spoiled(array, value):
    copy = array.copy()
    copy[9] = value
    return copy


@pytest.mark.parametrize("loss", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bad_numbers_are_refused_and_nothing_is_updated(loss, dtype):
    x, y, weight = as_read(loss, dtype)
    bad = {
        "X": [(spoiled(x, value), y, weight) for value in (np.nan, np.inf, -np.inf)],
        "y": [],
        "sample_weight": [(x, y, spoiled(weight, value)) for value in (np.nan, -1, np.inf)],
    }
    bad["sample_weight"].append((x, y, 0 * weight))
    wrong = {"poisson": [-1], "binary_cross_entropy": [-0.5, 1.5], "cross_entropy": [-1, 3]}
    values = wrong.get(loss, []) + ([] if loss == "cross_entropy" else [np.nan, np.inf])
    bad["y"] += [(x, spoiled(y, value), weight) for value in values]
    net = network(loss, dtype=dtype)
    net.step(x, y, weight)
    before = bits(net)
    for name, cases in bad.items():
        for case in cases:
            for call in (net.step, net.backward):
                with pytest.raises(ValueError, match=rf"^{name}\b"):
                    call(*case)
            assert bits(net) == before
    net.step(x, y, weight)
    assert bits(net) != before


@pytest.mark.parametrize(
    "given, name",
    [
        ((X[:, :4], TARGETS["squared_error"]), "X"),
        ((X[:0], TARGETS["squared_error"][:0]), "X"),
        ((X[0], TARGETS["squared_error"]), "X"),
        ((X, TARGETS["squared_error"][:, :2]), "y"),
        ((X, TARGETS["squared_error"][:5]), "y"),
        ((X, TARGETS["squared_error"].ravel()), "y"),
        ((X, TARGETS["squared_error"], WEIGHT[:5]), "sample_weight"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_shapes_are_refused(given, name, dtype):
    net = network(dtype=dtype)
    before = bits(net)
    for arrays in (given, [array.astype(dtype) for array in given]):
        with pytest.raises(ValueError, match=rf"^{name}\b"):
            net.step(*arrays)
    for rate in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"^rate"):
            net.step(X, TARGETS["squared_error"], rate=rate)
    assert bits(net) == before


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_loss_that_is_not_finite_updates_nothing(clip_norm):
    net = network(optimizer=Adam(clip_norm=clip_norm))
    net.step(X, TARGETS["squared_error"])
    before = bits(net)
    for rows in (X * 1e30, (X * 1e30).astype("float32")):
        with pytest.raises(DivergenceError, match="step 2") as caught:
            net.step(rows, TARGETS["squared_error"] * 1e30)
        assert (caught.value.epoch, caught.value.step) == (0, 1)
        assert bits(net) == before


def test_one_output_takes_flat_targets():
    flat, column = (Network([5, 4, 1], seed=0) for _ in range(2))
    y = TARGETS["squared_error"][:, 0].astype("float32")
    flat.step(X.astype("float32"), y)
    column.step(X, y[:, None])
    assert bits(flat) == bits(column)


def test_a_training_goes_on_after_a_step_on_other_data():
    # a fit, a step elsewhere and a fit again: the second must not read the step's data
    data, own, others = (X, TARGETS["squared_error"]), network(), network()
    for net in (own, others):
        net.fit(*data, epochs=1, batch_size=10)
    own.step(X[::-1] * 2, TARGETS["squared_error"], rate=0)
    others.fit(X[::-1] * 2, data[1], epochs=1, batch_size=37, shuffle=False)
    assert own.steps == others.steps
    others.parameters[:] = own.parameters
    others.engine.moments[:] = own.engine.moments
    others.engine.epochs = own.epochs
    for net in (own, others):
        net.fit(*data, epochs=2, batch_size=10)
    assert bits(own) == bits(others)
