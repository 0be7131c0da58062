"""What a training on a table gave, of one network or of an ensemble: scores, and its record."""

import logging
from typing import Any

import numpy as np
import numpy.typing as npt

from ..annotations import Threads
from ..ensemble import ensemble_of
from ..network import Network
from ..training.history import History
from ..training.state import to_json
from ..training.stopped import Stopped
from .columns.schema import Schema
from .encoded import Encoded
from .members import Member
from .result.scores import Scores, scores_of
from .unseen import Unseen

_log = logging.getLogger("fastbp")
Held = tuple[npt.NDArray, ...] | None
# of a history that is the mean of several
_LEARNED = ("loss", "val_loss", "val_accuracy", "val_r2", "learning_rate")
# the reasons why a training ended, that of all first
_ORDER = (Stopped.INTERRUPTED, Stopped.TERMINATED, Stopped.TIME, Stopped.CALLBACK, Stopped.EARLY)


class One:
    """A network after its training."""

    def __init__(self, network: Network, history: History) -> None:
        self.network = network
        self.stopped = history.stopped or Stopped.EPOCHS
        self.steps = network.steps
        self.threads = history.n_threads
        self.best_epoch = history.best_epoch
        self.lists = lists_of(history)
        self.out_of_fold = None
        self._history = history

    @property
    def peak(self) -> float | None:
        """The measured peak of the processor."""
        return self._history.peak

    @property
    def networks(self) -> tuple[Network, ...]:
        """The network alone."""
        return (self.network,)

    def unseen(self, schema: Schema, rows: Encoded) -> list[Unseen]:
        """Return the rows that did not train with their targets, if there are some."""
        return [] if rows.valid is None else [Unseen(self.networks, *rows.valid)]

    def scores(
        self, schema: Schema, rows: Encoded, valid: Held, n_threads: Threads
    ) -> dict[str, Scores]:
        """Return the scores by the rows they are of: none, or "valid"."""
        return {} if valid is None else {"valid": _scored(schema, self.network, valid, n_threads)}

    def more(self) -> dict[str, Any]:
        """Return further entries of the record."""
        return {}


