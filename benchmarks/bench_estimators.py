"""Small fits of the estimators, alone and beside those of scikit-learn."""

from dataclasses import replace
from importlib.util import find_spec

from .common import DTYPES
from .fits import CASES, CLOCKS, SIDES, limited_blas, timed_fit

TURNS = 3


def _small(name, rows=None, **settings):
    case = CASES[name]
    return replace(case, rows=rows or case.rows, settings={**case.settings, **settings})


FITS = {
    "digits": _small("digits", max_iter=20),
    "narrow-small": _small("narrow", rows=7_000, max_iter=2),
    "text-small": _small("text", rows=1_000, max_iter=2),
    "lbfgs": _small("lbfgs", max_iter=40),
}


class Fit:
    """A whole `fit` on one thread: checks, initial weights, and all epochs or iterations.

    One thread, because idle threads of BLAS spin and would slow those of fastbp.
    """

    params = (tuple(FITS), DTYPES)
    param_names = ("fit", "dtype")
    warmup_time, repeat, timeout = 0, (2, 10, 1.0), 300

    def setup(self, name, dtype):
        if find_spec("sklearn") is None:
            raise NotImplementedError("scikit-learn is not installed")
        self.case = FITS[name]
        self.data = self.case.data(dtype)
        for side in SIDES:
            self._fit(side, max_iter=1)

    def _fit(self, side, **settings):
        return timed_fit(self.case.new(side, "1", **settings), self.data, CLOCKS["1"])

    def time_fit(self, name, dtype):
        self._fit("fastbp")

    def track_times_sklearn(self, name, dtype):
        with limited_blas("1"):
            turns = [{side: self._fit(side) for side in SIDES} for _ in range(TURNS)]
        theirs, own = (min(turn[side] for turn in turns) for side in SIDES)
        return theirs / own

    track_times_sklearn.unit = "x"
