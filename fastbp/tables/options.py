"""What a training on a table can be asked, checked; the command and ``fastbp.train`` share it."""

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ..checks import a_text, one_of, settle
from ..components.layers import Dense, Dropout
from ..components.optimizers import Optimizer
from ..components.schedules import Constant, Cosine, OneCycle
from ..engine.architecture import check_hidden
from ..kernels.formulas.optimizers import OPTIMIZERS
from ..kernels.support.scalars import a_number, a_whole_number
from ..network import Network
from .read.table import MISSING_WORDS

_LOSSES = {
    "classification": ("cross_entropy",),
    "regression": ("squared_error", "absolute_error", "huber", "quantile"),
}
_SCHEDULES: dict[str, Any] = {
    "constant": lambda epochs: Constant(),
    "cosine": Cosine,
    "one_cycle": OneCycle,
}
# what is held back where nobody says how much: a share, and no more rows than tell enough
_VALID_SHARE, _MOST_VALID_ROWS = 0.2, 100_000
# what a training that goes on may be asked anew; epochs only where no rate depends on them
_MAY_CHANGE = {"epochs", "patience", "n_threads", "max_time", "memory"}
_FEWEST_BATCH, _MOST_BATCH, _BATCHES = 32, 256, 300
# other activations begin with Glorot's weights, rectifiers too: smaller than He's, they gave
# better scores on eight of the nine tables of tests/messy_tables.py, up to 0.05 of R2, and level
# on the ninth
_INITIALIZERS = {"selu": "lecun_normal"}


