"""Real data sets that ship with scikit-learn (extra ``cli``), as tables of named columns."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ..kernels.formulas.registry import Registry


@dataclass(frozen=True)
class Dataset:
    """A data set by its name on the command line; `load` returns arrays (n,) by column."""

    name: str
    title: str
    target: str
    load: Callable[[], dict[str, npt.NDArray]]


def _digits():
    """Return the digits from scikit-learn's file, without its import, which takes 0.6 s."""
    package = find_spec("sklearn")
    origin = package.origin if package and package.origin else ""
    path = Path(origin).parent / "datasets/data/digits.csv.gz"
    if path.is_file():
        table = pl.read_csv(path, has_header=False).to_numpy()
        X, y = table[:, :-1].astype(np.float64), table[:, -1].astype(np.int64)
    else:
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
    pixels = {f"pixel_{n // 8}_{n % 8}": X[:, n] for n in range(64)}
    return {**pixels, "digit": y}


def _breast_cancer():
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    return {**_columns(data), "diagnosis": data.target_names[data.target]}


def _diabetes():
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    return {**_columns(data), "progression": data.target}


def _columns(data):
    return dict(zip(data.feature_names, data.data.T, strict=True))


_DIGITS = "1,797 handwritten digits of 8 x 8 pixels (UCI, Alpaydin and Kaynak, 1998)"
_TUMOURS = "569 tumours, 30 measures of cell nuclei each (UCI, Wolberg and others, 1995)"
_PATIENTS = "442 patients, the progression of their illness in a year (Efron and others, 2004)"
DATASETS = Registry(
    "data set",
    [
        Dataset("digits", _DIGITS, "digit", _digits),
        Dataset("breast-cancer", _TUMOURS, "diagnosis", _breast_cancer),
        Dataset("diabetes", _PATIENTS, "progression", _diabetes),
    ],
)
