"""Every optimizer, step by step and in the compiled loop, against the textbook's formulas."""

import numpy as np
import pytest

import oracle
from fastbp import (
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Cosine,
    Dense,
    Dropout,
    Network,
    Optimizer,
    RMSprop,
    Step,
    kernels,
)

STEPS = 20
SIZES, NAMES = [3, 18, 17, 2], ["tanh", "gelu", "identity"]
# the constants of every formula away from their defaults, so that a mix-up shows
HYPER_PARAMETERS = {"learning_rate": 0.02, "beta1": 0.7, "beta2": 0.95, "epsilon": 1e-4}
ADDITIONS = {
    "plain": {},
    "l1": {"l1": 0.03},
    "l2": {"l2": 0.05},
    "decay": {"weight_decay": 0.1},
    "clip": {"clip_norm": 0.2},
    "all": {"l1": 0.03, "l2": 0.05, "weight_decay": 0.1, "clip_norm": 0.2},
}
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
# float64: roundings of 20 steps; float32: each gradient is good to a few of its 24 bits
both_dtypes = pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])


def optimizer_of(name, **more):
    own = {k: v for k, v in HYPER_PARAMETERS.items() if k in OPTIMIZERS[name].defaults}
    return Optimizer(name, **{**own, **more})


def build(optimizer, dtype="float64", bias=True, rows=22):
    layers = [Dense(n, name, bias=bias) for n, name in zip(SIZES[1:], NAMES, strict=True)]
    network = Network(inputs=SIZES[0], layers=layers, optimizer=optimizer, dtype=dtype)
    rng = np.random.default_rng(7)
    for b in network.biases:
        b[:] = 0.3 * rng.normal(size=b.shape)
    X, Y = rng.normal(size=(rows, SIZES[0])), rng.normal(size=(rows, SIZES[-1]))
    return network, X.astype(dtype), Y.astype(dtype), rng.random(rows).astype(dtype)


def textbook(network):
    """The network's twin, and the stepper with the hyper-parameters the network was given."""
    optimizer = network.optimizer
    stepper = oracle.Stepper(optimizer.name, optimizer.hyper_parameters, optimizer.clip_norm)
    return oracle.MLP.of(network, NAMES, "squared_error"), stepper


def assert_near(network, twin, start, tolerance):
    expected = twin.flat(twin.weights, twin.biases)
    moved = np.linalg.norm(expected - start)
    error = np.linalg.norm(network.parameters - expected)
    assert moved > 1e-3 * np.linalg.norm(start)
    assert error <= tolerance * np.linalg.norm(expected)
    # the way is up to 1000 times shorter than w, whose roundings it collects over STEPS
    assert error <= 100 * tolerance * moved


@both_dtypes
@pytest.mark.parametrize("additions", ADDITIONS)
@every_optimizer
def test_steps_agree_with_the_textbook(name, additions, dtype, tolerance):
    network, X, Y, weight = build(optimizer_of(name, **ADDITIONS[additions]), dtype)
    twin, stepper = textbook(network)
    start, clipped = network.parameters.astype(float), 0
    for _ in range(STEPS):
        network.update(network.backward(X, Y, weight)[1])
        _, dw, db = twin.gradient(X, Y, weight)
        clipped += np.linalg.norm(twin.flat(dw, db)) > (stepper.clip_norm or np.inf)
        stepper.step(twin, dw, db, HYPER_PARAMETERS["learning_rate"])
    assert_near(network, twin, start, tolerance)
    assert (clipped > 0) == (stepper.clip_norm is not None)


@both_dtypes
@pytest.mark.parametrize("schedule", [None, Cosine(epochs=5.0, end=0.1), Step(1.5, 0.4)])
@every_optimizer
def test_fit_agrees_with_the_textbook(name, schedule, dtype, tolerance):
    optimizer = optimizer_of(name, schedule=schedule, l2=0.01, clip_norm=0.5)
    network, X, Y, weight = build(optimizer, dtype)
    twin, stepper = textbook(network)
    start = network.parameters.astype(float)
    # 22 rows in batches of 5: four whole ones and a short one, in 4 epochs of 5 steps
    epochs, size = 4, 5
    history = network.fit(X, Y, epochs=epochs, batch_size=size, shuffle=False, sample_weight=weight)
    for epoch in range(epochs):
        batches = [slice(s, s + size) for s in range(0, len(X), size)]
        total = 0.0
        for i, rows in enumerate(batches):
            t = epoch + i / len(batches)
            rate = HYPER_PARAMETERS["learning_rate"] * factor(schedule, t)
            loss, dw, db = twin.gradient(X[rows], Y[rows], weight[rows])
            total += loss * float(weight[rows].sum(dtype=float))
            stepper.step(twin, dw, db, rate)
        # the mean of the losses before each update, and the rate of the last one
        expected = total / float(weight.sum(dtype=float))
        assert history["loss"][epoch] == pytest.approx(expected, rel=tolerance)
        assert history["learning_rate"][epoch] == pytest.approx(rate, rel=1e-14)
    assert stepper.t == STEPS
    assert_near(network, twin, start, tolerance)


def factor(schedule, t):
    if schedule is None:
        return 1.0
    return oracle.SCHEDULES[schedule.name](t, **vars(schedule))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("clip_norm", [None, 0.2])
