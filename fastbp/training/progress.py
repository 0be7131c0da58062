"""Where a training stands: what a checkpoint holds beside the net, and how it is written."""

import math
from dataclasses import dataclass, field

import numpy as np

from ..errors import ModelFileError
from ..kernels.support.scalars import a_number, a_whole_number

SECTION = "training"
# a training that was stopped so goes on when it is resumed
GOES_ON = {"epochs", "interrupted", "terminated", "time"}
# so it was stopped that is to go on later
PREEMPTED = {"interrupted", "terminated"}

# what a history has of every epoch, validation data or not
_OF_AN_EPOCH = {"epoch", "loss", "learning_rate", "seconds", "samples_per_second", "gflops"}


@dataclass
class Progress:
    """How far a training has come.

    Attributes
    ----------
    best : numpy.ndarray
        The parameters of the lowest monitored loss so far.
    best_loss : float
        That loss; infinite if there is none yet.
    losses : numpy.ndarray
        (done,) the losses of the batches of the epoch that is not ended.
    epoch, done : int
        Epochs that ended, and batches of the next one.
    weight, seconds : float
        The sample weights of that epoch's windows that ended, and the time it took so far.
    entries : list of dict
        The history's epochs.
    best_epoch : int or None
        The epoch of `best_loss`.
    stopped : str
        Why it ended, as in a history.
    """

    best: np.ndarray
    best_loss: float = math.inf
    losses: np.ndarray = field(default_factory=lambda: np.zeros(0))
    epoch: int = 0
    done: int = 0
    weight: float = 0.0
    seconds: float = 0.0
    entries: list = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = "epochs"

    def to_section(self, key):
        """Return the section of a model file, and its tensors; `key` says of which training."""
        data = {
            "key": key,
            "epoch": self.epoch,
            "done": self.done,
            "weight": self.weight,
            "seconds": self.seconds,
            "best_loss": to_json(self.best_loss),
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "entries": [{name: to_json(v) for name, v in e.items()} for e in self.entries],
        }
        tensors = {f"{SECTION}.best": self.best, f"{SECTION}.losses": self.losses[: self.done]}
        return data, tensors


def from_model(model, key):
    """Return the `Progress` in the model of a checkpoint.

    Raises
    ------
    ModelFileError
        If there is none, or not such a one.
    ValueError
        If it is of a training with another `key`.
    """
    try:
        data = model.sections[SECTION]
        written = dict(data["key"])
        count = {"least": 0, "below": 2**63}
        progress = Progress(
            best=model.tensors[f"{SECTION}.best"],
            best_loss=_read_number("best_loss", data["best_loss"], math.inf),
            losses=model.tensors[f"{SECTION}.losses"].astype(np.float64, casting="no"),
            epoch=a_whole_number("epoch", data["epoch"], **count),
            done=a_whole_number("done", data["done"], **count),
            weight=a_number("weight", data["weight"], low=0),
            seconds=a_number("seconds", data["seconds"], low=0),
            entries=[
                {name: _read_number(name, value, math.nan) for name, value in entry.items()}
                for entry in data["entries"]
            ],
            best_epoch=_read_number("best_epoch", data["best_epoch"], None),
            stopped=str(data["stopped"]),
        )
        if progress.best.shape != model.params.shape or progress.best.dtype != model.params.dtype:
            raise ValueError(f"best has shape {progress.best.shape}, expected {model.params.shape}")
        if progress.losses.shape != (progress.done,) or len(progress.entries) != progress.epoch:
            raise ValueError("the losses or epochs it holds are not as many as it says")
        names = {frozenset(entry) for entry in progress.entries}
        if len(names) > 1 or any(_OF_AN_EPOCH - known for known in names):
            raise ValueError("its epochs are not described by the numbers of a history")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"the checkpoint describes no place in a training: {error}") from error
    if written != key:
        differing = sorted(n for n in {*key, *written} if key.get(n) != written.get(n))
        raise ValueError(
            "resume: the checkpoint is of another training: "
            + ", ".join(f"{n} was {written.get(n)!r} and is {key.get(n)!r}" for n in differing)
        )
    return progress


def to_json(value):
    """Return a number as strict JSON has it: none where it is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_number(name, value, absent):
    """Return a number as it was written, so that whole ones stay so; `absent` for none."""
    if value is None:
        return absent
    a_number(name, value)
    return value
