"""`network_`: the loss and the gradient of the network alone, whatever an estimator adds."""

import copy
import pickle

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPRegressor, Network

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X[:, 0] - X[:, 1] ** 2
OPTIONS = {"hidden_layer_sizes": (5,), "activation": "tanh", "random_state": 0, "max_iter": 3}


def loaded(network, folder):
    network.save(folder / "net.fb")
    return Network.load(folder / "net.fb")


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_gradient_is_that_of_the_loss_without_the_penalty(solver):
    net = MLPRegressor(alpha=10.0, solver=solver, **OPTIONS).fit(X, Y).network_
    _, gradient = net.backward(X, Y[:, None])
    for place in range(net.parameters.size):
        at, losses = net.parameters[place], []
        for step in (1e-6, -1e-6):
            net.parameters[place] = at + step
            losses.append(net.evaluate(X, Y[:, None])["loss"])
        net.parameters[place] = at
        slope = (losses[0] - losses[1]) / 2e-6
        assert gradient.flat[place] == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_copies_train_as_the_network_does(tmp_path):
    net = MLPRegressor(alpha=10.0, **OPTIONS).fit(X, Y).network_
    twins = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), loaded(net, tmp_path)]
    for each in (net, *twins):
        each.fit(X, Y[:, None], epochs=2, batch_size=20)
        each.step(X, Y[:, None])
    for twin in twins:
        np.testing.assert_array_equal(twin.parameters, net.parameters)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_loss_has_no_limit():
    net = MLPClassifier(dtype="float32", **OPTIONS).fit(X, Y > 0).network_
    net.parameters[:] *= 1e4
    labels = np.float32(Y > 0)[:, None]
    z = net.forward(X)  # probabilities: those of wrong labels are 0
    assert (np.abs(z - labels) == 1).any()
    loss = net.evaluate(X, labels)["loss"]
    assert loss == copy.deepcopy(net).evaluate(X, labels)["loss"] > -np.log(np.finfo("f4").eps)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_estimator_goes_on_with_its_penalty():
    fitted = []
    for looks in (False, True):
        model = MLPRegressor(alpha=10.0, **OPTIONS).fit(X, Y)
        if looks:
            model.network_.backward(X, Y[:, None])
        fitted.append(model.partial_fit(X, Y))
    weights, others = fitted
    np.testing.assert_array_equal(weights.network_.parameters, others.network_.parameters)
    assert weights.loss_ > np.mean((weights.predict(X) - Y) ** 2) / 2


def test_a_fit_that_fails_leaves_no_penalty():
    model = MLPRegressor(alpha=10.0, **OPTIONS).set_params(callbacks=[_stop])
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(X, Y)
    net = model._run.network
    _, gradient = net.backward(X, Y[:, None])
    np.testing.assert_array_equal(gradient.flat, copy.deepcopy(net).backward(X, Y[:, None])[1].flat)


def _stop(_):
    raise RuntimeError("enough")
