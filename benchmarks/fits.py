"""The fits that compare fastbp's estimators with scikit-learn's, and their data."""

import gzip
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np

SIDES = {"sklearn": "sklearn.neural_network", "fastbp": "fastbp"}
DTYPES = ("float64", "float32")
# by the number of threads; processor time does not count other processes
CLOCKS = {"1": time.process_time, "all": time.perf_counter}
# of text: 1 % of a row is not zero
WORDS, WORDS_PER_ROW, TOPICS = 10_000, 100, 20


@dataclass(frozen=True)
class Case:
    """One fit.

    Attributes
    ----------
    name, source : str
        Name in the tables, and origin of the data.
    estimator : str
        "MLPClassifier" or "MLPRegressor".
    make : callable
        ``make(rows) -> X, y``; X an array of float64, or CSR.
    rows : int
        Samples.
    settings : dict
        Arguments of the constructor.
    targets : tuple of float
        Intended speed as a multiple of scikit-learn's, for each of ``DTYPES``.
    """

    name: str
    source: str
    estimator: str
    make: Callable
    rows: int
    settings: dict
    targets: tuple

    def data(self, dtype):
        """Return X and y; y has the dtype of X, or scikit-learn would compute in float64."""
        X, y = self.make(self.rows)
        return X.astype(dtype), y if self.estimator == "MLPClassifier" else y.astype(dtype)

    def new(self, side, threads="all", **settings):
        """Return a new estimator of one of ``SIDES``."""
        settings = {"random_state": 0, **self.settings, **settings}
        if side == "fastbp":
            settings["n_threads"] = 1 if threads == "1" else "auto"
        return getattr(import_module(SIDES[side]), self.estimator)(**settings)

    def target(self, dtype):
        """Return the target for a dtype."""
        return self.targets[DTYPES.index(dtype)]


def limited_blas(threads):
    """Return a context that limits the threads of BLAS; `threads` is a name in ``CLOCKS``."""
    from threadpoolctl import threadpool_limits

    import_module(SIDES["sklearn"])  # the limit does not reach a BLAS that is loaded later
    return threadpool_limits(1 if threads == "1" else None, user_api="blas")


def timed_fit(estimator, data, clock=time.perf_counter):
    """Fit an estimator; return the seconds by a clock."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge
        begin = clock()
        estimator.fit(*data)
        return clock() - begin


def _digits(rows):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X[:rows] / 16, y[:rows]


def _diabetes(rows):
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    return (X / X.std(axis=0))[:rows], ((y - y.mean()) / y.std())[:rows]


def _narrow(rows):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 8))
    return X, np.sin(X @ rng.standard_normal(8)) + rng.standard_normal(rows) / 10


def _images(rows):
    """Return images of 28 x 28, similar within a class, 81 % black, with a black rim."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, rows)
    ink = rng.standard_normal((10, 20, 20))[y] / 4 + rng.standard_normal((rows, 20, 20))
    images = np.zeros((rows, 28, 28))
    images[:, 4:24, 4:24] = ink.clip(0, 1) * (rng.random(ink.shape) < 0.75)
    return images.reshape(rows, 784), y


def read_images(folder, rows):
    """Return the images and labels of a folder with the files of MNIST."""
    files = (folder / f"{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1"))
    images, labels = (np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8) for file in files)
    return images[16:].reshape(-1, 784)[:rows] / 255, labels[8:][:rows].astype(np.int64)


def _text(rows):
    from scipy.sparse import csr_array

    rng = np.random.default_rng(0)
    # one word out of each hundred: distinct and sorted
    words = rng.integers(0, WORDS // WORDS_PER_ROW, (rows, WORDS_PER_ROW), dtype=np.int32)
    words += np.arange(0, WORDS, WORDS // WORDS_PER_ROW, dtype=np.int32)
    ends = np.arange(0, words.size + 1, WORDS_PER_ROW, dtype=np.int32)
    X = csr_array((rng.random(words.size), words.ravel(), ends), shape=(rows, WORDS))
    return X, (X @ rng.standard_normal((WORDS, TOPICS))).argmax(axis=1)


_NARROW = {"hidden_layer_sizes": (128, 32), "batch_size": 70, "max_iter": 3}
_IMAGES = {"hidden_layer_sizes": (128,), "batch_size": 128, "max_iter": 10}
CASES = {
    case.name: case
    for case in (
        Case("digits", "load_digits", "MLPClassifier", _digits, 1_797, {}, (6, 10)),
        Case("narrow", "generated", "MLPRegressor", _narrow, 200_000, _NARROW, (7, 12)),
        Case("images", "generated", "MLPClassifier", _images, 10_000, _IMAGES, (3, 5)),
        Case("text", "generated", "MLPClassifier", _text, 20_000, {"max_iter": 3}, (5, 5)),
        Case("lbfgs", "load_diabetes", "MLPRegressor", _diabetes, 442, {"solver": "lbfgs"}, (3, 3)),
    )
}