class Several:
    """The members of an ensemble after their training, and the ensemble.

    `by` says how they differ. Those that diverged, or had not begun when the training ended, are
    left out with a warning; if none had begun, all are kept.
    """

    def __init__(self, by: str, members: list[Member], threads: int) -> None:
        self.by = by
        self.threads = threads
        self.best_epoch = None
        self.peak = None
        whole = [member for member in members if member.error is None]
        self.members = [member for member in whole if member.network.steps] or whole
        self.network = ensemble_of([member.network for member in self.members])
        self.steps = sum(member.network.steps for member in self.members)
        self.lists = _mean([m.history for m in self.members if m.history])
        reasons = {member.stopped for member in members}
        self.stopped = next((each for each in _ORDER if each in reasons), Stopped.EPOCHS)
        self._left_out = [_left_out(each) for each in members if each not in self.members]
        for each in self._left_out:
            message = "network %d of %d, of seed %d, is left out of the ensemble: %s"
            _log.warning(message, each["number"], len(members), each["seed"], each["why"])
        self._scores: list[Scores | None] = [None] * len(self.members)
        #: the folds (rows,), from 1, of the encoded rows that train, and the outputs (rows, n_out)
        #: of the members that have not seen them; 0 where there is none. None without folds, and
        #: before `scores`.
        self.out_of_fold: tuple[npt.NDArray, npt.NDArray] | None = None

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks of the ensemble."""
        return tuple(member.network for member in self.members)

    def unseen(self, schema: Schema, rows: Encoded) -> list[Unseen]:
        """Return the rows that did not train, with the networks that have not seen them.

        By folds it is one network of each fold's rows, without those of a class that no other
        fold has, else all of the same rows.
        """
        if self.by == "folds":
            return [self._fold(schema, rows, member) for member in self.members]
        return [] if rows.valid is None else [Unseen(self.networks, *rows.valid)]

    def _fold(self, schema, rows, member):
        part = member.part
        tests = part.tests
        if schema.target.classes and not schema.more_targets:
            tests = tests[np.isin(rows.y[tests], rows.y[part.trains])]
        weight = None if rows.own_weight is None else rows.own_weight[tests]
        others = [each.network for each in self.members if each is not member]
        return Unseen((member.network,), rows.X[tests], rows.y[tests], weight, others)

    def scores(
        self, schema: Schema, rows: Encoded, valid: Held, n_threads: Threads
    ) -> dict[str, Scores]:
        """Return the scores of the ensemble by the rows they are of: none, "valid", "out_of_fold".

        Those of the members are kept for the record.
        """
        if self.by == "folds":
            return {"out_of_fold": self._out_of_fold(schema, rows, n_threads)}
        if valid is None:
            return {}
        self._scores = [_scored(schema, m.network, valid, n_threads) for m in self.members]
        return {"valid": _scored(schema, self.network, valid, n_threads)}

    def _out_of_fold(self, schema, rows, n_threads):
        found = np.zeros((rows.count, schema.n_outputs), self.network.dtype)
        folds = np.zeros(rows.count, np.int64)
        together = scores_of(schema, self.network)
        of_each = [scores_of(schema, self.network) for _ in self.members]
        for member, own in zip(self.members, of_each, strict=True):
            tests = member.part.tests
            found[tests] = outputs = member.network.forward(rows.X[tests], n_threads)
            folds[tests] = member.number + 1
            weight = rows.own_weight
            known = (outputs, rows.y[tests], None if weight is None else weight[tests])
            for scores in (together, own):
                scores.add(*known)
        self.out_of_fold, self._scores = (folds, found), list(of_each)
        return together

    def more(self) -> dict[str, Any]:
        """Return further entries of the record: the members."""
        each = zip(self.members, self._scores, strict=True)
        members = [_described(member, scores) for member, scores in each]
        return {"ensemble": {"by": self.by, "members": members, "left_out": self._left_out}}


def lists_of(history: History | None) -> dict[str, list[float | None]]:
    """Return a history as lists of numbers by name, none where one is not finite."""
    if history is None or not len(history):
        return {}
    names = [name for name in history.epochs[0] if name != "epoch"]
    return {name: [to_json(float(v)) for v in history[name]] for name in names}


def metrics_of(scores: Scores) -> dict[str, float | None]:
    """Return scores by name as JSON has them."""
    return {name: to_json(value) for name, value in scores.metrics().items()}


def _scored(schema, network, valid, n_threads):
    scores = scores_of(schema, network)
    scores.add(network.forward(valid[0], n_threads), *valid[1:])
    return scores


def _mean(histories):
    """Return the mean of histories as lists; one that has ended counts with its best epoch."""
    longest = max(map(len, histories), default=0)
    mean: dict[str, list[float | None]] = {}
    for name in _LEARNED if longest else ():
        if name in histories[0].epochs[0]:
            values = [_lengthened(history, name, longest) for history in histories]
            mean[name] = [to_json(float(value)) for value in np.mean(values, axis=0)]
    return mean


def _lengthened(history, name, epochs):
    values = history[name]
    last = values[-1 if history.best_epoch is None else history.best_epoch]
    return values + [last] * (epochs - len(values))


def _described(member, scores):
    history = member.history
    return {
        "number": member.number + 1,
        "seed": member.network.seed,
        "epochs": member.network.epochs,
        "steps": member.network.steps,
        "seconds": 0.0 if history is None else history.seconds,
        "stopped": None if member.stopped is None else member.stopped.value,
        "best_epoch": None if history is None else history.best_epoch,
        "metrics": {} if scores is None else metrics_of(scores),
        "history": lists_of(history),
    }


def _left_out(member):
    why = str(member.error or "it had not begun when the training ended")
    return {"number": member.number + 1, "seed": member.network.seed, "why": why}
