"""Sources larger than memory: every row once an epoch, in an order that seed and epoch decide."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from checkpoint_runs import short_slices
from fastbp import Checkpoints, Network
from fastbp.data import ArraySource, ParquetSource, spooled
from fastbp.data.samples import samples
from fastbp.data.windows import Streamed
from source_blocks import (
    BATCH,
    ROWS,
    UNEVEN,
    WEIGHT,
    Blocks,
    X,
    Y,
    columns_of,
    fit,
    network,
    parquet,
)

__all__ = ["parquet"]  # a fixture

# every row tells its number, so do its target and its weight
NUMBERED = np.arange(ROWS, dtype="float32")[:, None] + np.zeros(5, "float32")
TARGETS, WEIGHTS = 2 * NUMBERED[:, :2], 3 + NUMBERED[:, 0]


def sources(tmp_path, parquet, arrays, window_rows):
    """Return every kind of source of the same arrays."""
    for name, array in zip("Xyw", arrays, strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    files = [tmp_path / f"{name}.npy" for name in "Xyw"]
    maps = [np.load(file, mmap_mode="r") for file in files]
    path = parquet("all.parquet", columns_of(*arrays), row_group_size=20)
    blocks = ([array[n : n + 50] for array in arrays] for n in range(0, ROWS, 50))
    named = {"target": ["a", "b"], "weight": "w"}
    return {
        "arrays": ArraySource(*arrays, window_rows=window_rows),
        "maps": ArraySource(*maps, block_rows=20, window_rows=window_rows),
        "files": ArraySource(*files, block_rows=20, window_rows=window_rows),
        "own": Blocks(UNEVEN, window_rows, arrays),
        "iterator": spooled(blocks, window_rows, tmp_path),
        "parquet": ParquetSource(path, **named, window_rows=window_rows),
        "parquet as it is": ParquetSource(path, **named, window_rows=window_rows, unpack=False),
        "unpacked parquet": spooled(ParquetSource(path, **named, window_rows=window_rows)),
    }


KINDS = (
    *("arrays", "maps", "files", "own", "iterator"),
    *("parquet", "parquet as it is", "unpacked parquet"),
)


def epoch_of(source, epoch, shuffle=True, seed=1):
    """Return the rows of an epoch in the order in which they are trained on, window by window."""
    plan = network().engine.plan

    def check(X, y, weight):
        return samples(X, y, plan, "squared_error", weight)

    feed, windows = Streamed(source, check, plan.dtype, BATCH, shuffle, seed), []
    for window in feed.windows(epoch):
        order = slice(None) if window.order is None else window.order
        data = window.data
        assert window.first == sum(-(-len(w) // BATCH) for w in windows)
        rows = data.x[order, 0].copy()
        np.testing.assert_array_equal(data.x[order], rows[:, None] + np.zeros(5))
        np.testing.assert_array_equal(data.y[order], 2 * rows[:, None] + np.zeros(2))
        if data.weight is not None:
            np.testing.assert_array_equal(data.weight[order], 3 + rows)
        windows.append(rows)
    assert feed.batches(epoch) == sum(-(-len(w) // BATCH) for w in windows)
    feed.close()
    return windows


# ---------------------------------------------------------------- the order


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_row_comes_once_an_epoch_with_its_target_and_weight(tmp_path, parquet, kind, shuffle):
    source = sources(tmp_path, parquet, (NUMBERED, TARGETS, WEIGHTS), 75)[kind]
    assert (len(source), source.columns) == (ROWS, 5)
    epochs = [epoch_of(source, epoch, shuffle) for epoch in (0, 1, 0)]
    for windows in epochs:
        assert len(windows) > 2 and max(map(len, windows)) <= 75
        rows = np.concatenate(windows)
        np.testing.assert_array_equal(np.sort(rows), np.arange(ROWS))
        assert (rows == np.arange(ROWS)).all() == (not shuffle)
    first, second, again = (np.concatenate(windows) for windows in epochs)
    np.testing.assert_array_equal(first, again)
    assert (first == second).all() == (not shuffle)
    if shuffle:
        assert (np.concatenate(epoch_of(source, 0, seed=2)) != first).any()


def test_blocks_and_rows_of_a_window_are_both_shuffled():
    source = Blocks((10,) * 23, 50, (NUMBERED, TARGETS, None))
    windows = epoch_of(source, 0)
    assert [len(window) for window in windows] == [50, 50, 50, 50, 30]
    for window in windows:
        blocks = np.unique(window // 10)
        assert len(blocks) == len(window) / 10, "of whole blocks"
        assert (np.diff(blocks) != 1).any(), "from all over the data"
        assert (np.diff(window) < 0).any(), "whose rows are mixed"


def test_a_window_holds_a_long_block_and_a_batch_if_nothing_else():
    assert len(epoch_of(Blocks((100, 130), 10, (NUMBERED, TARGETS, None)), 0, False)) == 2
    windows = epoch_of(Blocks((5,) * 46, 7, (NUMBERED, TARGETS, None)), 0, False)
    assert max(map(len, windows)) == 15, (
        "three blocks: a fourth would exceed the 16 rows of a batch"
    )


# ---------------------------------------------------------------- training


@pytest.mark.parametrize("kind", KINDS)
def test_in_order_the_bits_are_those_of_the_fit_in_memory(tmp_path, parquet, kind):
    inner, streamed = network(), network()
    history = fit(inner, X, Y, sample_weight=WEIGHT, shuffle=False, validation_data=(X, Y))
    # of whole blocks and of whole batches: none is short but the last
    window = ROWS if kind == "own" else 5 * BATCH
    source = sources(tmp_path, parquet, (X, Y, WEIGHT), window)[kind]
    own = fit(streamed, source, shuffle=False, validation_data=(X, Y))
    assert streamed.parameters.tobytes() == inner.parameters.tobytes()
    np.testing.assert_allclose(own["loss"], history["loss"], rtol=1e-12)
    assert own["val_loss"] == history["val_loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_do_not_depend_on_where_the_blocks_lie(tmp_path, parquet, kind):
    source = sources(tmp_path, parquet, (X, Y, WEIGHT), 60)[kind]
    net, own = network(), network()
    fit(net, source)
    fit(own, Blocks(source.blocks, source.window_rows))
    assert net.parameters.tobytes() == own.parameters.tobytes()


@pytest.mark.parametrize("how", ["on a disk", "in memory", "no room", "one epoch", "not asked"])
def test_parquet_is_unpacked_once_where_there_is_room(tmp_path, parquet, monkeypatch, how):
    path = parquet("all.parquet", columns_of(X, Y, WEIGHT), row_group_size=70)
    named = {"target": ["a", "b"], "weight": "w", "window_rows": 140}
    source, reads = ParquetSource(path, **named, unpack=how != "not asked"), []
    read, row = source.read, 4 * (5 + 2 + 1)
    source.read = lambda block: reads.append(block) or read(block)
    free = 2 * ROWS * row - (how == "no room")
    monkeypatch.setattr("fastbp.data.parquet.disk_usage", lambda folder: SimpleNamespace(free=free))
    kind = "tmpfs" if how == "in memory" else "ext4"
    monkeypatch.setattr("fastbp.data.parquet.file_system", lambda folder: kind)
    net, other = network(), network()
    epochs = 1 if how == "one epoch" else 3
    fit(net, source, epochs=epochs)
    fit(net, source, epochs=epochs)
    if how == "on a disk":
        assert reads == [0, 1, 2, 3]
    else:  # one block is read first
        assert len(reads) == 2 * (1 + 4 * epochs)
    for _ in range(2):
        fit(other, Blocks((70, 70, 70, 20), 140), epochs=epochs)
    assert net.parameters.tobytes() == other.parameters.tobytes()


def test_numbers_of_files_may_be_of_several_types(tmp_path, parquet):
    whole = np.round(X * 10)
    first = columns_of(whole[:100].astype("i2"), Y[:100], WEIGHT[:100])
    parquet("1.parquet", first)
    parquet("2.parquet", columns_of(whole[100:], Y[100:], WEIGHT[100:]))
    nets = [network() for _ in range(3)]
    for net, unpack in zip(nets, (True, False), strict=False):
        source = ParquetSource(tmp_path, ["a", "b"], weight="w", unpack=unpack)
        fit(net, source, shuffle=False)
    fit(nets[2], whole, Y, sample_weight=WEIGHT, shuffle=False)
    assert len({net.parameters.tobytes() for net in nets}) == 1


def test_labels_and_no_weights_do_as_well():
    labels = np.arange(ROWS) % 3
    nets = [Network([5, 3], loss="cross_entropy") for _ in range(2)]
    nets[0].fit(X, labels, epochs=2, batch_size=46, shuffle=False)
    nets[1].fit(ArraySource(X, labels, window_rows=46), epochs=2, batch_size=46, shuffle=False)
    assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_of_other_types_are_converted(dtype):
    whole = np.round(X * 10)
    nets = [network(dtype=dtype) for _ in range(4)]
    for net, kind in zip(nets, ("float32", "float64", "int8", ">f8"), strict=True):
        fit(net, spooled(iter([(whole.astype(kind), Y)])), shuffle=False)
    assert len({net.parameters.tobytes() for net in nets}) == 1


def test_two_threads_give_the_bits_of_one():
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(4000, 64)), rng.normal(size=(4000, 10))
    nets = [Network([64, 128, 10], seed=3) for _ in range(3)]
    for net, threads in zip(nets, (1, 2, "auto"), strict=True):
        net.fit(ArraySource(X, Y, window_rows=1000), epochs=3, batch_size=256, n_threads=threads)
    assert len({net.parameters.tobytes() for net in nets}) == 1


def test_weights_may_all_be_0_in_a_window_but_not_in_all():
    weight = np.where(np.arange(ROWS) < 100, 0, WEIGHT)
    nets = [network() for _ in range(2)]
    options = {"shuffle": False, "batch_size": 10}
    history = fit(nets[0], X, Y, sample_weight=weight, **options)
    own = fit(nets[1], ArraySource(X, Y, weight, window_rows=10), **options)
    assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()
    np.testing.assert_allclose(own["loss"], history["loss"], rtol=1e-12)
    with pytest.raises(ValueError, match="sample_weight: all weights are 0"):
        fit(network(), ArraySource(X, Y, np.zeros(ROWS)))


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_stop_within_a_window_and_between_two_leaves_the_same_bits(tmp_path, shuffle):
    # 5 windows of 46 rows, of 3 batches each
    source = ArraySource(X, Y, WEIGHT, window_rows=46, block_rows=23)
    whole = network()
    fit(whole, source, shuffle=shuffle)

    class Last(Checkpoints):
        def write(self, model):
            super().write(model)
            raise KeyboardInterrupt

    done = set()
    for _ in range(46):
        net = network()
        with pytest.MonkeyPatch.context() as patch:
            short_slices(patch)
            try:
                checkpoints = Last(tmp_path, every=0)
                fit(net, source, shuffle=shuffle, checkpoints=checkpoints, resume=True)
            except KeyboardInterrupt:
                done.add(checkpoints.latest().sections["training"]["done"])
    assert done == set(range(1, 16)) | {0}
    assert net.parameters.tobytes() == whole.parameters.tobytes()
    assert net.engine.epochs == 3


def test_a_list_of_blocks_and_a_loader_are_streams():
    blocks = [(X[:100], Y[:100]), (X[100:], Y[100:])]

    class Loader:  # as that of PyTorch: it has a length, and can be gone through again
        def __len__(self):
            return 2

        def __iter__(self):
            return map(list, blocks)

    nets = [network() for _ in range(3)]
    for net, data in zip(nets, (iter(blocks), blocks, Loader()), strict=True):
        fit(net, data)
    assert len({net.parameters.tobytes() for net in nets}) == 1


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copy_of_a_source_is_the_same(tmp_path, parquet, copied):
    for kind, source in sources(tmp_path, parquet, (X, Y, WEIGHT), 50).items():
        if kind == "own":
            source.before = print  # a lambda cannot be pickled
        nets = network(), network()
        fit(nets[0], source)
        fit(nets[1], copied(source))
        np.testing.assert_array_equal(nets[1].parameters, nets[0].parameters)


def test_a_copy_of_a_map_is_an_array(tmp_path):
    np.save(tmp_path / "X.npy", X)
    copied = np.load(tmp_path / "X.npy", mmap_mode="r").astype("float64")
    nets = network(), network()
    fit(nets[0], ArraySource(copied, Y))
    fit(nets[1], ArraySource(X, Y))
    np.testing.assert_array_equal(nets[1].parameters, nets[0].parameters)
