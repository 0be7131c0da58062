"""Sources that are wrong, that change, or that are larger than memory."""

import itertools

import numpy as np
import pytest

from fastbp import Network
from fastbp.data import ArraySource, ParquetSource, Source, Spool, spooled
from source_blocks import (
    ROWS,
    WEIGHT,
    Blocks,
    X,
    Y,
    columns_of,
    fit,
    network,
    parquet,
    wait_for_readers,
)

__all__ = ["parquet"]  # a fixture


def replaced(array, value, *place):
    array = np.array(array)
    array[place] = value
    return array


# ---------------------------------------------------------------- data


class Changed(Blocks):
    """A source of which one block is not what it said, or what the net can take."""

    def __init__(self, change, number=4):
        super().__init__((46,) * 5, 46)
        self.change, self.number = change, number

    def read(self, block):
        arrays = super().read(block)
        return self.change(*arrays) if block == self.number else arrays


CHANGES = {
    "fewer rows": (lambda X, y, w: (X[1:], y[1:], w[1:]), ValueError, "has 45 rows, expected 46"),
    "more rows": (
        lambda X, y, w: tuple(np.concatenate([a, a]) for a in (X, y, w)),
        ValueError,
        "has 92 rows",
    ),
    "a shorter y": (lambda X, y, w: (X, y[1:], w), ValueError, "has 45 rows, expected 46"),
    "a shorter weight": (lambda X, y, w: (X, y, w[1:]), ValueError, "has 45 rows, expected 46"),
    "no weight": (lambda X, y, w: (X, y, None), None, None),
    "one column": (lambda X, y, w: (X[:, :1], y, w), ValueError, r"X has shape \(46, 1\)"),
    "more columns": (
        lambda X, y, w: (np.hstack([X, X]), y, w),
        ValueError,
        r"X has shape \(46, 10\)",
    ),
    "a flat X": (lambda X, y, w: (X[:, 0], y, w), ValueError, r"X has shape \(46,\)"),
    "text": (lambda X, y, w: (X.astype(str), y, w), TypeError, "dtype <U"),
    "complex numbers": (lambda X, y, w: (X + 1j, y, w), TypeError, "dtype complex"),
    "no target": (lambda X, y, w: (X, None, w), TypeError, "y is None"),
    "no tuple": (lambda X, y, w: X, TypeError, "a block is ndarray"),
    "NaN": (lambda X, y, w: (replaced(X, np.nan, 7, 3), y, w), ValueError, r"X\[7, 3\] is nan"),
    "infinity in y": (lambda X, y, w: (X, replaced(y, np.inf, 9, 1), w), ValueError, r"y\[9, 1\]"),
    "a number that is too large": (
        lambda X, y, w: (X.astype("f8") * 1e300, y, w),
        ValueError,
        r"X\[0, 0\] is -?inf",
    ),
    "y of other columns": (lambda X, y, w: (X, y[:, :1], w), ValueError, "y has 1 columns"),
    "a negative weight": (lambda X, y, w: (X, y, -w), ValueError, "sample_weight lies in"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_block_that_is_wrong_is_named(what):
    change, error, words = CHANGES[what]
    net = network()
    if error is None:
        fit(net, Changed(change))  # a window may have other weights, or none
        return
    with pytest.raises(error, match=words) as raised:
        fit(net, Changed(change), shuffle=False)
    if what != "no tuple":
        assert "block 4 of Changed(230 rows x 5 columns)" in str(raised.value)
    assert net.engine.steps == 4 * 3, "the windows before it were trained on"
    wait_for_readers()


def test_the_fifth_window_s_nan_is_named_by_its_block_and_its_first_row():
    bad = replaced(X, np.nan, 187, 2)  # block 18 of 10 rows, the fifth window of 46
    with pytest.raises(ValueError, match=r"block 18 of .* row 180: X\[7, 2\] is nan in float32"):
        fit(network(), ArraySource(bad, Y, block_rows=10, window_rows=46), shuffle=False)


def test_weights_in_some_blocks_of_a_window_are_refused():
    source = Changed(lambda X, y, w: (X, y, None))
    source.window_rows = ROWS
    with pytest.raises(ValueError, match="sample_weight: expected in every block, or in none"):
        fit(network(), source)


def test_wrong_labels_are_named_by_their_block():
    labels = replaced(np.arange(ROWS) % 3, 3, 100)
    net = Network([5, 3], loss="cross_entropy")
    with pytest.raises(ValueError, match=r"block 2 of .*the label 3"):
        net.fit(ArraySource(X, labels, block_rows=46), epochs=1)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"X": ArraySource(X[:, :4], Y)}, ValueError, "4 columns but the network has 5 inputs"),
        ({"X": ArraySource(X, Y[:, :1])}, ValueError, "block 0 .* y has 1 columns"),
        (
            {"X": ArraySource(X, Y), "y": Y},
            TypeError,
            "y: a source or an iterator includes its own",
        ),
        ({"X": ArraySource(X, Y), "sample_weight": WEIGHT}, TypeError, "sample_weight: a source"),
        ({"X": iter([])}, ValueError, "no blocks: expected at least one row"),
        ({"X": iter([(X[:0], Y[:0])])}, ValueError, "no blocks: expected at least one row"),
        ({"X": iter([X])}, TypeError, "a block is ndarray: expected tuples"),
        ({"X": iter([(X, Y, WEIGHT, 1)])}, TypeError, "a block is tuple"),
        ({"X": iter([(X[:, :4], Y)])}, ValueError, "4 columns"),
        ({"X": X}, TypeError, "y=None: expected targets"),
        ({"X": X.tolist()}, TypeError, "a block is list: expected tuples"),
        ({"X": 5}, TypeError, "y=None: expected targets"),
    ],
)
def test_what_fit_cannot_take_is_refused_before_training(arguments, error, words):
    net = network()
    with pytest.raises(error, match=words):
        net.fit(**arguments)
    assert net.engine.steps == 0


