"""A training that diverges: which weights the network holds then, and what is said of them."""

import copy

import numpy as np
import pytest

from fastbp import LBFGS, SGD, Adam, DivergenceError, Network, Step

RNG = np.random.default_rng(0)
LARGE = RNG.uniform(0, 1000, size=(200, 5))
TARGETS = 300 * LARGE[:, :1] + 1e4


def diverged(net, X=LARGE, y=TARGETS, **options):
    """Return the error of a training that diverges."""
    with pytest.raises(DivergenceError) as caught:
        net.fit(X, y, epochs=200, batch_size=len(X), **options)
    return caught.value


def test_weights_whose_loss_is_infinite_do_not_become_the_best():
    net = Network([5, 16, 16, 1], "leaky_relu", optimizer=SGD(0.01), seed=0)
    before = net.parameters.copy()
    error = diverged(net)
    assert "in epoch 1," in str(error)
    assert "The network holds its best weights so far" in str(error)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_the_error_does_not_praise_weights_that_are_worse_than_the_first(rate, dtype):
    net = Network([5, 1], optimizer=SGD(rate), dtype=dtype, seed=0)
    first = net.evaluate(LARGE, TARGETS)["loss"]
    error = diverged(net)
    held = net.evaluate(LARGE, TARGETS)["loss"]
    assert held > 2 * first
    assert f"the weights after epoch 1, whose loss is {held:.3g}: begin with new" in str(error)


def test_good_weights_are_the_best_so_far():
    X = RNG.normal(size=(64, 3)).astype("float32")
    optimizer = SGD(0.05, schedule=Step(every=20, factor=1e30))
    net = Network([3, 8, 1], optimizer=optimizer, seed=0)
    error = diverged(net, X, X[:, :1])
    assert "holds its best weights so far" in str(error)
    assert error.history.best_epoch == 19
    loss = net.evaluate(X, X[:, :1])["loss"]
    assert loss < error.history["loss"][19] < error.history["loss"][0]


@pytest.mark.parametrize("optimizer", [Adam(1e-3), SGD(1e-3, momentum=0.9), LBFGS()], ids=repr)
def test_a_fit_that_comes_to_nothing_leaves_a_trained_network_as_it_was(optimizer):
    X = RNG.normal(size=(64, 3))
    net = Network([3, 8, 1], "tanh", optimizer=optimizer, dtype="float64", seed=0)
    net.fit(X, X[:, :1], epochs=3, batch_size=16)
    twin, steps = copy.deepcopy(net), net.steps
    with pytest.raises(DivergenceError, match="best weights so far, those from before") as caught:
        net.fit(X, X[:, :1] * 1e200, epochs=2)
    assert caught.value.history.best_epoch is None and net.steps == steps and net.epochs == 3
    for each in (net, twin):
        each.fit(X, X[:, :1], epochs=2, batch_size=16)
    assert net.parameters.tobytes() == twin.parameters.tobytes()


def test_after_epochs_of_its_own_the_optimizer_begins_anew_and_this_is_said():
    X = RNG.normal(size=(64, 3))
    net = Network([3, 8, 1], optimizer=SGD(0.05, schedule=Step(every=20, factor=1e30)), seed=0)
    with pytest.raises(DivergenceError, match="so far, and its optimizer begins anew"):
        net.fit(X, X[:, :1], epochs=40)
    assert net.steps == 0


def test_validation_data_judge_the_weights_after_an_epoch():
    net = Network([5, 1], optimizer=SGD(0.01), seed=0)
    error = diverged(net, validation_data=(LARGE, TARGETS))
    assert "holds its best weights so far" in str(error)
    losses = [entry["val_loss"] for entry in error.history.epochs]
    assert net.evaluate(LARGE, TARGETS)["loss"] == pytest.approx(np.nanmin(losses), rel=1e-6)
