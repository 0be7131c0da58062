"""The line search of `LBFGS` beside SciPy's."""

import math

import numpy as np
import pytest
from scipy.optimize import line_search as scipy_search
from scipy.optimize import rosen, rosen_der

from fastbp import LBFGS, Network
from fastbp.second_order.line_search import Trial, line_search


def test_a_search_satisfies_the_strong_wolfe_conditions():
    """Along directions of descent of Rosenbrock's function, as SciPy's search does."""
    rng, found = np.random.default_rng(1), 0
    for _ in range(200):
        point = rng.uniform(-2, 2, 4)
        direction = -rosen_der(point) * rng.uniform(0.5, 2, 4)
        along = float(direction @ rosen_der(point))

        def at(length, point=point, direction=direction):
            new = point + length * direction
            return Trial(length, rosen(new), float(direction @ rosen_der(new)))

        start = Trial(0.0, rosen(point), along)
        trial = line_search(at, start, 10.0 ** rng.uniform(-4, 1))
        if trial is None:
            continue
        found += 1
        assert trial.value <= start.value + 1e-4 * trial.length * along
        if abs(trial.slope) > 0.9 * abs(along):  # after thirty trials it takes what is low enough
            assert scipy_search(rosen, rosen_der, point, direction)[0] is None
    assert found > 190


@pytest.mark.parametrize("rounded", [float, np.float32], ids=["exact", "rounded"])
def test_a_search_around_a_kink_ends_at_it(rounded):
    """No length satisfies the conditions there: the interval shrinks until no number is in it."""
    rng = np.random.default_rng(0)
    for kink in rng.uniform(0.01, 100, 300):
        steep = 10.0 ** rng.uniform(-3, 3)

        def at(length, kink=kink, steep=steep):
            slope = math.copysign(steep, length - kink)
            return Trial(length, float(rounded(steep * abs(length - kink))), slope)

        trial = line_search(at, at(0.0), 10.0 ** rng.uniform(-2, 2))
        assert trial is not None
        assert abs(trial.length - kink) < 0.5 * kink


@pytest.mark.parametrize("slope", [math.nan, math.inf, -math.inf])
def test_a_search_takes_no_step_whose_slope_is_not_finite(slope):
    """Lengths above 0.3 have a lower value there, but no gradient to go on from."""

    def at(length):
        assert math.isfinite(length)
        return Trial(length, -length, slope if length > 0.3 else -1.0)

    trial = line_search(at, at(0.0), 1.0)
    assert trial is not None
    assert trial.length <= 0.3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "absolute_error", "huber", "poisson"])
def test_fits_near_their_minimum_converge(loss, dtype):
    """Rounding leaves no length that lowers the loss: training has then converged."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
        y = {"binary_cross_entropy": (y > 0) * 1.0, "poisson": np.abs(y)}.get(loss, y)
        network = Network([3, 3, 2], "selu", loss=loss, optimizer=LBFGS(), dtype=dtype, seed=seed)
        before = network.evaluate(X, y)["loss"]
        history = network.fit(X, y, epochs=150)
        assert history.stopped in ("converged", "epochs")
        assert network.evaluate(X, y)["loss"] < before