@every_optimizer
def test_steps_and_the_compiled_loop_give_the_same_bits(name, clip_norm, dtype):
    def make():
        layers = [Dropout(0.1), Dense(18, "relu"), Dropout(0.4), Dense(17, "silu"), Dense(2)]
        optimizer = optimizer_of(name, clip_norm=clip_norm, l1=1e-3, weight_decay=0.01)
        return Network(inputs=3, layers=layers, optimizer=optimizer, dtype=dtype, seed=11)

    _, X, Y, weight = build("sgd", dtype)
    stepwise, loop = make(), make()
    loop.fit(X, Y, epochs=3, batch_size=5, shuffle=False, sample_weight=weight)
    start = stepwise.parameters.copy()
    for _ in range(3):
        for s in range(0, len(X), 5):
            rows = slice(s, s + 5)
            stepwise.update(stepwise.backward(X[rows], Y[rows], weight[rows])[1])
    assert not np.array_equal(stepwise.parameters, start)
    assert np.array_equal(stepwise.parameters, loop.parameters)
    # the moments agree too: the next step is the same
    stepwise.update(stepwise.backward(X, Y)[1])
    loop.update(loop.backward(X, Y)[1])
    assert np.array_equal(stepwise.parameters, loop.parameters)


@pytest.mark.parametrize("name", ["adam", "momentum", "sgd"])
def test_layers_without_bias_train_like_the_textbook(name):
    network, X, Y, _ = build(optimizer_of(name, clip_norm=0.2), bias=False)
    twin, stepper = textbook(network)
    start = network.parameters.copy()
    for _ in range(STEPS):
        network.update(network.backward(X, Y)[1])
        _, dw, db = twin.gradient(X, Y)
        stepper.step(twin, dw, db, HYPER_PARAMETERS["learning_rate"])
    assert_near(network, twin, start, 1e-12)


@every_optimizer
def test_penalties_and_decay_leave_biases_alone(name):
    # at a gradient of zero nothing but the penalties moves a parameter, and all of them
    # towards 0: in steps so small (at most 1e-3 / sqrt(1 - beta2)) that few weights overshoot
    penalties = {"l1": 0.1, "l2": 0.1, "weight_decay": 0.1}
    network, X, Y, _ = build(optimizer_of(name, learning_rate=1e-3, **penalties))
    gradient = network.backward(X, Y)[1]
    gradient.flat[:] = 0
    weights = [w.copy() for w in network.weights]
    biases = [b.copy() for b in network.biases]
    network.update(gradient)
    for n in range(len(weights)):
        assert np.array_equal(network.biases[n], biases[n])
        assert (np.abs(network.weights[n]) < np.abs(weights[n])).mean() > 0.95


@every_optimizer
def test_a_gradient_of_zero_moves_nothing(name):
    # where v is 0 the step is 0 / epsilon, not 0 / 0; adamw's own decay is switched off
    network, X, Y, _ = build(optimizer_of(name, weight_decay=0.0))
    gradient = network.backward(X, Y)[1]
    gradient.flat[:] = 0
    start = network.parameters.copy()
    network.update(gradient)
    assert np.array_equal(network.parameters, start)


def test_clipping_leaves_a_gradient_within_the_norm_as_it_is():
    free, X, Y, _ = build(optimizer_of("sgd"))
    norm = float(np.linalg.norm(free.backward(X, Y)[1].flat))
    clipped = build(optimizer_of("sgd", clip_norm=norm * 1.001))[0]
    half = build(optimizer_of("sgd", clip_norm=norm / 2))[0]
    start = free.parameters.copy()
    for network in (free, clipped, half):
        network.update(network.backward(X, Y)[1])
    assert np.array_equal(clipped.parameters, free.parameters)
    np.testing.assert_allclose(
        half.parameters - start, (free.parameters - start) / 2, rtol=1e-9, atol=1e-15
    )


@pytest.mark.parametrize(
    "named, name, hyper_parameters",
    [
        (SGD(0.3), "sgd", {"learning_rate": 0.3}),
        (SGD(0.3, momentum=0.8), "momentum", {"learning_rate": 0.3, "beta1": 0.8}),
        (SGD(0.3, 0.8, nesterov=True), "nesterov", {"learning_rate": 0.3, "beta1": 0.8}),
        (Adam(0.3, 0.5, 0.6, 0.1), "adam", {"beta1": 0.5, "beta2": 0.6, "epsilon": 0.1}),
        (AdamW(0.3, weight_decay=0.2), "adamw", {"weight_decay": 0.2, "beta2": 0.999}),
        (RMSprop(0.3, 0.6, 0.1), "rmsprop", {"beta2": 0.6, "epsilon": 0.1}),
        (Adagrad(0.3, 0.1), "adagrad", {"learning_rate": 0.3, "epsilon": 0.1}),
        (Adam(clip_norm=2.0, l2=0.1), "adam", {"learning_rate": 1e-3, "l2": 0.1}),
    ],
)
def test_the_classes_are_entries_of_the_table(named, name, hyper_parameters):
    assert named.name == name
    assert hyper_parameters.items() <= named.hyper_parameters.items()


def test_a_step_of_an_optimizer_is_not_made_in_arrays_that_overlap():
    both, one = np.ones(7), np.ones((2, 6))
    w, g, moments = np.ones(6), np.ones(6), np.zeros((2, 6))
    for arrays, what in (
        ((both[1:], both[:-1], moments), "w overlaps g"),
        ((one[1], g, one), "w overlaps moments"),
        ((w, one[0], one), "moments overlaps g"),
    ):
        with pytest.raises(ValueError, match=what):
            kernels.update("momentum", *arrays, 1)
    assert (both == 1).all() and (one == 1).all()