@dataclass(frozen=True)
class TrainOptions:
    """How to train on a table.

    Parameters
    ----------
    target : str
        The column to learn.
    task : {"classification", "regression"}, optional
        Default: what the target is.
    ids, drop, categorical, numeric : sequence of str
        Columns that identify rows, that are no inputs, and that are categories, or numbers,
        whatever they look like.
    missing : sequence of str
        What text counts as missing.
    valid_share : float, optional
        The share of rows that is held back to validate on; default 0.2, and at most 100,000
        rows. 0 holds none back.
    hidden : sequence of int, default (100,)
        Units of the hidden layers; none makes a linear model.
    activation : str, default "relu"
        A name in ``fastbp.ACTIVATIONS``.
    dropout : float, default 0
        The rate of dropout behind each hidden layer.
    loss : str, optional
        Of regression: squared_error (default), absolute_error, huber or quantile, of the
        standardized target.
    optimizer : str, default "adam"
        A name in ``fastbp.OPTIMIZERS``.
    learning_rate : float, optional
        Default: the optimizer's.
    schedule : str, default "constant"
        constant, cosine or one_cycle, which end with the last epoch.
    l2, weight_decay, clip_norm : float, optional
        As for ``fastbp.Optimizer``.
    class_weight : {"balanced"}, optional
        Weigh samples so that every class counts the same.
    epochs : int, default 100
        Passes over the data, at most.
    patience : int, default 10
        Epochs without improvement before training stops; 0 never stops early.
    batch_size : int, optional
        Samples a step; default: by the number of rows, 32 to 256.
    seed : int, default 0
        Keys the split, initial weights, shuffles and dropout.
    dtype : {"float32", "float64"}, default "float32"
        What the network computes in.
    n_threads : int or "auto", default "auto"
        The result does not depend on it.
    max_time : float, optional
        Seconds of training, after which it stops.
    memory : int, optional
        Bytes that encoded rows may take; more are kept in a scratch file, and trained on a
        window at a time. Default: half of what is free.

    Raises
    ------
    ValueError, TypeError
        If an argument is not of this form; the message names it.
    """

    target: str
    task: str | None = None
    ids: tuple = ()
    drop: tuple = ()
    categorical: tuple = ()
    numeric: tuple = ()
    missing: tuple = MISSING_WORDS
    valid_share: float | None = None
    hidden: tuple = (100,)
    activation: str = "relu"
    dropout: float = 0.0
    loss: str | None = None
    optimizer: str = "adam"
    learning_rate: float | None = None
    schedule: str = "constant"
    l2: float = 0.0
    weight_decay: float | None = None
    clip_norm: float | None = None
    class_weight: str | None = None
    epochs: int = 100
    patience: int = 10
    batch_size: int | None = None
    seed: int = 0
    dtype: str = "float32"
    n_threads: int | str = "auto"
    max_time: float | None = None
    memory: int | None = None

    def __post_init__(self):
        if not isinstance(self.target, str) or not self.target:
            raise TypeError(f"target={self.target!r}: expected the name of a column")
        one_of("task", self.task, (None, "classification", "regression"))
        one_of("class_weight", self.class_weight, (None, "balanced"))
        one_of("dtype", self.dtype, ("float32", "float64"))
        for name in ("ids", "drop", "categorical", "numeric", "missing"):
            settle(self, **{name: _texts(name, getattr(self, name))})
        settle(self, missing=tuple(dict.fromkeys(self.missing)))
        hidden = self.hidden if isinstance(self.hidden, Iterable) else (self.hidden,)
        settle(
            self,
            hidden=tuple(a_whole_number("hidden", n, least=1) for n in hidden),
            dropout=a_number("dropout", self.dropout, low=0, below=1),
            l2=a_number("l2", self.l2, low=0),
            epochs=a_whole_number("epochs", self.epochs, least=1),
            patience=a_whole_number("patience", self.patience, least=0),
            seed=a_whole_number("seed", self.seed, least=0, below=2**63),
        )
        if self.n_threads != "auto":
            settle(self, n_threads=_threads(self.n_threads))
        self._settle_given(a_whole_number, {"least": 1}, "batch_size", "memory")
        self._settle_given(a_number, {"low": 0, "below": 1}, "valid_share")
        self._settle_given(a_number, {"above": 0}, "max_time", "learning_rate", "clip_norm")
        self._settle_given(a_number, {"low": 0}, "weight_decay")
        check_hidden(self.activation)
        OPTIMIZERS.find(self.optimizer)
        one_of("loss", self.loss, (None, *(loss for known in _LOSSES.values() for loss in known)))
        one_of("schedule", self.schedule, _SCHEDULES)
        self.an_optimizer()

    def _settle_given(self, check, bounds, *names):
        """Check options that may be left out, which are then None."""
        for name in names:
            if getattr(self, name) is not None:
                settle(self, **{name: check(name, getattr(self, name), **bounds)})

    def an_optimizer(self):
        """Return the optimizer with its schedule."""
        given = {
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "l2": self.l2,
        }
        return Optimizer(
            self.optimizer,
            schedule=_SCHEDULES[self.schedule](self.epochs),
            clip_norm=self.clip_norm,
            **{name: value for name, value in given.items() if value is not None},
        )

    def check_task(self, target):
        """Check that they suit what is learned.

        Raises
        ------
        ValueError
            If the loss, or the weights of classes, are of another task than the target.
        """
        suitable, other = _LOSSES[target.task], "leave it out, or say another task"
        if self.loss and self.loss not in suitable:
            raise ValueError(
                f"loss={self.loss!r}: a {target.task} has {', '.join(suitable)}; {other}"
            )
        if self.class_weight and not target.classes:
            raise ValueError(
                f"class_weight={self.class_weight!r}: a {target.task} has no classes; {other}"
            )

    def network(self, schema):
        """Return the untrained network for the features and the target of a schema.

        Raises
        ------
        ValueError
            As of `check_task`.
        """
        target = schema.target
        self.check_task(target)
        initializer = _INITIALIZERS.get(self.activation, "glorot_uniform")
        layers: list[Dense | Dropout] = []
        for units in self.hidden:
            layers.append(Dense(units, self.activation, initializer=initializer))
            if self.dropout:
                layers.append(Dropout(self.dropout))
        layers.append(Dense(len(target.classes) or 1))
        return Network(
            inputs=schema.n_features,
            layers=layers,
            loss=self.loss or _LOSSES[target.task][0],
            optimizer=self.an_optimizer(),
            dtype=self.dtype,
            seed=self.seed,
        )

    def network_bytes(self, schema):
        """Return what parameters, moments and the best parameters of `network` take."""
        widths = (schema.n_features, *self.hidden, len(schema.target.classes) or 1)
        count = sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(widths))
        return 4 * count * np.dtype(self.dtype).itemsize

    def batch_of(self, rows):
        """Return the samples of a step for so many rows: a power of 2 where nobody said."""
        if self.batch_size is not None:
            return min(self.batch_size, max(1, rows))
        batch = 2 ** max(0, rows // _BATCHES).bit_length()
        return min(max(batch, _FEWEST_BATCH), _MOST_BATCH)

    def valid_rows(self, rows):
        """Return how many of so many rows are held back to validate on."""
        if self.valid_share is None:
            return min(round(rows * _VALID_SHARE), _MOST_VALID_ROWS)
        return round(rows * self.valid_share)

    def check_begun(self, begun):
        """Check that a training may go on with these options.

        Parameters
        ----------
        begun : dict
            What `to_data` gave when it began.

        Raises
        ------
        ValueError
            If one of them makes another training of it.
        """
        free = _MAY_CHANGE if self.schedule == "constant" else _MAY_CHANGE - {"epochs"}
        given = self.to_data()
        for name in sorted({*given, *begun} - free):
            if given.get(name) != begun.get(name):
                then, now = (
                    f"{options[name]!r}" if name in options else "the default"
                    for options in (begun, given)
                )
                raise ValueError(
                    f"resume: {name} was {then} when the training began, and is {now}: give the "
                    "same, or begin anew in an empty folder of checkpoints"
                )

    def to_data(self):
        """Return them as what JSON holds, those that were left out not."""
        defaults = {field.name: field.default for field in fields(self)}
        given = {name: value for name, value in asdict(self).items() if value != defaults[name]}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()}


def _texts(name, values):
    if isinstance(values, str):
        values = (values,)
    if not isinstance(values, Iterable):
        raise TypeError(f"{name}={values!r}: expected text, or a sequence of it")
    return tuple(a_text(name, value) for value in values)


def _threads(value):
    if isinstance(value, str):
        raise ValueError(f'n_threads={value!r}: expected "auto" or a whole number of at least 1')
    return a_whole_number("n_threads", value, least=1)