def test_an_error_of_an_iterator_reaches_the_caller():
    def blocks():
        yield X, Y
        raise OSError("the line is cut")

    with pytest.raises(OSError, match="the line is cut"):
        network().fit(blocks())


# ---------------------------------------------------------------- sources


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Blocks(()), ValueError, "has no rows"),
        (lambda: Blocks((5, 0)), ValueError, "blocks=0"),
        (lambda: Blocks((5, 1.5)), TypeError, "blocks=1.5"),
        (lambda: Blocks((5,), window_rows=0), ValueError, "window_rows=0"),
        (lambda: ArraySource(X[:0], Y[:0]), ValueError, "has no rows"),
        (lambda: ArraySource(X, Y[1:]), ValueError, "y has shape .* but X has 230 rows"),
        (lambda: ArraySource(X, Y, WEIGHT[1:]), ValueError, "sample_weight has shape"),
        (lambda: ArraySource(X[:, 0], Y), ValueError, "X has shape"),
        (lambda: ArraySource(X[:, :0], Y), ValueError, "X has shape"),
        (lambda: ArraySource(None, Y), ValueError, "X has shape"),
        (lambda: ArraySource(X, None), TypeError, "y=None"),
        (lambda: ArraySource(X, Y, block_rows=0), ValueError, "block_rows=0"),
        (lambda: ArraySource("nowhere.npy", Y), FileNotFoundError, "nowhere"),
        (lambda: Source((5,), 1), TypeError, "abstract"),
    ],
)
def test_sources_that_cannot_be_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("block", "error", "words"),
    [
        ((X.astype("f8"), Y, WEIGHT), ValueError, "X is float64 .* float32 .* in the first block"),
        ((X[:, :4], Y, WEIGHT), ValueError, "X is .* in the first block"),
        ((X, Y[:, 0], WEIGHT), ValueError, "y is .* in the first block"),
        ((X, Y), ValueError, "sample_weight: expected in every block, or in none"),
        ((X[1:], Y, WEIGHT), ValueError, "expected the same number of rows in each"),
        (([[1, 2], [3]], Y, WEIGHT), ValueError, "X is ragged"),
    ],
)
def test_a_spool_refuses_other_blocks_and_keeps_what_it_has(block, error, words):
    spool = Spool()
    spool.append(X, Y, WEIGHT)
    with pytest.raises(error, match=words):
        spool.append(*block)
    spool.append(X[:9], Y[:9], WEIGHT[:9])
    source = spool.source()
    assert len(source) == spool.rows == ROWS + 9
    rows = [np.concatenate(part) for part in zip(*map(source.read, range(len(source.blocks))))]  # noqa: B905
    for part, array in zip(rows, (X, Y, WEIGHT), strict=True):
        np.testing.assert_array_equal(part, np.concatenate([array, array[:9]]))


