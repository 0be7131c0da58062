"""Where a training stands: what a checkpoint holds beside the network."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..errors import ModelFileError
from ..kernels.support.scalars import a_number, a_whole_number
from ..quoted import quoted, shortened
from .history import History
from .stopped import Stopped

SECTION = "training"
_STEPS = f"{SECTION}.steps."
# what a history has of every epoch, validation data or not
_OF_AN_EPOCH = {"epoch", "loss", "learning_rate", "seconds", "samples_per_second", "gflops"}


@dataclass
class State:
    """How far a training has come."""

    history: History  # the completed epochs, the best one, and why the training ended
    best: np.ndarray  # the parameters of the lowest monitored loss so far
    best_loss: float = math.inf
    epoch: int = 0  # completed epochs
    # of the next epoch: trained batches, their weighted loss sums ((done,) in a checkpoint), the
    # sum of the sample weights of its completed windows, and its training time so far
    done: int = 0
    losses: np.ndarray = field(default_factory=lambda: np.zeros(0))
    weight: float = 0.0
    seconds: float = 0.0
    # what the steps remember beside the network: asked for by a checkpoint, and as one has it
    remembers: Callable[[], dict[str, np.ndarray]] = dict
    recalled: dict[str, np.ndarray] = field(default_factory=dict)

    def begin(self, batches):
        """Make room for the losses of an epoch, keeping those of its trained batches."""
        losses = np.zeros(batches)
        if self.done:
            losses[: self.done] = self.losses[: self.done]
        self.losses = losses

    def next_epoch(self):
        """Count an epoch as completed."""
        self.epoch += 1
        self.done = 0
        self.weight = 0.0
        self.seconds = 0.0

    def to_section(self, key):
        """Return the section of a model file, and its tensors; `key` identifies the training."""
        history = self.history
        data = {
            "key": key,
            **{name: getattr(self, name) for name in ("epoch", "done", "weight", "seconds")},
            "best_loss": to_json(self.best_loss),
            "best_epoch": history.best_epoch,
            # a training that still runs continues, as one that completed its epochs does
            "stopped": (history.stopped or Stopped.EPOCHS).value,
            "entries": [{name: to_json(v) for name, v in e.items()} for e in history.epochs],
        }
        tensors = {f"{SECTION}.best": self.best, f"{SECTION}.losses": self.losses[: self.done]}
        return data, tensors | {f"{_STEPS}{name}": a for name, a in self.remembers().items()}


def from_model(model, key, history):
    """Return the `State` in the model of a checkpoint; `history` is filled and becomes its own.

    It raises ModelFileError if the checkpoint has no valid training section, and ValueError if it
    is of a training with another `key`.
    """
    try:
        if model.more:
            raise ValueError("it holds several networks")
        data = model.sections[SECTION]
        written = dict(data["key"])
        count = {"least": 0, "below": 2**63}
        state = State(
            history=history,
            best=model.tensors[f"{SECTION}.best"],
            best_loss=_number("best_loss", data["best_loss"], math.inf),
            losses=model.tensors[f"{SECTION}.losses"].astype(np.float64, casting="no"),
            epoch=a_whole_number("epoch", data["epoch"], **count),
            done=a_whole_number("done", data["done"], **count),
            weight=a_number("weight", data["weight"], low=0),
            seconds=a_number("seconds", data["seconds"], low=0),
            recalled={
                name.removeprefix(_STEPS): tensor
                for name, tensor in model.tensors.items()
                if name.startswith(_STEPS)
            },
        )
        history.epochs = [
            {name: _number(name, value, math.nan) for name, value in entry.items()}
            for entry in data["entries"]
        ]
        history.best_epoch = _number("best_epoch", data["best_epoch"], None)
        history.stopped = Stopped(data["stopped"])
        if state.best.shape != model.params.shape or state.best.dtype != model.params.dtype:
            raise ValueError(f"best has shape {state.best.shape}, expected {model.params.shape}")
        if state.losses.shape != (state.done,) or len(history.epochs) != state.epoch:
            raise ValueError("the numbers of losses and epochs do not match its counts")
        names = {frozenset(entry) for entry in history.epochs}
        if len(names) > 1 or any(_OF_AN_EPOCH - known for known in names):
            raise ValueError("its epochs are not described by the numbers of a history")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"the checkpoint does not describe the state of a training: {shortened(error)}"
        ) from error
    if written != key:
        differing = sorted(n for n in {*key, *written} if key.get(n) != written.get(n))
        raise ValueError(
            "resume: the checkpoint is of another training: "
            + ", ".join(
                f"{n} was {quoted(written.get(n))} and is {quoted(key.get(n))}" for n in differing
            )
        )
    return state


def to_json(value):
    """Return a number as strict JSON has it: null where it is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(name, value, absent):
    """Return a number as it was written, whole or not; `absent` for null."""
    if value is None:
        return absent
    a_number(name, value)
    return value
