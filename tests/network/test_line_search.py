"""The line search of `LBFGS` beside SciPy's."""

import numpy as np
from scipy.optimize import line_search as scipy_search
from scipy.optimize import rosen, rosen_der

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
