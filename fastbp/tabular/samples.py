"""The samples of an estimator, in an array or a frame, as one frame of polars."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.utils.validation import validate_data

from ..annotations import Array
from ..tables.read.forked import require_polars
from ..tables.read.frames import (
    as_known,
    is_pandas,
    kind_of,
    native,
    of_objects,
    of_pandas,
    require_names_of_their_own,
)
from ..tables.read.readers import from_arrays

# of pandas' types of missing values, neither of which is a scalar to NumPy
_NAMES = ("NAType", "NaTType")


class Samples(NamedTuple):
    """A frame with the columns of X, and which of them are of a kind whatever they hold."""

    frame: pl.DataFrame
    names: list[str]
    numeric: list[str]
    categorical: list[str]


def samples_of(estimator: Any, X: Any, names: list[str] | None = None) -> Samples:
    """Return checked samples (n_samples, n_features): an array-like, or a frame.

    `names` are those of a fit, which the columns get; a fit, without them, learns the features of
    X. Columns of numbers in an array are numbers, also where they count the rows; columns of a
    frame whose type is that of categories are categories.

    Raises
    ------
    ValueError, TypeError
        If X is empty, sparse, or complex, is no table, holds infinity, or has not the columns of
        the fit.
    RuntimeError
        In a forked child where polars would wait without end.
    """
    require_polars()
    types = _types_of_arrow(X)
    X = _collected(X)
    if not (is_pandas(X) or isinstance(X, pl.DataFrame)):
        return _of_array(estimator, X, names)
    _check_size(estimator, X)
    if is_pandas(X):
        require_names_of_their_own(X, "X")
    validate_data(estimator, X, reset=names is None, skip_check_array=True)
    names = names or [str(name) for name in X.columns]
    if is_pandas(X):
        kinds = [str(dtype) == "category" for dtype in X.dtypes]
        frame = of_pandas(X.reset_index(drop=True).set_axis(names, axis=1))
    else:
        kinds = [dtype in (pl.Categorical, pl.Enum) for dtype in X.dtypes]
        kinds = [each.startswith("dictionary") for each in types] or kinds
        frame = pl.DataFrame([X[old].alias(new) for old, new in zip(X.columns, names, strict=True)])
    categorical = [name for name, is_category in zip(names, kinds, strict=True) if is_category]
    return Samples(frame, names, [], categorical)


def _collected(X):
    """Return a frame of any library as pandas' or polars' own, others as they are.

    TypeError if it has columns and yet no way to read them: as an array it would lose their types.
    """
    known = as_known(X)
    if isinstance(known, pl.LazyFrame):
        return known.collect()
    if hasattr(known, "columns") and not (is_pandas(known) or isinstance(known, pl.DataFrame)):
        raise TypeError(
            f"X is a {kind_of(X)}: expected a frame of pandas, polars or pyarrow, or an array"
        )
    return known


def _types_of_arrow(X):
    """Return the types of the columns of a table of pyarrow: of a dictionary polars keeps none."""
    X = native(X)
    is_arrow = kind_of(X).startswith("pyarrow.") and hasattr(X, "schema")
    return [str(each) for each in X.schema.types] if is_arrow else []


def _check_size(estimator, X):
    """Raise scikit-learn's errors if a frame has no rows or no columns."""
    for what, count in zip(("sample", "feature"), X.shape, strict=True):
        if not count:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required "
                f"by {type(estimator).__name__}."
            )


def _of_array(estimator, X, names):
    X = validate_data(estimator, X, reset=names is None, dtype=None, ensure_all_finite="allow-nan")
    names = names or [f"x{place}" for place in range(X.shape[1])]
    if X.dtype == object:
        columns = zip(names, X.T, are_missing(X).T, strict=True)
        series = [of_objects(*column) for column in columns]
        frame = pl.DataFrame([each for each in series if each is not None])
    else:
        frame = from_arrays("X", dict(zip(names, X.T, strict=True))).frame
    numeric = [name for name, dtype in frame.schema.items() if dtype.is_numeric()]
    return Samples(frame, names, numeric, [])


def are_missing(X: Array) -> npt.NDArray[np.bool_]:
    """Return which objects are None, NaN, NaT or the NA of pandas, as an array of flags."""
    missing = [
        each is None or type(each).__name__ in _NAMES or (np.isscalar(each) and each != each)
        for each in X.flat
    ]
    return np.array(missing, bool).reshape(X.shape)
