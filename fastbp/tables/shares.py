"""The rows of a table on the ranks of an MPI communicator: each trains and scores on its share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..kernels.support.ramp_rows import RampRows
from ..ranks.comm import Alone, a_way
from .begun import DIGEST_BYTES
from .columns.schema import Schema
from .encoded import Budget, Digest, Encoded
from .split import Mask, Split

# arrays that are hashed: X, y and weights of rows that train, and of those that validate
_ARRAYS = 6
# options that may differ where machines do
_OF_A_MACHINE = ("n_threads", "memory")


class Shares:
    """Cuts rows into shares, one for each of `ranks`, in their order; `Alone` takes all."""

    def __init__(
        self, ranks: Alone, comm: Any = None, sync: str = "step", every: int | None = None
    ):
        self.ranks = ranks
        #: arguments of ``fit``
        self.of_fit = {"comm": comm, **a_way(sync, every)}

    def check(self, job: Any) -> None:
        """Raise ValueError, or DataError of too few rows, unless the ranks can train a `Job`."""
        self.check_for(job, self.ranks.count)

    @staticmethod
    def check_for(job: Any, count: int) -> None:
        """Raise as `check` does, unless so many ranks can train a `Job`."""
        if count == 1:
            return
        asked, options, split = job.asked, job.options, job.split
        wrong = {
            "search": asked.search is not None and "a search takes shards: shard, for one",
            "time_budget": asked.time_budget is not None and "give max_time",
            "ensemble": options.ensemble > 1 and "give ensemble=1, or preset='fast'",
        }
        for name, instead in wrong.items():
            if instead:
                value = getattr(options if name == "ensemble" else asked, name)
                raise ValueError(f"{name}={value}: {count} ranks train one network: {instead}")
        for what, rows in (("train", split.trains), ("validate", split.validates)):
            found = int(rows.sum())
            if 0 < found < count:
                raise DataError(
                    f"{job.table.name}: {found:,} rows {what}, which is no row for some of {count} "
                    "ranks: start fewer, or give more rows"
                )

    def expect_one_task(self, job: Any) -> None:
        """Raise ValueError on every rank if one was given another table, or other options."""
        if self.ranks.count == 1:
            return
        asked = {name: v for name, v in asdict(job.asked).items() if name not in _OF_A_MACHINE}
        valid = job.valid_table
        rows, columns = (None, None) if valid is None else (valid.require_rows(), valid.types)
        self.ranks.expect_same(
            {
                "the number of rows": job.rows,
                "the columns": job.table.types,
                "the number of rows of valid": rows,
                "the columns of valid": columns,
                "resume": job.resumes,
                **asked,
            }
        )

    def own(self, split: Split) -> Split:
        """Return the rows of a split that are of this rank."""
        if self.ranks.count == 1:
            return split
        return Split(self._part(split.trains), self._part(split.validates))

    def _part(self, rows: Mask) -> Mask:
        places, count, number = np.flatnonzero(rows), self.ranks.count, self.ranks.number
        own = np.zeros_like(rows)
        own[places[len(places) * number // count : len(places) * (number + 1) // count]] = True
        return own

    def budget(self, whole: Budget, split: Split) -> Budget:
        """Return the budget of a share; MemoryError if it would go to a scratch file."""
        if self.ranks.count == 1:
            return whole
        budget = whole.of_rows(int(split.trains.sum()), int(split.validates.sum()))
        if budget.streamed:
            raise MemoryError(
                f"the {budget.rows:,} training rows of rank {self.ranks.number} do not fit into "
                "memory: start more ranks, or give more memory"
            )
        return budget

    def digest(self) -> Digest | None:
        """Return what hashes the rows of a share; None where one has all."""
        return None if self.ranks.count == 1 else _Sums()

    def sums(self, are_kept: bool) -> Digest | None:
        """Return what hashes all rows as ranks do, whose checkpoints one process may go on from."""
        return _Sums() if are_kept and self.ranks.count == 1 else None

    def rows(self, encode: Callable[[], Encoded], schema: Schema, count: int) -> Encoded:
        """Return the rows of a share, as it encodes them, with the counts and the hash of all.

        An error on one rank is raised on all; so is a ValueError if their columns, or numbers
        of rows, `count`, differ: they were given other tables.
        """
        rows = self.ranks.together(encode)
        if self.ranks.count == 1:
            return replace(rows, sums=_Sums.joined([rows.sums])) if rows.sums else rows
        columns = [(each.name, each.kind, each.width) for each in schema.columns]
        self.ranks.expect_same({"the number of rows": count, "the columns": columns})
        every = self.ranks.all((rows.count, rows.no_target, rows.digest))
        counts, lacking, digests = zip(*every, strict=True)
        digest = _Sums.joined(digests)
        rows = replace(rows, count=sum(counts), no_target=sum(lacking))
        return replace(rows, digest=digest, sums=digest)

    def whole(self, rows: Encoded) -> Encoded:
        """Return the rows of a share with the validation rows of all."""
        if self.ranks.count == 1 or rows.valid is None:
            return rows
        every = self.ranks.all(rows.valid)
        return replace(rows, valid=tuple(map(_concatenated, zip(*every, strict=True))))


def _concatenated(arrays):
    first = arrays[0]
    if isinstance(first, RampRows):
        return replace(first, values=np.concatenate([each.values for each in arrays]))
    return np.concatenate(arrays)


class _Sums(Digest):
    """Hashes the rows of a share so that those of all ranks add up to the same, however many.

    For each array and column it sums the words of 4 bytes, and their products with the numbers of
    their rows, modulo 2^64.
    """

    def __init__(self) -> None:
        self._sums: list[Any] = [0] * _ARRAYS

    def add(self, places: npt.NDArray[np.intp], *arrays: npt.NDArray | None) -> None:
        """Add X, y and the weights of rows that train, which have these places in the table."""
        self._add(0, places, arrays)

    def hold(self, places: npt.NDArray[np.intp], *arrays: npt.NDArray | None) -> None:
        """Add those of rows that validate."""
        self._add(_ARRAYS // 2, places, arrays)

    def _add(self, first, places, arrays):
        factors = (places.astype(np.uint64) + np.uint64(1))[:, None]
        for number, array in enumerate(arrays, first):
            if array is not None and len(array):
                words = np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint32)
                words = words.astype(np.uint64)
                sums = np.stack([words.sum(0), (words * factors).sum(0)])
                self._sums[number] = self._sums[number] + sums

    def end(self, held: tuple[npt.NDArray, ...]) -> str:
        """Return the sums as text."""
        # of several tables the texts are put together
        return "".join(f"{np.asarray(each, np.uint64).tobytes().hex()}," for each in self._sums)

    @staticmethod
    def joined(digests: Any) -> str:
        """Return the hash of the rows of all ranks."""
        hashed = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for parts in zip(*(digest.split(",")[:-1] for digest in digests), strict=True):
            sums = [np.frombuffer(bytes.fromhex(part), np.uint64) for part in parts]
            hashed.update(sum(sums, start=np.zeros(1, np.uint64)).tobytes())
        return hashed.hexdigest()
