"""Samples in blocks, and a user's own source of them, for the tests of sources."""

import threading
import time

import numpy as np
import pytest

from fastbp import Adam, Network
from fastbp.data import Source

ROWS, BATCH = 230, 16
rng = np.random.default_rng(4)
X = rng.normal(size=(ROWS, 5)).astype("float32")
Y = rng.normal(size=(ROWS, 2)).astype("float32")
WEIGHT = rng.uniform(0.1, 2, ROWS).astype("float32")


class Blocks(Source):
    """A user's own source: blocks of any lengths, and what happens when they are read."""

    def __init__(self, sizes, window_rows=None, arrays=(X, Y, WEIGHT), before=lambda block: None):
        super().__init__(sizes, arrays[0].shape[1], window_rows)
        self.starts, self.arrays, self.before = np.cumsum([0, *sizes]), arrays, before

    def read(self, block):
        self.before(block)
        rows = slice(self.starts[block], self.starts[block + 1])
        return tuple(None if array is None else array[rows] for array in self.arrays)


UNEVEN = (70, 3, 41, 1, 60, 30, 25)
assert sum(UNEVEN) == ROWS


@pytest.fixture
def parquet(tmp_path):
    """Return ``write(name, arrays, **options) -> path`` of a Parquet file."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def write(name, columns, **options):
        parquet.write_table(pa.table(columns), tmp_path / name, **options)
        return tmp_path / name

    return write


def columns_of(X, Y, weight, rows=slice(None)):
    named = {f"x{n}": column for n, column in enumerate(X[rows].T)}
    return {**named, "a": Y[rows, 0], "b": Y[rows, 1], "w": weight[rows]}


def network(**options):
    return Network([5, 8, 2], "tanh", optimizer=Adam(1e-2), **options)


def fit(net, *data, **options):
    options = {"epochs": 3, "batch_size": BATCH, "n_threads": 1, **options}
    return net.fit(*data, **options)


def readers():
    return [t for t in threading.enumerate() if t.name.startswith("fastbp-reader")]


def wait_for_readers():
    end = time.monotonic() + 10
    while readers():
        assert time.monotonic() < end, "a reader is left"
        time.sleep(0.01)
