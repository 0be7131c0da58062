"""A training on a table that has begun: what its checkpoints hold of it, and what may change."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from ..errors import ModelFileError
from ..json_data import read_as
from ..quoted import quoted
from ..training.state import SECTION as TRAINING
from .options import TrainOptions
from .sections import SECTION

JOB = "job"
# of the hash of encoded rows; 16 before it was the same wherever the frames of a table end
DIGEST_BYTES = 20
# options that may change where a training goes on; epochs only where no rate depends on them
_BY_PRESET = frozenset({"epochs", "patience"})
_FREE = frozenset({"n_threads", "max_time", "memory", "calibrate"})
_MAY_CHANGE = _BY_PRESET | _FREE | {"time_budget"}


class Begun(Struct):
    """The section of a checkpoint that belongs to a training on a table.

    `data` are the hashes of the encoded rows, in hexadecimal digits, one for each table. `options`
    are those that were given, and `settled` what they were with those of the preset.
    Rows in a file were trained on in windows of `window_rows`, None where these are as usual.
    `sums` are hashes that are the same for any number of ranks, empty in earlier versions.
    """

    data: str
    options: dict[str, Any]
    streamed: bool
    settled: dict[str, Any] = {}
    window_rows: int | None = None
    sums: str = ""

    def is_of(self, data: str, sums: str) -> bool:
        """Return whether a training began with rows of such hashes."""
        return self.sums == sums if self.sums and sums else self.data == data

    def continued(self, options: TrainOptions) -> TrainOptions:
        """Return the settled options, with those given now that may change."""
        now = {name: getattr(options, name) for name in _FREE}
        given = {name: getattr(options, name) for name in _BY_PRESET}
        now |= {name: value for name, value in given.items() if value is not None}
        return TrainOptions(**{**self.settled, **now})


def begun_of(checkpoint: Any, folder: Path, options: TrainOptions) -> Begun:
    """Return the section of the newest checkpoint in a folder.

    ModelFileError if it is of no table, ValueError if the training began with other options.
    """
    sections = checkpoint.sections
    try:
        if not {SECTION, TRAINING} <= sections.keys():
            raise ValueError("no table")
        begun = read_as(Begun, sections.get(JOB), JOB)
    except ValueError as error:
        raise ModelFileError(
            f"{folder} holds checkpoints, but of no training on a table"
        ) from error
    if not begun.settled or len(begun.data) % (2 * DIGEST_BYTES):
        raise ModelFileError(
            f"{folder} holds checkpoints of an earlier fastbp, which split or hashed rows "
            "in another way: go on with that version, or begin anew in an empty folder"
        )
    _check_options(options, begun)
    return begun


def _check_options(options, begun):
    """Raise ValueError if a training that began with the options `begun` is another one."""
    settled = begun.settled
    free = _MAY_CHANGE if settled["schedule"] == "constant" else _MAY_CHANGE - {"epochs"}
    if settled["ensemble"] > 1:  # whose members that are done are not trained again
        free = free - {"epochs", "patience"}
    both = begun.options, options.to_data()
    for name in sorted({*both[0], *both[1]} - free):
        if both[0].get(name) != both[1].get(name):
            then, now = (
                f"{quoted(each[name])}" if name in each else "the default" for each in both
            )
            raise ValueError(
                f"resume: {name} was {then} when the training began, and is {now}: give the "
                "same, or begin anew in an empty folder of checkpoints"
            )
