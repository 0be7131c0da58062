"""Parameters of the optimizer that are set between two calls of `partial_fit` take effect."""

import copy
import pickle

import numpy as np
import pytest

from fastbp import Adam, MLPClassifier, MLPRegressor

RNG = np.random.default_rng(8)
X = RNG.normal(size=(40, 3))
Y = X @ [1.0, -2.0, 0.5]
ONE_STEP = {"hidden_layer_sizes": (5,), "alpha": 0.0, "random_state": 0, "shuffle": False}


def regressor(**options):
    return MLPRegressor(**{**ONE_STEP, **options}).partial_fit(X, Y)


def by_the_network(network, rate):
    """Return the parameters after a step of a copy of a network at a rate."""
    twin = copy.deepcopy(network)
    twin.set_learning_rate(rate)
    twin.step(X, Y[:, None])
    return twin.parameters


@pytest.mark.parametrize(
    "options, name",
    [
        ({"solver": "adam"}, "learning_rate_init"),
        ({"solver": "sgd"}, "learning_rate_init"),
        ({"optimizer": Adam(1e-3)}, "optimizer__learning_rate"),
        ({"optimizer": "rmsprop"}, "optimizer__learning_rate"),
    ],
)
def test_a_rate_that_is_set_is_that_of_the_next_step(options, name):
    reg = regressor(**options).partial_fit(X, Y)
    expected = by_the_network(reg.network_, 0.04)
    reg.set_params(**{name: 0.04}).partial_fit(X, Y)
    assert reg.network_.parameters.tobytes() == expected.tobytes()
    expected = by_the_network(reg.network_, 0.04)
    reg.partial_fit(X, Y)
    assert reg.network_.parameters.tobytes() == expected.tobytes()


def test_so_are_other_numbers_of_the_optimizer():
    reg, other = regressor(solver="sgd", momentum=0.9), regressor(solver="sgd", momentum=0.9)
    before = reg.network_.parameters.copy()
    first = before - reg.set_params(momentum=0.0).partial_fit(X, Y).network_.parameters
    _, gradient = other.network_.backward(X, Y[:, None])
    np.testing.assert_allclose(first, 1e-3 * gradient.flat, rtol=1e-9)


def test_moments_of_one_kind_are_none_of_another():
    reg = regressor(solver="adam").partial_fit(X, Y)
    before, (_, gradient) = reg.network_.parameters.copy(), reg.network_.backward(X, Y[:, None])
    reg.set_params(solver="sgd", learning_rate_init=0.1, nesterovs_momentum=False)
    moved = before - reg.partial_fit(X, Y).network_.parameters
    np.testing.assert_allclose(moved, 0.1 * gradient.flat, rtol=1e-9)
    assert reg.network_.steps == 1


def test_a_rate_that_decays_goes_on_from_the_samples_seen():
    reg = regressor(solver="sgd", learning_rate="invscaling", momentum=0.0).partial_fit(X, Y)
    before, (_, gradient) = reg.network_.parameters.copy(), reg.network_.backward(X, Y[:, None])
    assert reg.t_ == 80
    moved = before - reg.set_params(learning_rate_init=0.5).partial_fit(X, Y).network_.parameters
    np.testing.assert_allclose(moved, 0.5 / 81**0.5 * gradient.flat, rtol=1e-9)


def test_the_rate_of_the_network_stays_while_no_parameter_changes():
    reg = regressor()
    reg.network_.set_learning_rate(0.25)
    for again in (reg, pickle.loads(pickle.dumps(reg)), copy.deepcopy(reg)):
        again.set_params(learning_rate_init=0.001)
        expected = by_the_network(again.network_, 0.25)
        again.partial_fit(X, Y)
        assert again.network_.parameters.tobytes() == expected.tobytes()
    expected = by_the_network(reg.network_, 0.002)
    reg.set_params(learning_rate_init=0.002).partial_fit(X, Y)
    assert reg.network_.parameters.tobytes() == expected.tobytes()


def test_the_state_of_adam_goes_on():
    labels = (Y > 0).astype(int)
    clf = MLPClassifier(**ONE_STEP).partial_fit(X, labels, classes=[0, 1]).partial_fit(X, labels)
    clf.set_params(learning_rate_init=0.02, n_iter_no_change=3).partial_fit(X, labels)
    assert clf.network_.steps == 3 and clf.t_ == 120 and len(clf.loss_curve_) == 3


@pytest.mark.parametrize("warm_start", [True, "exact"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_takes_another_rate(warm_start):
    reg = MLPRegressor(**{**ONE_STEP, "max_iter": 1, "warm_start": warm_start, "solver": "sgd"})
    reg.fit(X, Y)
    before, (_, gradient) = reg.network_.parameters.copy(), reg.network_.backward(X, Y[:, None])
    reg.set_params(learning_rate_init=0.5, momentum=0.0).fit(X, Y)
    moved = before - reg.network_.parameters
    np.testing.assert_allclose(moved, 0.5 * gradient.flat, rtol=1e-9)
