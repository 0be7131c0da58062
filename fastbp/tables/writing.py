"""Predictions into a file, batch by batch: the whole file, or none."""

from itertools import chain
from pathlib import Path

from polars.io.plugins import register_io_source

from ..interrupt import Interrupt
from ..kernels.files import whole_file

SUFFIXES = (".csv", ".parquet")


def write_frames(path, frames):
    """Write frames of one schema to a ``.csv`` or ``.parquet`` file; return the rows.

    They are written as they come, in bounded memory; the file has its name when all are there.

    Raises
    ------
    ValueError
        If the suffix is another.
    OSError
        If the file cannot be written.
    """
    path, counter = Path(path), _Counter(frames)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    with whole_file(path, sync=True) as file:
        if path.suffix == ".csv":
            write_csv(file, counter)
        else:
            _write_parquet(file, counter)
    return counter.rows


def write_csv(file, frames):
    """Write frames as CSV, with one line of names, to a binary file."""
    for place, frame in enumerate(frames):
        file.write(frame.write_csv(include_header=place == 0).encode())


class _Counter:
    """Frames as they come, and how many rows they had."""

    def __init__(self, frames):
        self._frames, self.rows = frames, 0

    def __iter__(self):
        for frame in self._frames:
            self.rows += len(frame)
            yield frame


def _write_parquet(file, frames):
    """Write frames as row groups."""
    frames, failures = iter(frames), []
    first = next(frames)

    def source(columns, predicate, rows, batch_size):
        try:
            yield from chain([first], frames)
        except BaseException as error:  # told apart below: polars would wrap it in its own
            failures.append(error)
            raise

    # polars ends with KeyboardInterrupt by itself: Python's own would come a second time
    interrupt = Interrupt()
    try:
        with interrupt.watching():
            register_io_source(source, schema=first.schema).sink_parquet(file)
    finally:
        if failures:
            raise failures[0]
    if interrupt.seen:
        raise KeyboardInterrupt
