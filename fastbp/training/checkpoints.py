"""Checkpoints: a folder of model files from which a training continues with the same bits."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from .. import model_file
from ..annotations import FilePath
from ..checks import all_finite
from ..errors import ModelFileError
from ..kernels.formulas.custom import CustomFormula
from ..kernels.support.scalars import a_number, a_whole_number
from ..quoted import quoted
from .history import History
from .state import SECTION, from_model

Sections: TypeAlias = Mapping[str, Any]
_NAME = re.compile(r"checkpoint-(\d{8,})\.safetensors")
_log = logging.getLogger("fastbp")
_kept = logging.getLogger("fastbp.checkpoints")


class Checkpoints:
    """Where and how often the checkpoints of one training are written.

    A checkpoint is a model file that also holds the state of the training. Checkpoints are
    written atomically.

    Parameters
    ----------
    folder : path
        Created if missing. It serves one training at a time.
    every : float, default 30
        Seconds between checkpoints; 0 writes one after every slice of about 50 ms.
    keep : int, default 2
        Number of newest checkpoints to keep.
    sections : dict, optional
        Further JSON data for each checkpoint, by name.

    Raises
    ------
    ValueError, TypeError
        If a number is invalid.
    """

    def __init__(
        self, folder: FilePath, every: float = 30.0, keep: int = 2, sections: Sections | None = None
    ) -> None:
        self.folder = Path(folder)
        self.sections = dict(sections or {})
        self.every: float = a_number("every", every, low=0)
        self.keep: int = a_whole_number("keep", keep, least=1)

    def prepare(self) -> None:
        """Create the folder; raise OSError now, not after hours, if it cannot be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise PermissionError(f"checkpoints: {self.folder} cannot be written to")

    def files(self) -> list[Path]:
        """Return the checkpoint files, newest first."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if _number_of(path) and path.is_file()]
        return sorted(found, key=_number_of, reverse=True)

    def part(self, name: str) -> Checkpoints:
        """Return those of one of several trainings, in a folder of its own: ``job-00001``, ..."""
        return Checkpoints(self.folder / name, self.every, self.keep, self.sections)

    def parts(self) -> list[Checkpoints]:
        """Return those of several trainings that have files, in the order of their names."""
        names = sorted(path.name for path in self.folder.glob("job-*"))
        return [part for part in map(self.part, names) if part.files()]

    def latest(self, custom: Iterable[CustomFormula] = ()) -> model_file.Model | None:
        """Return the `Model` of the newest readable checkpoint, None if there are no files.

        `custom` are formulas of the user's own that it may name.

        Raises
        ------
        ModelFileError
            If there are checkpoints, but none is readable.
        """
        files = self.files()
        for path in files[:-1]:
            with contextlib.suppress(ModelFileError):
                return model_file.load(path, custom)
            _log.warning("%s cannot be read; trying the one before it", path)
        return model_file.load(files[-1], custom) if files else None

    def write(self, model: model_file.Model) -> Path:
        """Write the next checkpoint, then remove the oldest beyond `keep`.

        Raises
        ------
        OSError
            If it cannot be written; the older ones are kept then.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        files = self.files()
        number = _number_of(files[0]) + 1 if files else 1
        path = self.folder / f"checkpoint-{number:08d}.safetensors"
        model_file.save(path, replace(model, sections={**self.sections, **model.sections}))
        for old in files[self.keep - 1 :]:
            old.unlink(missing_ok=True)
        for left in self.folder.glob(".checkpoint-*"):  # by a process that was killed
            left.unlink(missing_ok=True)
        return path


def _number_of(path):
    """Return the number of a checkpoint by its name, 0 for another file."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else 0


def as_checkpoints(checkpoints, resume):
    """Return the argument `checkpoints` of `Network.fit` as `Checkpoints`, or None.

    It raises ValueError if no folder is given to resume from, or a new training would clear one.
    """
    if checkpoints is None:
        if resume:
            raise ValueError("resume=True: checkpoints= must name the folder to resume from")
        return None
    if not isinstance(checkpoints, (Checkpoints, str, os.PathLike)):
        raise TypeError(
            f"checkpoints={quoted(checkpoints)}: expected a folder, Checkpoints or None"
        )
    kept = checkpoints if isinstance(checkpoints, Checkpoints) else Checkpoints(checkpoints)
    if not resume and (kept.files() or kept.parts()):
        raise ValueError(
            f"checkpoints: {kept.folder} holds checkpoints of an earlier training: continue it "
            "with resume, or give an empty folder"
        )
    return kept


def latest_in(kept):
    """Return the newest `Model` of `Checkpoints`, or of one of their parts; None without any."""
    latest = (each.latest() for each in (kept, *kept.parts()))
    return next((model for model in latest if model is not None), None)


def resumed(latest, key, model):
    """Return the `State` to continue from, of the model of a checkpoint, `latest`.

    It raises ValueError if that is of another net than `model`, or has another `key`.
    """
    state = from_model(latest, key, History(latest.dtype))
    mine = model_file.description(model)
    theirs = model_file.description(latest)
    for name, theirs_is, mine_is in _differing(theirs, mine):
        raise ValueError(
            f"resume: {name} of the checkpoint is {quoted(theirs_is)}, but the network has "
            f"{quoted(mine_is)}; expected the network that was trained"
        )
    return state


def _differing(one, other, name=""):
    """Yield the names of what differs in two structures of JSON, with both values."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from _differing(one[key], other[key], f"{name}.{key}" if name else key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from _differing(*pair, f"{name}[{place}]")
    elif one != other:
        yield name, one, other


class Keeper:
    """Writes checkpoints of a training while it runs; `model` returns its `Model` as it is.

    A resumed training must have the same `key`. It raises OSError if the folder cannot be
    written, and ModelFileError if a model file cannot describe the schedule.
    """

    def __init__(self, checkpoints, model, key):
        checkpoints.prepare()
        model_file.description(model())
        self._checkpoints = checkpoints
        self._model = model
        self._key = key
        self._written = -math.inf

    def __call__(self, state, ended):
        """Write a checkpoint if it is due, or if training has ended.

        A network with NaN or infinity is not written: its resumed training would end at once. If
        the checkpoint cannot be written, it raises OSError after a signal, and else warns.
        """
        if not ended and time.monotonic() - self._written < self._checkpoints.every:
            return
        section, tensors = state.to_section(self._key)
        model = replace(self._model(), sections={SECTION: section}, tensors=tensors)
        if not all_finite(model.params):
            return
        try:
            path = self._checkpoints.write(model)
            _kept.info("checkpoint %s: epoch %d, batch %d", path, state.epoch + 1, state.done)
        except OSError as error:
            if ended and state.history.stopped.by_signal:
                raise
            _log.warning("no checkpoint: %s; training %s", error, "ended" if ended else "continues")
        self._written = time.monotonic()


def not_kept(state, ended):
    """Write nothing, in place of a `Keeper`: another rank writes the checkpoints."""
