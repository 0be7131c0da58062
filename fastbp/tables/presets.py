"""Presets: what options of a training are that nobody gave, by the time that it may take."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import TrainOptions

# more rows than these train one network: several would take minutes, and gain less
_MOST_ROWS_OF_SEVERAL = 100_000
# fewer networks by folds would train on less than three quarters of the rows each
_FEWEST_FOLDS = 4
# about: the features of a number that cost as much as all of its ramps, the share of the epochs
# before the patience is over, and that of the peak that a training reaches
_COST_OF_RAMPS, _SHARE_OF_EPOCHS, _SHARE_OF_PEAK = 6, 0.5, 0.4


@dataclass(frozen=True)
class Preset:
    """The options of a preset; see ``TrainOptions``."""

    hidden: tuple[int, ...]
    ramps: int
    ensemble: int
    dropout: float = 0.0
    schedule: str = "constant"
    epochs: int = 100
    patience: int = 10


# from the quickest to the most accurate
PRESETS = {
    "fast": Preset((100,), ramps=0, ensemble=1),
    "default": Preset((128, 64), ramps=32, ensemble=5),
    "accurate": Preset(
        (128, 128), ramps=32, ensemble=8, dropout=0.05, schedule="cosine", patience=20
    ),
}
DEFAULT, BEST = "default", "accurate"


@dataclass(frozen=True)
class Facts:
    """What a preset needs to know of a table.

    Attributes
    ----------
    rows : int
        Rows with all targets that train or validate.
    groups : int, optional
        The groups of these that rows are split by.
    holds : bool
        Whether rows are held back for all networks, whatever the options say.
    """

    rows: int
    groups: int | None = None
    holds: bool = False


def preset_of(options: TrainOptions) -> Preset:
    """Return the preset of options, for one network if they ask for a search.

    Of a time budget it is the best, as it is not known yet which one fits.
    """
    found = PRESETS[_name_of(options)]
    return found if options.search is None else replace(found, ensemble=1)


def settled(options: TrainOptions, facts: Facts) -> TrainOptions:
    """Return options in which nothing is left to the preset, for a table of such facts.

    Those of a time budget have the best preset; `fitting` says whether there is time for it.
    """
    found = _filled(options, facts.rows)
    by, folds = options.ensemble_by, _folds(options, facts, found["ensemble"])
    if by is None:
        by = "folds" if folds >= _FEWEST_FOLDS else "seeds"
    if by == "folds" and options.ensemble is None:
        found["ensemble"] = max(folds, 2)
    return replace(options, preset=_name_of(options), time_budget=None, ensemble_by=by, **found)


def _name_of(options):
    return options.preset or (DEFAULT if options.time_budget is None else BEST)


def _filled(options, rows) -> dict[str, Any]:
    """Return the values of the options that a preset has, those that are given as they are."""
    preset = preset_of(options)
    if rows > _MOST_ROWS_OF_SEVERAL and options.ensemble_by in (None, "seeds"):
        preset = replace(preset, ensemble=1)
    given = {name: getattr(options, name) for name in asdict(preset)}
    found = asdict(preset) | {name: value for name, value in given.items() if value is not None}
    if found["ramps"]:
        found["ramp_edges"] = options.ramp_edges or "quantiles"
    return found


def _folds(options, facts, ensemble):
    """Return how many networks, of so many, can have a fold of their own; 0 if none can.

    They are as many as there are groups or rows where these are fewer, unless that number is given.
    """
    if options.valid_share is not None or options.time is not None or facts.holds:
        return 0
    most = facts.rows if facts.groups is None else facts.groups
    return ensemble if ensemble <= most else (0 if options.ensemble else most)


@dataclass(frozen=True)
class Work:
    """What a training takes time for: rows, encoded columns, and operations per second.

    `numbers` are the columns that have ramps if there are any, and `inputs` the features without
    these.
    """

    rows: int
    numbers: int
    inputs: int
    outputs: int
    peak: float


def fitting(options: TrainOptions, work: Work, seconds: float) -> str:
    """Return the best preset that is expected to be trained in so many seconds, or the quickest.

    It is one that suits the options that are given.
    """
    suiting = [name for name in reversed(PRESETS) if _of_preset(options, name)]
    for name in suiting:
        if expected_seconds(options, name, work) <= seconds:
            return name
    return suiting[-1]


def _of_preset(options, name):
    """Return the options of a time budget with a preset instead; None if it does not suit them."""
    try:
        return replace(options, preset=name, time_budget=None)
    except ValueError:  # such as edges of ramps, where the preset has none
        return None


def expected_seconds(options: TrainOptions, name: str, work: Work) -> float:
    """Return about how long a training of options with a preset takes."""
    from ..engine.plan import step_flops

    found = _filled(_of_preset(options, name), work.rows)
    inputs = work.inputs + work.numbers * min(found["ramps"], _COST_OF_RAMPS)
    widths = (inputs, *found["hidden"], work.outputs)
    operations = step_flops([n_in * n_out for n_in, n_out in pairwise(widths)])
    operations *= work.rows * found["epochs"] * _SHARE_OF_EPOCHS * found["ensemble"]
    return operations * trainings(options) / (_SHARE_OF_PEAK * work.peak)


def trainings(options: TrainOptions) -> int:
    """Return how many trainings the options ask for, as if one ran after the other."""
    folds = options.folds or 0
    return 1 + folds if options.search is None else options.search * max(folds, 1) + bool(folds)
