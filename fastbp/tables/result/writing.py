"""Predictions into a file, frame by frame; files are written atomically."""

import signal
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import IO

import polars as pl
from polars.io.plugins import register_io_source

from ...annotations import FilePath
from ...errors import DataError
from ...kernels.support.files import whole_file
from ...training.interrupt import Interrupt
from ...training.stopped import Stopped
from ..wording import shown

SUFFIXES = (".csv", ".parquet")


def write_frames(path: FilePath, frames: Iterable[pl.DataFrame]) -> int:
    """Write frames of one schema to a ``.csv`` or ``.parquet`` file; return the number of rows.

    Memory is bounded. The file is written atomically. Ctrl-C and SIGTERM end it between two
    frames, and are handled again when nothing is left of the new file.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    interrupt = Interrupt(terminable=True)
    rows = 0

    def watched():
        # looks for signals between two frames: within one polars may raise as well, and a second
        # signal while the first is handled could not be caught
        nonlocal rows
        for frame in frames:
            if interrupt.seen:
                raise KeyboardInterrupt
            rows += len(frame)
            yield frame

    write = write_csv if path.suffix == ".csv" else _write_parquet
    try:
        with interrupt.watching(), whole_file(path, sync=True) as file:
            write(file, watched())
            if interrupt.seen:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        if interrupt.stopped is Stopped.TERMINATED:
            signal.raise_signal(signal.SIGTERM)
        raise
    return rows


def write_csv(file: IO[bytes], frames: Iterable[pl.DataFrame]) -> None:
    """Write frames as CSV with one header to a binary file; DataError for types it cannot hold."""
    for place, frame in enumerate(frames):
        for name, dtype in frame.schema.items():
            if dtype.is_nested() or dtype in (pl.Binary, pl.Duration, pl.Object):
                raise DataError(
                    f"column {shown(name)} holds {dtype}, which CSV cannot: write a .parquet "
                    "file, or do not keep it"
                )
        file.write(frame.write_csv(include_header=place == 0).encode())


def _write_parquet(file, frames):
    """Write frames as row groups."""
    failures: list[BaseException] = []
    first = next(frames)

    def source(columns, predicate, rows, batch_size):
        try:
            yield from chain([first], frames)
        except BaseException as error:  # raised below: polars would wrap it in an error of its own
            failures.append(error)
            raise

    # in another thread: in the main one polars handles signals itself, which takes seconds
    scan = register_io_source(source, schema=first.schema)
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: scan.sink_parquet(file)).result()
    finally:
        if failures:
            raise failures[0]
