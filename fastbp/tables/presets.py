"""Presets: what options of a training are that nobody gave, by the time that it may take."""

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

# more rows than these train one network: several would take minutes, and gain less
_MOST_ROWS_OF_SEVERAL = 100_000
# fewer networks by folds would train on less than three quarters of the rows each
_FEWEST_FOLDS = 4
# what the features of a column take at most, about: 64 categories, in float32, and a copy for folds
_BYTES_OF_A_VALUE = 2 * 64 * 4
# rows that may take more than this stay in one place, whatever memory is free
_MOST_BYTES = 2**31
# about: the features of a column beside its ramps, the outputs, the share of the epochs before the
# patience is over, and the share of the peak that a training reaches
_FEATURES, _OUTPUTS, _SHARE_OF_EPOCHS, _SHARE_OF_PEAK = 4, 2, 0.5, 0.4
# a training stops after this time at the earliest, though none is left
_LEAST_SECONDS = 0.1


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


PRESETS = {
    "fast": Preset((100,), ramps=0, ensemble=1),
    "default": Preset((256,), ramps=32, ensemble=5),
    "accurate": Preset(
        (128, 128), ramps=32, ensemble=8, dropout=0.05, schedule="cosine", patience=20
    ),
}
DEFAULT = "default"


@dataclass(frozen=True)
class Facts:
    """What a preset needs to know of a table.

    Attributes
    ----------
    rows : int
        Rows with a target that train or validate.
    columns : int
        Columns of the table.
    groups : int, optional
        The groups that rows are split by.
    holds : bool
        Whether rows are held back for all networks, whatever the options say.
    free : int, optional
        Bytes that encoded rows may take.
    peak : float, optional
        The peak of the threads that may be used, in operations per second, for a time budget.
    elapsed : float
        Seconds of the time budget that are spent.
    """

    rows: int
    columns: int
    groups: int | None = None
    holds: bool = False
    free: int | None = None
    peak: float | None = None
    elapsed: float = 0.0


def preset_of(options: Any) -> Preset:
    """Return the preset of options, for one network if they ask for a search."""
    found = PRESETS[options.preset or DEFAULT]
    return found if options.search is None else replace(found, ensemble=1)


def settled(options: Any, facts: Facts) -> Any:
    """Return options in which nothing is left to the preset, for a table of such facts."""
    if options.time_budget is not None:
        return _within_budget(options, facts)
    preset = preset_of(options)
    if facts.rows > _MOST_ROWS_OF_SEVERAL:
        preset = replace(preset, ensemble=1)
    given = {name: getattr(options, name) for name in asdict(preset)}
    found = asdict(preset) | {name: value for name, value in given.items() if value is not None}
    if found["ramps"]:
        found["ramp_edges"] = options.ramp_edges or "quantiles"
    by = options.ensemble_by
    if by is None:
        by = "folds" if _can_fold(options, facts, found["ensemble"]) else "seeds"
    return replace(options, preset=options.preset or DEFAULT, ensemble_by=by, **found)


def _within_budget(options, facts):
    """Return settled options of the last preset that fits into the time, or of the first."""
    left = max(options.time_budget - facts.elapsed, _LEAST_SECONDS)
    limit = min(left, options.max_time or left)
    for name in reversed(PRESETS):
        free = replace(options, preset=name, time_budget=None, max_time=limit)
        found = settled(free, facts)
        if expected_seconds(found, facts) <= left:
            break
    return found


def expected_seconds(options: Any, facts: Facts) -> float:
    """Return about how long a training of settled options takes on a machine as of the facts."""
    from ..engine.plan import step_flops

    assert facts.peak
    widths = (facts.columns * (_FEATURES + options.ramps), *options.hidden, _OUTPUTS)
    operations = step_flops([n_in * n_out for n_in, n_out in pairwise(widths)])
    operations *= facts.rows * options.epochs * _SHARE_OF_EPOCHS * options.ensemble
    return (
        operations
        * max(options.search or 1, 1)
        * (1 + (options.folds or 0))
        / (_SHARE_OF_PEAK * facts.peak)
    )


def _can_fold(options, facts, ensemble):
    """Return whether each of so many networks can have a fold of its own to stop early on."""
    limit = min(_MOST_BYTES, facts.free or _MOST_BYTES)
    return (
        ensemble >= _FEWEST_FOLDS
        and options.valid_share is None
        and options.time is None
        and not facts.holds
        and facts.rows >= ensemble
        and (facts.groups is None or facts.groups >= ensemble)
        and facts.rows * facts.columns * _BYTES_OF_A_VALUE <= limit
    )