@pytest.mark.parametrize(
    ("block", "words"),
    [((X.astype(str), Y), "X has dtype"), ((X, Y.astype(object)), "y has dtype object")],
)
def test_a_spool_takes_numbers(block, words):
    with pytest.raises(TypeError, match=words):
        Spool().append(*block)


def test_a_spool_leaves_no_file(tmp_path):
    source = spooled(iter([(X, Y)]), folder=tmp_path)
    fit(network(), source)
    del source
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- Parquet


def test_parquet_is_read_by_path_list_folder_and_glob(tmp_path, parquet):
    (tmp_path / "parts").mkdir()
    edges = (0, 90, 90, 200, ROWS)  # the second file is empty
    paths = [
        parquet(f"parts/{n}.parquet", columns_of(X, Y, WEIGHT, slice(*part)), row_group_size=40)
        for n, part in enumerate(itertools.pairwise(edges))
    ]
    one = ParquetSource(paths, ["a", "b"], weight="w")
    assert one.blocks == (40, 40, 10, 40, 40, 30, 30) and one.columns == 5
    many = (str(tmp_path / "parts"), tmp_path / "parts", str(tmp_path / "parts" / "*.parquet"))
    nets = [network() for _ in range(4)]
    for net, files in zip(nets, (paths, *many), strict=True):
        fit(net, ParquetSource(files, ["a", "b"], weight="w"))
    blocks = network()
    fit(blocks, Blocks(one.blocks, one.window_rows))
    assert {net.parameters.tobytes() for net in nets} == {blocks.parameters.tobytes()}


def test_a_target_by_its_name_is_flat_and_features_have_an_order(parquet):
    path = parquet("t.parquet", columns_of(X, Y, WEIGHT))
    given, y, weight = ParquetSource(path, "a", features=["x3", "b", "x0"]).read(0)
    np.testing.assert_array_equal(given, np.column_stack([X[:, 3], Y[:, 1], X[:, 0]]))
    np.testing.assert_array_equal(y, Y[:, 0])
    assert y.shape == (ROWS,) and weight is None


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([1.0, None, 3.0], "column 'x' has 1 nulls in row group 0 of .*t.parquet"),
        ([1, None, 3], "column 'x' has 1 nulls"),
        ([True, None, False], "column 'x' has 1 nulls"),
        ([1.0, float("nan"), 3.0], r"X\[1, 0\] is nan"),
        (["1", "2", "3"], "column 'x' of .*t.parquet is (large_)?string: expected numbers"),
        ([[1.0], [2.0], [3.0]], "is list"),
        (np.array(["2020-01-01"] * 3, "M8[s]"), "is timestamp"),
    ],
)
def test_columns_that_hold_no_numbers_are_named(parquet, column, words):
    path = parquet("t.parquet", {"x": column, "y": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=words):
        Network([1, 1]).fit(ParquetSource(path, "y"))


def test_categories_are_no_numbers(parquet):
    import pyarrow as pa

    path = parquet("t.parquet", {"x": pa.array(["a", "b"]).dictionary_encode(), "y": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"column 'x' of .* is dictionary"):
        ParquetSource(path, "y")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"target": "z"}, ValueError, "column 'z' is not in .*t.parquet, which has"),
        ({"target": "y", "features": ["x", "z"]}, ValueError, "column 'z' is not in"),
        ({"target": "y", "weight": "z"}, ValueError, "column 'z' is not in"),
        ({"target": ["x", "y"]}, ValueError, "features: .* expected more than the target"),
        ({"target": "y", "features": []}, ValueError, "features: .* expected more"),
        ({"target": "y", "files": "nowhere/*.parquet"}, FileNotFoundError, "no Parquet file"),
        ({"target": "y", "files": []}, FileNotFoundError, "no Parquet file"),
    ],
)
def test_missing_columns_and_files_are_named(parquet, options, error, words):
    path = parquet("t.parquet", {"x": [1.0, 2.0], "y": [1.0, 2.0]})
    with pytest.raises(error, match=words):
        ParquetSource(**{"files": path, **options})


