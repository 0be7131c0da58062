"""Losses by the names everyone knows: means are means; and no loss of which nothing is learned."""

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error

from export_nets import of_one_share
from fastbp import LOSSES, SGD, Dense, MLPRegressor, Network, kernels

rng = np.random.default_rng(2)
X, Y = rng.normal(size=(40, 4)), rng.normal(size=(40, 3))
WEIGHT = rng.uniform(0.1, 3, 40)
MEANS = {"mse": mean_squared_error, "mae": mean_absolute_error}
MEANS |= {"mean_squared_error": mean_squared_error, "mean_absolute_error": mean_absolute_error}


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_mean_error_is_scikit_learns_metric_of_that_name(name, weight, outputs):
    net = Network([4, 8, outputs], "tanh", name, dtype="float64")
    y = Y[:, :outputs]
    expected = MEANS[name](y, net.forward(X), sample_weight=weight)
    loss, _ = net.backward(X, y, weight)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert net.evaluate(X, y, weight)["loss"] == pytest.approx(expected, rel=1e-12)
    still = Network([4, 8, outputs], "tanh", name, SGD(1e-300), dtype="float64")
    history = still.fit(X, y, epochs=1, batch_size=7, sample_weight=weight, validation_data=(X, y))
    assert history["loss"] == pytest.approx([expected], rel=1e-12)
    assert history["val_loss"] == pytest.approx([MEANS[name](y, still.forward(X))], rel=1e-12)
    value, _ = kernels.loss(net.forward(X), y, name, sample_weight=weight)
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", MEANS)
def test_the_gradient_is_that_of_the_value(name):
    net = Network([4, 5, 3], "tanh", name, dtype="float64")
    _, grads = net.backward(X, Y, WEIGHT)
    for place in range(0, net.parameters.size, 5):
        values = []
        for step in (1e-6, -1e-6):
            net.parameters[place] += step
            values.append(MEANS[name](Y, net.forward(X), sample_weight=WEIGHT))
            net.parameters[place] -= step
        slope = (values[0] - values[1]) / 2e-6
        assert grads.flat[place] == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_the_textbooks_errors_stay_sums():
    net = Network([4, 3], loss="squared_error", dtype="float64")
    errors = net.forward(X) - Y
    assert net.evaluate(X, Y)["loss"] == pytest.approx((errors**2).sum(axis=1).mean() / 2)
    net = Network([4, 3], loss="absolute_error", dtype="float64")
    errors = net.forward(X) - Y
    assert net.evaluate(X, Y)["loss"] == pytest.approx(np.abs(errors).sum(axis=1).mean())


def test_least_squares_are_found_by_either_loss():
    exact = LinearRegression().fit(X, Y).predict(X)
    for loss, rate in (("squared_error", 0.1), ("mse", 0.15)):
        net = Network([4, 3], loss=loss, optimizer=SGD(rate), dtype="float64")
        net.fit(X, Y, epochs=2000, batch_size=40)
        np.testing.assert_allclose(net.forward(X), exact, atol=1e-6)


def test_a_file_holds_a_mean_and_gives_it_back(tmp_path):
    net = Network([4, 3], loss="mse", dtype="float64")
    net.fit(X, Y, epochs=1)
    net.save(tmp_path / "net.safetensors")
    again = Network.load(tmp_path / "net.safetensors")
    assert again.loss == "mean_squared_error" and again.loss_parameter == 0
    for one in (net, again):
        one.fit(X, Y, epochs=2)
    assert np.array_equal(net.parameters, again.parameters)
    assert again.evaluate(X, Y)["loss"] == pytest.approx(mean_squared_error(Y, net.forward(X)))
    with pytest.raises(ValueError, match="mean_squared_error has no parameter"):
        Network([4, 3], loss="mse", loss_parameter=0.5)


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_an_estimator_shows_the_mean(name, outputs):
    x, y = make_regression(80, 4, n_targets=outputs, random_state=0)
    y = y / y.std()
    reg = MLPRegressor(name, (8,), alpha=0.0, batch_size=80, max_iter=3, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        reg.fit(x, y, X_val=x, y_val=y)
    error = MEANS[name](y, reg.predict(x))
    assert reg.validation_loss_curve_[-1] == pytest.approx(error, rel=1e-12)
    reg.set_params(warm_start=True, max_iter=1)
    with pytest.warns(match="Maximum iterations"):
        reg.fit(x, y)
    assert reg.loss_curve_[-1] == pytest.approx(error, rel=1e-12)


# ---------------------------------------------------------------- one output that is always 1


def test_a_softmax_of_one_output_is_refused_and_says_what_to_do():
    words = r"loss='cross_entropy': a softmax of 1 output is always 1.*2 outputs.*binary_cross_entr"
    for loss in ("cross_entropy", "log_loss"):
        with pytest.raises(ValueError, match=words):
            Network([4, 8, 1], loss=loss)
    with pytest.raises(ValueError, match=words):
        Network(inputs=4, layers=[Dense(8), Dense(1)], loss="cross_entropy")
    words = r"output_activation='softmax': of 1 output it is always 1.*at least 2"
    for options in (
        {"sizes": [4, 1], "output_activation": "softmax"},
        {"inputs": 4, "layers": [Dense(1, "softmax")], "loss": "mse"},
    ):
        with pytest.raises(ValueError, match=words):
            Network(**options)
    with pytest.raises(ValueError, match="of 1 output"):
        MLPRegressor("log_loss").fit(X, np.ones(40))


def test_what_the_message_says_to_do_learns():
    labels = (X[:, 0] > 0).astype(int)
    for options in ({"sizes": [4, 8, 2]}, {"sizes": [4, 8, 1], "loss": "binary_cross_entropy"}):
        net = Network(**{"loss": "cross_entropy", "optimizer": "adam", "seed": 0, **options})
        net.fit(X, labels, epochs=300, batch_size=10)
        assert net.evaluate(X, labels)["accuracy"] == 1.0


def test_an_old_file_with_one_output_still_loads(tmp_path):
    of_one_share().save(tmp_path / "old.safetensors")
    assert (Network.load(tmp_path / "old.safetensors").forward(np.ones((3, 5))) == 1).all()


def test_every_mean_has_the_output_of_its_sum():
    for name in ("squared_error", "absolute_error"):
        assert LOSSES[f"mean_{name}"].partner == LOSSES[name].partner
