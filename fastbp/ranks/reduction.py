"""Sums of gradients over ranks, added in the order of the ranks: the bits are always the same.

Each rank writes its gradient to `grads` and calls `add`; then `total` is the sum of all. MPI's
own Allreduce adds in an order of its choice, and takes several times as long where the ranks are
processes of one machine.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np

from ..annotations import Array
from ..kernels.support.arrays import aligned_zeros
from ..kernels.tuning import CACHE_LINE

# memory that processes of one machine share
_SHARED = Path("/dev/shm")
# numbers of the message that each rank sends to all others; longer ones are sent in pieces
LONGEST_SHORT = 8192


def add_in_order(parts: Any, out: Array) -> None:
    """Write the sum of several arrays to `out`, added one after the other."""
    np.add(parts[0], parts[1], out=out)
    for part in parts[2:]:
        np.add(out, part, out=out)


class Messages:
    """Sums by messages: short ones go to all, of longer ones each rank adds one piece."""

    def __init__(self, comm: Any, size: int, dtype: Any) -> None:
        self._comm = comm
        count, piece = comm.size, -(-size // comm.size)
        self._is_short = size <= LONGEST_SHORT
        sent = aligned_zeros(_bytes_of_row(piece * count, dtype), np.uint8)
        [self.grads], [self._loss] = _views(sent[None], size, dtype)
        self._sum = aligned_zeros(piece * count, dtype)
        self.total = self._sum[:size]
        if self._is_short:
            self._sent, self._rows = sent, aligned_zeros(count * len(sent), np.uint8)
            self._parts, self._losses = _views(self._rows.reshape(count, -1), size, dtype)
        else:
            self._sent, self._rows = sent.view(dtype)[: piece * count], self._sum.copy()
            self._parts = list(self._rows.reshape(count, -1))
            self._all_losses = np.zeros(count)
            self._losses = list(self._all_losses[:, None])
            self._piece = aligned_zeros(piece, dtype)

    def add(self, loss: float) -> float:
        """Write the sum of `grads` to `total`; return that of the losses, in float64."""
        self._loss[0] = loss
        if self._is_short:
            self._comm.Allgather(self._sent, self._rows)
            add_in_order(self._parts, self.total)
        else:
            self._comm.Allgather(self._loss, self._all_losses)
            self._comm.Alltoall(self._sent, self._rows)
            add_in_order(self._parts, self._piece)
            self._comm.Allgather(self._piece, self._sum)
        return sum(each.item() for each in self._losses)


class SharedMemory:
    """Sums in memory that all ranks share: each adds one piece, which all read where it lies."""

    def __init__(self, comm: Any, size: int, dtype: Any, memory: Any) -> None:
        self._comm = comm
        rows = np.frombuffer(memory, np.uint8).reshape(comm.size + 1, -1)
        (*grads, self.total), self._losses = _views(rows, size, dtype)
        self.grads, self._loss = grads[comm.rank], self._losses[comm.rank]
        self._losses.pop()
        piece = -(-size // comm.size)
        mine = slice(comm.rank * piece, (comm.rank + 1) * piece)
        self._parts, self._piece = [each[mine] for each in grads], self.total[mine]

    @classmethod
    def between(cls, ranks: Any, comm: Any, size: int, dtype: Any) -> SharedMemory | None:
        """Return one, or None unless all ranks are on one machine, with enough of its memory."""
        length = (comm.size + 1) * _bytes_of_row(size, dtype)
        path = _SHARED / f"fastbp-{ranks.first(token_hex(16))}"
        memory = _mapped(path, length, os.O_CREAT | os.O_EXCL) if ranks.leads else None
        ranks.first(None)  # it is there now
        if not ranks.leads:
            memory = _mapped(path, length)
        everywhere = all(ranks.all(memory is not None))
        if ranks.leads:
            path.unlink(missing_ok=True)  # nothing is left behind, however the ranks end
        return cls(comm, size, dtype, memory) if everywhere else None

    def add(self, loss: float) -> float:
        """Write the sum of `grads` to `total`; return that of the losses, in float64."""
        self._loss[0] = loss
        self._comm.Barrier()  # all have written
        add_in_order(self._parts, self._piece)
        loss = sum(each.item() for each in self._losses)
        self._comm.Barrier()  # all have read, and written their piece
        return loss


def _bytes_of_row(size, dtype):
    """Return the bytes of a row: so many numbers, and a loss on a cache line of its own."""
    lines = -(-size * np.dtype(dtype).itemsize // CACHE_LINE)
    return (lines + 1) * CACHE_LINE


def _views(rows, size, dtype):
    """Return the numbers of each row of bytes, and its loss (1,)."""
    numbers = [row.view(dtype)[:size] for row in rows]
    return numbers, [row[-CACHE_LINE:].view(np.float64)[:1] for row in rows]


def _mapped(path, length, flags=0):
    """Return the memory of a file of so many bytes, None if it cannot be had."""
    try:
        file = os.open(path, os.O_RDWR | flags, 0o600)
    except OSError:
        return None
    try:
        if flags:
            os.posix_fallocate(file, 0, length)  # else a lack of memory would kill who writes
        return mmap.mmap(file, length)
    except OSError:
        return None
    finally:
        os.close(file)
