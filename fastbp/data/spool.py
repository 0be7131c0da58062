"""Samples that come once, kept in a scratch file so that every epoch can have them."""

import tempfile
import threading

import numpy as np

from ..checks import as_array
from .source import Source, even_blocks, rows_of_window


class Spool:
    """A scratch file that blocks of samples are appended to; then `source` reads them back.

    The file has no name, where the system can do that: it is gone when the process is,
    however that ends.

    Parameters
    ----------
    folder : path, optional
        Where the file lies; default: the system's place for temporary files.
    """

    def __init__(self, folder=None):
        self._folder, self._parts, self.rows = folder, None, 0

    def append(self, X, y, sample_weight=None):
        """Append a block: X (n, n_in), y (n,) or (n, n_out), and weights (n,) in all or in none.

        Raises
        ------
        ValueError
            If its shapes or dtypes are not those of the first block.
        """
        names = ("X", "y", "sample_weight")
        given = zip(names, (X, y, sample_weight), strict=True)
        arrays = {name: as_array(name, array) for name, array in given if array is not None}
        if self._parts is None:
            self._parts = {name: _Part(name, array, self._folder) for name, array in arrays.items()}
        if arrays.keys() != self._parts.keys():
            raise ValueError("sample_weight: expected in every block, or in none")
        if len({len(array) for array in arrays.values()}) > 1:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise ValueError(f"a block has {shapes}: expected as many rows in each")
        for name, part in self._parts.items():
            part.append(arrays[name])
        self.rows += len(arrays["X"])

    def source(self, window_rows=None, block_rows=None):
        """Return the `Source` of what was appended."""
        if not self.rows:
            raise ValueError("the data hold no block: expected at least one row")
        return SpoolSource(self._parts, self.rows, window_rows, block_rows)


class SpoolSource(Source):
    """What a `Spool` holds."""

    def __init__(self, parts, rows, window_rows, block_rows):
        self._parts, columns = parts, parts["X"].shape[0]
        window_rows = rows_of_window(window_rows, columns)
        super().__init__(even_blocks(rows, block_rows, window_rows), columns, window_rows)

    def read(self, block):
        """Return block number `block` as ``(X, y, sample_weight)``."""
        first, count = block * self.blocks[0], self.blocks[block]
        parts = (self._parts.get(name) for name in ("X", "y", "sample_weight"))
        return tuple(part and part.read(first, count) for part in parts)


class _Part:
    """One array's rows, one after the other in a file."""

    def __init__(self, name, array, folder):
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {array.dtype}: expected real numbers")
        if name == "X" and (array.ndim != 2 or not array.shape[1]):
            raise ValueError(f"X has shape {array.shape}: expected (n_samples, n_features)")
        self._name, self.dtype, self.shape = name, array.dtype, array.shape[1:]
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - as long as it
        self._turn = threading.Lock()

    def append(self, array):
        if (array.dtype, array.shape[1:]) != (self.dtype, self.shape):
            raise ValueError(
                f"{self._name} is {array.dtype} {array.shape[1:]} a row, but {self.dtype} "
                f"{self.shape} in the first block: expected the same in every block"
            )
        content = memoryview(array.tobytes())
        while len(content):  # a raw file may take a part
            content = content[self._file.write(content) :]

    def read(self, first, count):
        array = np.empty((count, *self.shape), self.dtype)
        view = memoryview(array.data).cast("B")
        with self._turn:
            self._file.seek(first * (array.nbytes // count))
            while len(view):
                got = self._file.readinto(view)
                if not got:
                    raise OSError(f"the scratch file of {self._name} ended early")
                view = view[got:]
        return array


def spooled(blocks, window_rows=None, folder=None):
    """Keep blocks that come from an iterator in a scratch file; return its `Source`.

    Parameters
    ----------
    blocks : iterable of tuple
        ``(X, y)`` or ``(X, y, sample_weight)`` each.
    window_rows : int, optional
        Rows that are shuffled together; see `Source`.
    folder : path, optional
        Where the scratch file lies.

    Raises
    ------
    TypeError, ValueError
        If a block is not of this form, or not like the first.
    """
    spool = Spool(folder)
    for block in blocks:
        if not isinstance(block, (tuple, list)) or len(block) not in (2, 3):
            raise TypeError(
                f"a block is {type(block).__name__}: expected tuples (X, y) or (X, y, weight)"
            )
        spool.append(*block)
    return spool.source(window_rows)
