"""The options of a training on a table; ``fastbp train`` and ``fastbp.train`` share them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from ..quoted import quoted
from .declared import (
    choice,
    columns,
    duration,
    flag,
    layers,
    number,
    option,
    size,
    text,
    texts,
    threads,
    weights,
    words,
)
from .losses import LOSSES
from .networks import optimizer_of
from .option_kinds import hidden_activations, optimizers, quantiles
from .presets import PRESETS, preset_of
from .read_options import ReadOptions
from .wording import MISSING_WORDS

# rows held back for validation by default: this share, and no more than tell enough
_VALID_SHARE = 0.2
_MOST_VALID_ROWS = 100_000
_AT_LEAST_0 = number(least=0)
_ABOVE_0 = number(above=0)
_COUNT = number(whole=True, least=1)
_SEED = number(whole=True, least=0, below=2**63)
_SHARE = number(least=0, below=1)
_COLUMNS = texts("COL")
# more bins would make models of any size
_RAMPS = number(whole=True, least=0, below=513)
# scikit-learn's seeds are below
SEEDS = 2**32


def held_rows(rows):
    """Return how many of so many rows are held back by default, to validate or to measure."""
    return min(round(rows * _VALID_SHARE), _MOST_VALID_ROWS)


@dataclass(frozen=True)
class TrainOptions(ReadOptions):
    """How to train on a table.

    An option is declared here and nowhere else: the field has its kind, default and panel, the
    docstring its description. The command line, ``--config``, ``--help``, the signature and
    documentation of ``fastbp.train`` and all checks are made from both.

    One thing has one name: rows for validation are `valid`, and epochs without improvement are
    `patience` (scikit-learn's `early_stopping` is a bool). ``Network.fit`` keeps its public names
    `validation_data` and `early_stopping`, and ``fit`` of the estimators `eval_set`; neither is
    an option here.

    Parameters
    ----------
    target : str, or sequence of str
        Column to learn; or several: numbers, or columns of two classes each.
    task : {"classification", "regression"}, optional
        Whether to learn classes or numbers. Default: by the values of the target.
    ids : sequence of str
        Columns that identify rows: kept beside predictions, not learned from.
    drop : sequence of str
        Columns to leave out.
    categorical : sequence of str
        Columns to read as categories, also where they hold numbers.
    numeric : sequence of str
        Columns to read as numbers, also where they look like ids or years.
    weight : str, optional
        Column of the weights of the rows, in losses and scores; it is no input.
    group : str, optional
        Column of groups, such as patients: none has rows both in training and in validation. It
        is no input, unless `categorical` or `numeric` names it.
    time : str, optional
        Column of dates, times or numbers: the last part of the rows validates. It is an input,
        unless `drop` names it.
    folds : int, optional
        Score by cross-validation too, with so many folds: of equal shares of the classes, of
        whole groups, or each of the rows after those that it trains on, by time.
    missing : sequence of str
        Words that mean a missing value. Default: empty text, NA, null, ? and the like.
    max_categories : int, optional
        Most categories of a column that become inputs; the rarer ones share one. Default: 64, or
        more where there are four rows for each, at most 512.
    ramps : int, optional
        Bins of each number and date, such as 16, or 0: between the edges of a bin a feature rises
        from 0 to 0.5, so that one layer learns functions of the number that are no straight lines.
        Default: by the preset.
    ramp_edges : {"tree", "quantiles"}, optional
        Where bins end: at the thresholds of a decision tree that learns the target from the
        number alone, or at the number's quantiles; of the rows that train. Default: quantiles.
    clip_target : float, optional
        Clip the targets that train and validate to this many deviations from their mean, both
        without what lies far out.
    valid_share : float, optional
        Share of the rows held back for the validation of all networks; 0 holds none back. Default:
        0.2, at most 100,000 rows, where no folds validate.
    preset : {"fast", "default", "accurate"}, optional
        The values of the options below that are not given: fast trains one network of 100 units;
        default trains five, of 128 and 64 units on ramps; accurate trains eight that are wider, and
        takes some three times as long. Default: default.
    hidden : sequence of int, optional
        Units of each hidden layer; none makes a linear model. Default: by the preset.
    activation : str, default "relu"
        Activation of the hidden layers: relu, tanh, gelu and others of ``fastbp.ACTIVATIONS``.
    dropout : float, optional
        Dropout rate after each hidden layer. Default: by the preset.
    loss : str, optional
        Loss of a regression, in units of the target's deviation: squared_error (the default),
        absolute_error, huber, quantile, or poisson for counts and rates, whose targets are at
        least 0; the prediction is the rate. It makes a target of a few whole numbers a
        regression.
    quantile : float, optional
        The quantile to predict, such as 0.9, which makes the loss that of quantiles; or several,
        which do not cross. Default: 0.5, the median.
    optimizer : str, default "adam"
        Optimizer: adam, adamw, sgd and others of ``fastbp.OPTIMIZERS``.
    learning_rate : float, optional
        Learning rate. Default: the optimizer's.
    schedule : {"constant", "cosine", "one_cycle"}, optional
        How the learning rate changes over the epochs. Default: by the preset.
    l2 : float, default 0
        L2 penalty of the weights.
    weight_decay : float, optional
        Decoupled decay: a step shrinks the weights by learning rate times this.
        Default: the optimizer's.
    clip_norm : float, optional
        Largest norm of the gradient; a larger gradient is scaled down to it.
    class_weight : "balanced" or dict, optional
        Weights of the classes, such as yes=10,no=1, and 1 for the others; or balanced: every
        class counts the same.
    epochs : int, optional
        Passes over the data, at most. Default: by the preset.
    patience : int, optional
        Epochs without improvement before training stops; 0 never stops early. Default: by the
        preset.
    batch_size : int, optional
        Samples per step. Default: 32 to 256, by the number of rows.
    calibrate : bool, default True
        Divide the logits of classes by a temperature, after training, so that probabilities fit
        the rows that did not train; where there are some, and it matters.
    search : int, optional
        Trainings with different options, drawn at random, of which the best is kept; the first has
        the options that are given, and these are the same in all. A fifth of the rows measure it.
    seed : int, default 0
        Seed for split, weights, shuffling and dropout.
    ensemble : int, optional
        Networks to train, one on each core; the prediction is the mean of their outputs. Default:
        by the preset.
    ensemble_by : {"seeds", "bags", "folds"}, optional
        How they differ: by their seeds alone; also by their rows, drawn with replacement, whole
        groups with `group`; or each by the fold that it stops early on, and does not train on.
        Default: folds of four networks or more, if rows are neither held back for all nor split by
        `time`, and there are enough; else seeds.
    dtype : {"float32", "float64"}, default "float32"
        Precision of the network.
    n_threads : int or "auto", default "auto"
        Threads to compute on; the result does not depend on it.
    max_time : float, in seconds, optional
        Stop training after this time.
    time_budget : float, in seconds, optional
        Choose the most accurate preset that is expected to be trained in this time, by the speed
        of the machine, and stop training after it.
    memory : int, in bytes, optional
        Memory for encoded rows; more rows go through a scratch file, window by window.
        Default: half of what is free.

    Raises
    ------
    ValueError, TypeError
        If an argument is not of this form; the message names it.
    """

    target: str | tuple[str, ...] = option(columns("COL"), panel="Data")
    task: str | None = option(choice(*LOSSES), None, panel="Data")
    ids: tuple = option(_COLUMNS, (), panel="Data", names=("--id",))
    drop: tuple = option(_COLUMNS, (), panel="Data")
    categorical: tuple = option(_COLUMNS, (), panel="Data")
    numeric: tuple = option(_COLUMNS, (), panel="Data")
    weight: str | None = option(text("COL", "the name of a column"), None, panel="Data")
    group: str | None = option(text("COL", "the name of a column"), None, panel="Data")
    time: str | None = option(text("COL", "the name of a column"), None, panel="Data")
    folds: int | None = option(number(whole=True, least=2), None, panel="Data")
    missing: tuple = option(words("WORD"), MISSING_WORDS, panel="Data", adds=True)
    max_categories: int | None = option(_COUNT, None, panel="Data")
    ramps: int | None = option(_RAMPS, None, panel="Data")
    ramp_edges: str | None = option(choice("tree", "quantiles"), None, panel="Data")
    clip_target: float | None = option(_ABOVE_0, None, panel="Data")
    valid_share: float | None = option(_SHARE, None, panel="Data")
    preset: str | None = option(choice(*PRESETS), None, panel="Network")
    hidden: tuple | None = option(layers(), None, panel="Network")
    activation: str = option(
        choice(known=hidden_activations, metavar="NAME"), "relu", panel="Network"
    )
    dropout: float | None = option(_SHARE, None, panel="Network")
    loss: str | None = option(
        choice(*(loss for known in LOSSES.values() for loss in known), metavar="NAME"),
        None,
        panel="Network",
    )
    quantile: float | tuple[float, ...] | None = option(quantiles(), None, panel="Network")
    optimizer: str = option(choice(known=optimizers, metavar="NAME"), "adam", panel="Training")
    learning_rate: float | None = option(_ABOVE_0, None, panel="Training")
    schedule: str | None = option(choice("constant", "cosine", "one_cycle"), None, panel="Training")
    l2: float = option(_AT_LEAST_0, 0.0, panel="Training")
    weight_decay: float | None = option(_AT_LEAST_0, None, panel="Training")
    clip_norm: float | None = option(_ABOVE_0, None, panel="Training")
    class_weight: str | Mapping[str, float] | None = option(
        weights("balanced", "CLASS"), None, panel="Training"
    )
    epochs: int | None = option(_COUNT, None, panel="Training")
    patience: int | None = option(number(whole=True, least=0), None, panel="Training")
    batch_size: int | None = option(_COUNT, None, panel="Training")
    calibrate: bool = option(flag(), True, panel="Training", names=("--calibrate/--no-calibrate",))
    search: int | None = option(_COUNT, None, panel="Training")
    seed: int = option(_SEED, 0, panel="Training")
    ensemble: int | None = option(_COUNT, None, panel="Training")
    ensemble_by: str | None = option(choice("seeds", "bags", "folds"), None, panel="Training")
    dtype: str = option(choice("float32", "float64"), "float32", panel="Network")
    n_threads: int | str = option(threads(), "auto", panel="Job", names=("--threads",))
    max_time: float | None = option(duration(above=0), None, panel="Job")
    time_budget: float | None = option(duration(above=0), None, panel="Job")
    memory: int | None = option(size(), None, panel="Job")

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "missing", tuple(dict.fromkeys(self.missing)))
        optimizer_of(self)
        if self.quantile is not None and self.loss not in (None, "quantile"):
            raise ValueError(
                f"quantile={quoted(self.quantile)}: loss={quoted(self.loss)} has no quantile; "
                "leave one out"
            )
        if self.group is not None and self.time is not None:
            raise ValueError(
                f"group={quoted(self.group)}: rows are split by group or by "
                f"time={quoted(self.time)}; choose one"
            )
        if self.preset is not None and self.time_budget is not None:
            raise ValueError(
                f"time_budget={self.time_budget}: it chooses the preset; leave it or "
                f"preset={quoted(self.preset)} out"
            )
        self._check_ensemble()
        self._check_ramps()
        if self.valid_share == 0 and self.folds is None:
            self.refuse_key("no rows are held back with valid_share=0")

    def _check_ramps(self):
        if self.ramps == 1:
            raise ValueError("ramps=1: one bin says what the number says; give more, such as 16")
        ramps = preset_of(self).ramps if self.ramps is None else self.ramps
        if self.ramp_edges is not None and not ramps:
            raise ValueError(
                f"ramp_edges={quoted(self.ramp_edges)}: there are no ramps; give the number of "
                "bins, such as ramps=16"
            )

    def _check_ensemble(self):
        asked = f"ensemble_by={quoted(self.ensemble_by)}"
        if self.search is not None and self.ensemble_by not in (None, "seeds"):
            raise ValueError(f"{asked}: a search={self.search} keeps one network; leave one out")
        networks = self.ensemble or preset_of(self).ensemble
        if networks == 1 and self.ensemble_by not in (None, "seeds"):
            raise ValueError(f"{asked}: there is one network; give the number, such as ensemble=5")
        if self.ensemble_by != "folds":
            return
        if self.valid_share is not None:
            raise ValueError(
                f"valid_share={self.valid_share}: with {asked} each fold validates in turn; leave "
                "valid_share out"
            )
        if self.time is not None:
            raise ValueError(
                f"time={quoted(self.time)}: with {asked} networks would learn from later rows "
                "than they are scored on; give ensemble_by='seeds'"
            )

    def refuse_key(self, why):
        """Raise ValueError if rows are to be split by a column, which cannot be."""
        for name in ("group", "time"):
            column = getattr(self, name)
            if column is not None and (name, self.ensemble_by) != ("group", "bags"):
                raise ValueError(f"{name}={quoted(column)}: {why}; leave it out, or give folds=5")

    @property
    def learned_loss(self):
        """The loss that is asked for, by its name or by a quantile; None for the task's own."""
        return "quantile" if self.quantile is not None else self.loss

    @property
    def targets(self):
        """The columns to learn."""
        return (self.target,) if isinstance(self.target, str) else self.target

    def valid_rows(self, rows):
        """Return how many rows are held back for validation; none where folds validate."""
        if self.ensemble_by == "folds":
            return 0
        return held_rows(rows) if self.valid_share is None else round(rows * self.valid_share)

    def check_search(self, valid, checkpoints):
        """Raise ValueError if a search has nothing to choose by, or is to keep what it cannot."""
        if (self.ensemble or 1) > 1:
            raise ValueError(
                f"ensemble={self.ensemble}: a search keeps one network; leave one of them out, "
                "and train the ensemble with the options that were found"
            )
        if checkpoints is not None:
            raise ValueError(
                "checkpoints: a search keeps none; leave out checkpoints and resume, or search"
            )
        if self.valid_share == 0 and self.folds is None and valid is None:
            raise ValueError(
                f"search={self.search}: options are chosen by rows that are held back, and "
                "valid_share=0 holds none; leave it out, or give folds=5"
            )

    def to_data(self):
        """Return the options that differ from their defaults, as JSON holds them."""
        defaults = {field.name: field.default for field in fields(self)}
        given = {name: value for name, value in asdict(self).items() if value != defaults[name]}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()}