def test_a_file_that_is_no_parquet_is_named(tmp_path, parquet):
    parquet("1.parquet", {"x": [1.0, 2.0], "y": [1.0, 2.0]})
    (tmp_path / "2.parquet").write_bytes(b"text" * 100)
    with pytest.raises(ValueError, match=r"2\.parquet is not a Parquet file"):
        ParquetSource(tmp_path, "y")


def test_a_parquet_file_without_rows_is_refused(parquet):
    path = parquet("t.parquet", {"x": np.zeros(0), "y": np.zeros(0)})
    with pytest.raises(ValueError, match="has no rows"):
        ParquetSource(path, "y")


# ---------------------------------------------------------------- memory


_MEMORY = """
import re, sys
from pathlib import Path
import os

import itertools

import numpy as np
from fastbp import Network
from fastbp.data import ArraySource, ParquetSource, spooled

MIB, rows = 2**20, 1_600_000  # x 64 of float32: 400 MiB
folder = Path(sys.argv[1]) if sys.argv[1:] else Path(".")
X = np.lib.format.open_memmap(folder / "X.npy", "w+", "float32", (rows, 64))
y = np.lib.format.open_memmap(folder / "y.npy", "w+", "float32", (rows, 1))
rng = np.random.default_rng(0)
for first in range(0, rows, 100_000):
    X[first : first + 100_000] = rng.random((100_000, 64), dtype="float32")
    y[first : first + 100_000] = X[first : first + 100_000, :1]
X.flush(), y.flush()
del X, y

def status(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

net = Network([64, 8, 1])
small = np.zeros((100, 64), "float32"), np.zeros((100, 1), "float32")
net.fit(ArraySource(*small), epochs=1, n_threads=1)  # loads the kernels
kinds = {
    "files": lambda: ArraySource("X.npy", "y.npy"),
    "maps": lambda: ArraySource(np.load("X.npy", mmap_mode="r"), np.load("y.npy", mmap_mode="r")),
    "scratch": lambda: spooled(ArraySource("X.npy", "y.npy")),
}
for name, make in kinds.items():
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = status("VmRSS")
    net.fit(make(), epochs=2, batch_size=512, n_threads=1)
    print(name, status("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif("not os.path.exists('/proc/self/clear_refs')", reason="Linux tells of peaks")
def test_a_fit_of_400_mib_keeps_two_windows_in_memory(run_python):
    peaks = dict(line.split() for line in run_python(_MEMORY).splitlines())
    assert set(peaks) == {"files", "maps", "scratch"}
    for name, peak in peaks.items():
        # two windows of 64 MiB with their targets and orders, and what is read at the moment
        assert float(peak) < 2 * (64 + 1 + 2) + 40, name
