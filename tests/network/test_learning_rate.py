"""The learning rate between steps: set, scheduled, saved; and assignments that would do nothing."""

import copy
import pickle

import numpy as np
import pytest

from fastbp import SGD, Adam, Cosine, Network, OneCycle, Step, WarmUp
from fastbp.kernels import train_step

RNG = np.random.default_rng(2)
X = RNG.normal(size=(60, 3)).astype("float32")
Y = RNG.normal(size=(60, 1)).astype("float32")
SCHEDULES = [Cosine(3), OneCycle(3), Step(1.0, 0.5), WarmUp(2.0)]


def network(rate=0.05, schedule=None, kind=SGD):
    return Network([3, 8, 1], "tanh", optimizer=kind(rate, schedule=schedule), seed=4)


def by_update(net, X, y, **time):
    net.update(net.backward(X, y)[1], **time)


every_way = pytest.mark.parametrize("step", [Network.step, by_update])
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)


@every_way
@every_schedule
def test_a_schedule_moves_with_the_steps_as_in_a_fit(schedule, step):
    stepped, fitted = network(schedule=schedule), network(schedule=schedule)
    fitted.fit(X, Y, epochs=3, batch_size=20, shuffle=False)
    for number in range(9):
        rows = slice(20 * (number % 3), 20 * (number % 3) + 20)
        step(stepped, X[rows], Y[rows], steps_per_epoch=3)
    assert np.array_equal(stepped.parameters, fitted.parameters)


@every_way
def test_a_step_may_be_told_the_time_or_the_rate(step):
    told, given, plain = network(0.1, WarmUp(4.0)), network(0.1, WarmUp(4.0)), network(0.025)
    step(told, X, Y, epoch=1.0)
    step(given, X, Y, rate=0.025)
    step(plain, X, Y)
    assert np.array_equal(told.parameters, plain.parameters)
    assert np.array_equal(given.parameters, plain.parameters)


@every_way
@every_schedule
def test_a_schedule_without_a_time_is_refused_and_nothing_is_updated(schedule, step):
    net = network(schedule=schedule)
    before = net.parameters.tobytes()
    with pytest.raises(ValueError, match=r"^schedule=.*steps_per_epoch="):
        step(net, X, Y)
    for wrong in ({"epoch": -1}, {"epoch": np.nan}, {"steps_per_epoch": 0}, {"rate": -1}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}"):
            step(net, X, Y, **wrong)
    for both in ({"epoch": 1, "steps_per_epoch": 2}, {"rate": 0.1, "epoch": 1}):
        with pytest.raises(TypeError, match="expected"):
            step(net, X, Y, **both)
    with pytest.raises(ValueError, match="train_step: the optimizer has a schedule"):
        train_step(net.train_state(60), X, Y)
    assert net.parameters.tobytes() == before and net.steps == 0


@every_way
def test_a_constant_rate_needs_no_time_and_may_have_one(step):
    nets = [network() for _ in range(3)]
    for net, time in zip(nets, ({}, {"epoch": 2.5}, {"steps_per_epoch": 3}), strict=True):
        step(net, X, Y, **time)
        assert net.parameters.tobytes() == nets[0].parameters.tobytes()


def test_a_rate_that_is_set_is_that_of_steps_fits_and_compiled_code():
    ways = {
        "step": lambda net, state: net.step(X, Y),
        "fit": lambda net, state: net.fit(X, Y, epochs=1, batch_size=60, shuffle=False),
        "compiled": lambda net, state: train_step(state, X, Y),
    }
    for way in ways.values():
        slow, changed = network(0.002, kind=Adam), network(0.5, kind=Adam)
        states = [net.train_state(60) for net in (slow, changed)]
        changed.set_learning_rate(0.002)
        assert changed.optimizer.learning_rate == 0.002
        assert changed.optimizer.hyper_parameters == slow.optimizer.hyper_parameters
        for net, state in zip((slow, changed), states, strict=True):
            way(net, state)
        assert slow.parameters.tobytes() == changed.parameters.tobytes()


def test_a_rate_that_is_set_is_the_base_of_the_schedule_and_of_no_other_network():
    schedule = Step(1.0, 0.5)
    net, plain = network(0.3, schedule), network(0.02)
    copied = net.with_seed(4)
    net.set_learning_rate(0.04)
    net.step(X, Y, epoch=1.0)
    plain.step(X, Y)
    assert net.parameters.tobytes() == plain.parameters.tobytes()
    assert copied.optimizer.learning_rate == 0.3
    assert net.with_seed(0).optimizer.learning_rate == 0.04


def test_a_rate_that_is_set_is_saved_and_copied(tmp_path):
    net = network(0.5)
    net.set_learning_rate(0.125)
    net.save(tmp_path / "net.safetensors")
    loaded = Network.load(tmp_path / "net.safetensors")
    for other in (loaded, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.optimizer.learning_rate == 0.125
        own = copy.deepcopy(net)
        assert other.step(X, Y) == own.step(X, Y)
        assert train_step(other.train_state(60), X, Y) == own.step(X, Y)
        assert other.parameters.tobytes() == own.parameters.tobytes()


@pytest.mark.parametrize("wrong", [-0.1, np.nan, np.inf, "0.1", None, True])
def test_a_wrong_rate_is_refused(wrong):
    net = network()
    with pytest.raises((ValueError, TypeError), match="learning_rate"):
        net.set_learning_rate(wrong)
    assert net.optimizer.learning_rate == 0.05


@pytest.mark.parametrize(
    "name, advice",
    [
        ("optimizer", "set_learning_rate"),
        ("learning_rate", "set_learning_rate"),
        ("lr", "set_learning_rate"),
        ("loss", "make another"),
        ("loss_parameter", "make another"),
        ("layers", "make another"),
        ("sizes", "make another"),
        ("activation", "make another"),
        ("dropout", "make another"),
        ("schedule", "make another"),
        ("clip_norm", "make another"),
        ("momentum", "make another"),
        ("weight_decay", "make another"),
        ("l2", "make another"),
        ("trainable", r"set_trainable\(layer, x\)"),
        ("dtype", "make another"),
        ("steps", "make another"),
        ("seed", "with_seed"),
        ("weights", r"weights\[0\]\[:\] ="),
        ("parameters", r"parameters\[:\] ="),
    ],
)
def test_an_assignment_that_would_do_nothing_says_what_to_do(name, advice):
    net = network()
    with pytest.raises(AttributeError, match=f"^{name}: .*{advice}"):
        setattr(net, name, 0.1)
    assert name not in vars(net)


def test_an_optimizer_says_where_its_rate_is_set():
    net = network()
    with pytest.raises(AttributeError, match=r"^learning_rate=0.1: .*network.set_learning_rate"):
        net.optimizer.learning_rate = 0.1
    net.note = "one's own"  # other names are free
    assert copy.deepcopy(net).note == "one's own"
