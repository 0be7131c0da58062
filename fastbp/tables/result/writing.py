"""Predictions into a file, batch by batch: the whole file, or none."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from ...errors import DataError
from ...kernels.support.files import whole_file
from ...training.interrupt import Interrupt
from ..wording import shown

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
    path, interrupt = Path(path), Interrupt()
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    frames = _Frames(frames, interrupt)
    with interrupt.watching(), whole_file(path, sync=True) as file:
        if path.suffix == ".csv":
            write_csv(file, frames)
        else:
            _write_parquet(file, frames)
        if interrupt.seen:
            raise KeyboardInterrupt
    return frames.rows


def write_csv(file, frames):
    """Write frames as CSV, with one line of names, to a binary file.

    Raises
    ------
    DataError
        If a column holds what CSV cannot.
    """
    for place, frame in enumerate(frames):
        if place == 0:
            _check_csv(frame.schema)
        file.write(frame.write_csv(include_header=place == 0).encode())


def _check_csv(schema):
    for name, dtype in schema.items():
        if dtype.is_nested() or dtype in (pl.Binary, pl.Duration, pl.Object):
            raise DataError(
                f"column {shown(name)} holds {dtype}, which CSV cannot: write a .parquet file, "
                "or do not keep it"
            )


class _Frames:
    """Frames as they come, how many rows they had, and an end to them where Ctrl-C says so.

    It is looked for between two of them: polars may tell of it as well, and a second one in
    the midst of an ending is in nobody's hands.
    """

    def __init__(self, frames, interrupt):
        self._frames, self._interrupt, self.rows = frames, interrupt, 0

    def __iter__(self):
        for frame in self._frames:
            if self._interrupt.seen:
                raise KeyboardInterrupt
            self.rows += len(frame)
            yield frame


def _write_parquet(file, frames):
    """Write frames as row groups."""
    frames, failures = iter(frames), list[BaseException]()
    first = next(frames)

    def source(columns, predicate, rows, batch_size):
        try:
            yield from chain([first], frames)
        except BaseException as error:  # told apart below: polars would wrap it in its own
            failures.append(error)
            raise

    # in another thread: here polars would see to signals by itself, which takes it seconds
    scan = register_io_source(source, schema=first.schema)
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: scan.sink_parquet(file)).result()
    finally:
        if failures:
            raise failures[0]
