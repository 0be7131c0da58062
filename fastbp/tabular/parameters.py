"""The parameters of the estimators: the options of a training that suit them."""

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

from sklearn.utils import check_random_state

from ..kernels.support.scalars import a_whole_number
from ..tables.options import TrainOptions

# options that are no parameters, and what takes their place
INSTEAD = {
    "target": "y",
    "task": "the estimator",
    "weight": "sample_weight",
    "seed": "random_state",
    "folds": "cross_validate",
    "search": "RandomizedSearchCV",
    # of files of text
    "separator": "a frame",
    "encoding": "a frame",
    "skip_rows": "a frame",
    "header": "a frame",
}
# those of one task alone
OF_CLASSES = ("class_weight", "calibrate")
OF_NUMBERS = ("loss", "quantile", "clip_target")
# those that name columns of X
_OF_COLUMNS = ("ids", "drop", "categorical", "numeric", "group", "time")


def arguments_of(constructor: Callable[..., None], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each parameter of a constructor: as given, or its default.

    TypeError if there is no parameter of that name.
    """
    bound = inspect.signature(constructor).bind(None, **given)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name != "self"}


def options_of(parameters: Mapping[str, Any], names: list[str], **more: Any) -> TrainOptions:
    """Return the options that the parameters of an estimator stand for.

    Parameters that name columns may give their places among the `names` of all columns instead.
    ValueError or TypeError, with the name, if one has a wrong value.
    """
    options = dict(parameters)
    options["seed"] = _seed(options.pop("random_state"))
    for name in _OF_COLUMNS:
        options[name] = _column_names(name, options[name], names)
    return TrainOptions(**options, **more)


def _seed(random_state):
    """Return the seed that a whole number is, or that a generator draws."""
    if isinstance(random_state, Integral):
        return a_whole_number("random_state", int(random_state), 0, 2**63)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _column_names(option, given, names):
    """Return names as they are, and those of places."""
    if isinstance(given, list | tuple):
        return [_column_names(option, each, names) for each in given]
    if isinstance(given, bool) or not isinstance(given, Integral):
        return given
    given = int(given)
    if not -len(names) <= given < len(names):
        raise ValueError(
            f"{option}={given}: X has {len(names)} columns; expected one of them, from 0"
        )
    return names[given]
