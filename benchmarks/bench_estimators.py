"""Small fits of the estimators, alone and beside those of scikit-learn."""

from dataclasses import replace

import fastbp

from .common import DTYPES, needs
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
        needs(fastbp, "MLPClassifier", "sklearn")
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
        return own / theirs

    track_times_sklearn.unit = "times scikit-learn"


class ManyFits:
    """A search or an ensemble: 200 fits of 150 rows, one after another."""

    number, timeout = 1, 300

    def setup(self):
        needs(fastbp, "MLPClassifier", "sklearn")
        self.data = _small("digits", rows=150).data("float32")
        self._fit(0)

    def _fit(self, seed):
        net = fastbp.MLPClassifier((16,), max_iter=10, random_state=seed, n_threads=1)
        timed_fit(net, self.data)

    def time_200_fits(self):
        for seed in range(200):
            self._fit(seed)


class InputGradient:
    """The derivative of each probability by each of 64 inputs, for 200 rows."""

    def setup(self):
        needs(fastbp, "MLPClassifier", "sklearn")
        self.X, y = CASES["digits"].data("float32")
        self.net = fastbp.MLPClassifier(max_iter=2, random_state=0, n_threads=1)
        timed_fit(self.net, (self.X, y))
        self.X = self.X[:200]
        needs(self.net, "input_gradient")
        self.time_input_gradient()

    def time_input_gradient(self):
        self.net.input_gradient(self.X)
