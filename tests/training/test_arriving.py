"""Iterators that are trained on as they arrive, endless ones too, and those read to their end."""

import itertools
import logging
import re
import threading
import time
from shutil import disk_usage

import numpy as np
import pytest
from scipy.sparse import csr_array

from checkpoint_runs import Killed, StopsAfter, short_slices
from fastbp import SGD, Adam, Checkpoints, Cosine, DivergenceError, Network
from fastbp.data import ArraySource, feed, spool
from source_blocks import wait_for_readers

rng = np.random.default_rng(12)
X = rng.normal(size=(1000, 4)).astype("float32")
Y = np.c_[X[:, 0] - X[:, 1], np.tanh(X[:, 2])].astype("float32")
WEIGHT = rng.uniform(0.1, 2, 1000).astype("float32")
BATCH = 16


def network(**options):
    return Network([4, 8, 2], "tanh", optimizer=Adam(1e-2, schedule=Cosine(5)), seed=1, **options)


def fit(net, blocks, steps, epochs=3, **options):
    options = {"batch_size": BATCH, "n_threads": 1, "steps_per_epoch": steps, **options}
    return net.fit(blocks, epochs=epochs, **options)


def endless(sizes, arrays=(X, Y, WEIGHT), taken=None):
    """Yield blocks of these sizes, again and again, of rows that begin anew at their end."""
    place = 0
    for size in itertools.cycle(sizes):
        rows = np.arange(place, place + size) % len(X)
        place += size
        if taken is not None:
            taken.append(size)
        yield tuple(array[rows] for array in arrays)


def by_hand(steps, epochs=3, rows=None):
    """Return a net that was trained on the same rows in their order, one step after another."""
    net = network()
    rows = np.arange(epochs * steps * BATCH) % len(X) if rows is None else rows
    for step, first in enumerate(range(0, len(rows), BATCH)):
        part = rows[first : first + BATCH]
        _, grads = net.backward(X[part], Y[part], WEIGHT[part], n_threads=1)
        net.update(grads, epoch=step / steps, n_threads=1)
    return net


@pytest.mark.parametrize(
    "sizes", [(16,), (64,), (5,), (1000,), (7, 40, 1, 300)], ids=lambda sizes: str(sizes)
)
def test_an_epoch_is_so_many_batches_in_the_order_of_arrival(sizes):
    net = network()
    history = fit(net, endless(sizes), steps=10, shuffle=False)
    assert (net.steps, net.epochs, history.stopped) == (30, 3, "epochs")
    np.testing.assert_allclose(net.parameters, by_hand(10).parameters, rtol=1e-4, atol=1e-6)
    wait_for_readers()


def test_the_bits_do_not_depend_on_where_blocks_end_nor_on_threads():
    found = []
    for sizes, threads in [((16,), 1), ((7, 40, 1, 300), 1), ((64,), 2)]:
        net = network()
        fit(net, endless(sizes), steps=10, shuffle=False, n_threads=threads)
        found.append(net.parameters.tobytes())
    assert len(set(found)) == 1


def test_rows_are_shuffled_within_a_block_by_the_seed():
    one, same, other, plain = network(), network(), network(), network()
    other.engine.seed = 2
    for net in (one, same, other):
        fit(net, endless((200,)), steps=25)
    fit(plain, endless((200,)), steps=25, shuffle=False)
    assert np.array_equal(one.parameters, same.parameters)
    for net in (other, plain):
        assert not np.array_equal(one.parameters, net.parameters)


def test_it_reads_one_block_ahead_and_no_more():
    taken, most = [], []

    def look(entry):
        most.append(len(taken))

    fit(network(), endless((BATCH,), taken=taken), steps=4, callbacks=look)
    assert len(taken) <= 3 * 4 + 1
    assert all(count <= 4 * (n + 1) + 1 for n, count in enumerate(most))


def test_a_generator_may_use_its_arrays_again():
    x, y, weight = (np.zeros((BATCH, *array.shape[1:]), array.dtype) for array in (X, Y, WEIGHT))

    def reuses():
        for block in endless((BATCH,)):
            x[:], y[:], weight[:] = block
            yield x, y, weight

    one, other = network(), network()
    fit(one, reuses(), steps=10, shuffle=False)
    fit(other, endless((BATCH,)), steps=10, shuffle=False)
    assert np.array_equal(one.parameters, other.parameters)


def test_sparse_blocks_labels_and_no_weights_arrive_too():
    labels = (X[:, 0] > 0).astype(int)
    sparse = X * (np.abs(X) > 0.7)
    dense, other = (Network([4, 8, 2], loss="cross_entropy", seed=1) for _ in range(2))
    fit(dense, endless((7, 30), (sparse, labels)), steps=20)
    blocks = ((csr_array(x), y) for x, y in endless((7, 30), (sparse, labels)))
    history = fit(other, blocks, steps=20)
    np.testing.assert_allclose(other.parameters, dense.parameters, rtol=1e-3, atol=1e-5)
    assert history["loss"][-1] < history["loss"][0]


def test_a_loader_begins_anew_at_its_end_and_an_iterator_ends_training(caplog):
    blocks = [(X[n : n + 100], Y[n : n + 100], WEIGHT[n : n + 100]) for n in range(0, 1000, 100)]
    net = network()
    assert fit(net, blocks, steps=100, shuffle=False).stopped == "epochs"
    rows = np.arange(300 * BATCH) % 1000
    np.testing.assert_allclose(
        net.parameters, by_hand(100, rows=rows).parameters, rtol=1e-3, atol=1e-5
    )
    net = network()
    assert not caplog.records
    history = fit(net, iter(blocks), steps=40, shuffle=False)
    # 62 whole batches and one of 8 rows: an epoch of 40 steps, and one of 23
    assert (net.steps, len(history), history.stopped) == (63, 2, "end of the data")
    assert "stopped at the end of the data" in repr(history)
    assert [record.getMessage() for record in caplog.records] == [
        "X ended before the training, in 2 of 3 epochs"
    ]
    np.testing.assert_allclose(
        net.parameters, by_hand(40, rows=np.arange(1000)).parameters, rtol=1e-4, atol=1e-6
    )
    part = slice(640, 1000)
    assert history.epochs[1]["loss"] > 0
    one = Network([4, 2], optimizer=SGD(1e-30), seed=1)  # its weights do not move
    history = fit(one, iter(blocks), steps=40)
    expected = one.evaluate(X[part], Y[part], WEIGHT[part])["loss"]
    assert history["loss"][1] == pytest.approx(expected, rel=1e-5)


def test_data_that_end_with_an_epoch_are_no_short_epoch():
    blocks = iter([(X[:640], Y[:640])])
    history = fit(network(), blocks, steps=40)
    assert (len(history), history.stopped) == (1, "end of the data")
    assert fit(network(), iter([(X[:640], Y[:640])]), 40, epochs=1).stopped == "epochs"


def test_time_ends_a_training_whatever_the_blocks_do(caplog):
    fit(network(), endless((100,)), steps=10)
    started = time.perf_counter()
    history = fit(network(), endless((100,)), steps=10, epochs=10**9, max_time=0.3)
    assert history.stopped == "time" and len(history) > 0
    assert time.perf_counter() - started > 0.25

    def asleep(after=0):
        yield from itertools.islice(endless((100,)), after)
        assert go_on.wait(60)
        yield X, Y, WEIGHT

    for after, epochs in ((0, 0), (3, 1)):
        caplog.clear()
        go_on = threading.Event()
        started = time.perf_counter()
        net = network()
        history = fit(net, asleep(after), steps=10, epochs=5, max_time=0.3)
        assert time.perf_counter() - started < 30  # half of what the block takes
        go_on.set()
        assert (history.stopped, len(history)) == ("time", epochs)
        assert net.history is history
        told = "nothing was trained within max_time=0.3: no batch of X has arrived yet"
        assert [r.getMessage() for r in caplog.records] == ([] if epochs else [told])
    wait_for_readers()


def test_a_stopped_training_reads_past_its_samples_and_has_the_same_bits(monkeypatch, tmp_path):
    short_slices(monkeypatch)
    whole = network()
    fit(whole, endless((7, 40, 1, 300)), steps=10)
    for number, left in enumerate((1, 9, 10, 25)):
        folder = tmp_path / str(number)
        with pytest.raises(Killed):
            fit(network(), endless((7, 40, 1, 300)), 10, checkpoints=StopsAfter(folder, left))
        net = network()
        blocks = endless((7, 40, 1, 300))
        fit(net, blocks, 10, checkpoints=Checkpoints(folder), resume=True)
        assert np.array_equal(net.parameters, whole.parameters)
        assert net.history["loss"] == whole.history["loss"]
    with pytest.raises(ValueError, match="steps_per_epoch was 10 and is 11"):
        fit(network(), endless((7,)), 11, checkpoints=Checkpoints(folder), resume=True)


def test_divergence_is_still_told():
    huge = (X, Y * 1e30, WEIGHT)
    with pytest.raises(DivergenceError, match="epoch 1"):
        fit(network(), endless((100,), huge), steps=5)
    wait_for_readers()


BLOCK = (X[:50], Y[:50])


@pytest.mark.parametrize(
    ("blocks", "error", "words"),
    [
        (iter([]), ValueError, "the data have no blocks"),
        ([], ValueError, "the data have no blocks"),
        (iter([X]), TypeError, "block 0 of X: a block is ndarray"),
        (iter([(X[:50, :3], Y[:50])]), ValueError, "block 0 of X: X has 3 columns"),
        (iter([BLOCK, (X[:9] * np.nan, Y[:9])]), ValueError, r"block 1 of X: X\[0, 0\] is nan"),
        (iter([BLOCK, (X[:9], Y[:8])]), ValueError, "block 1 of X: y has 8 rows"),
        (iter([(X[:5], Y[:5]), (X[:9], Y[:9], WEIGHT[:9])]), ValueError, "sample_weight: expected"),
        (iter([(X[:5], Y[:5]), (csr_array(X[:9]), Y[:9])]), ValueError, "X is sparse in some"),
    ],
)
def test_a_wrong_block_is_named(blocks, error, words):
    with pytest.raises(error, match=words):
        fit(network(), blocks, steps=4)
    wait_for_readers()


@pytest.mark.parametrize("steps", [0, -1, 2.5, "3", True])
def test_a_wrong_number_of_steps_is_named(steps):
    with pytest.raises((TypeError, ValueError), match=f"steps_per_epoch={steps!r}"):
        fit(network(), endless((9,)), steps=steps)


def test_arrays_and_sources_have_epochs_of_their_own():
    for data in ((X, Y), (ArraySource(X, Y),)):
        with pytest.raises(ValueError, match="steps_per_epoch=3: expected None"):
            network().fit(*data, steps_per_epoch=3)


# ---------------------------------------------------------------- read to the end first


def test_time_ends_the_reading_of_blocks_that_do_not_end(caplog):
    net = network()
    before = net.parameters.copy()
    history = net.fit(endless((100,)), epochs=1, max_time=0.3)
    assert (history.stopped, len(history), net.steps) == ("time", 0, 0)
    assert np.array_equal(net.parameters, before)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "within max_time=0.3: X has not ended; give steps_per_epoch=" in record.getMessage()


def test_time_to_read_counts_and_blocks_that_end_in_time_are_trained_on():
    def slow():
        for n in range(0, 1000, 250):
            time.sleep(0.1)
            yield X[n : n + 250], Y[n : n + 250], WEIGHT[n : n + 250]

    history = network().fit(slow(), epochs=10**9, max_time=0.8)
    assert history.stopped == "time" and len(history) > 0
    one, other = network(), network()
    one.fit(slow(), epochs=2, max_time=60), other.fit(slow(), epochs=2)
    assert np.array_equal(one.parameters, other.parameters)


def test_reading_for_long_is_told_once(monkeypatch, caplog):
    monkeypatch.setattr(feed, "_PATIENCE", 0.05)
    fit(network(), endless((100,)), steps=3)
    network().fit(iter([(X, Y)]), epochs=1)
    assert not caplog.records
    network().fit(endless((100,)), epochs=1, max_time=0.3)
    (first, last) = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(r"after \d+ blocks: X has not ended; give steps_per_epoch= .*", first)
    assert "nothing was trained" in last


def test_blocks_that_do_not_end_leave_room_on_the_disk(monkeypatch, tmp_path):
    free = 100_000
    monkeypatch.setattr(spool, "disk_usage", lambda place: disk_usage(place)._replace(free=free))
    taken = []
    with pytest.raises(OSError, match=r"X has not ended, .* 50% of what was free: give steps_per"):
        network().fit(endless((1000,), taken=taken), epochs=1)
    size = X.nbytes + Y.nbytes + WEIGHT.nbytes
    assert sum(taken) / 1000 * size < free + size
    few = iter([(X[:500], Y[:500])])
    assert network().fit(few, epochs=1).stopped == "epochs"


def test_an_error_of_a_timeout_in_the_generator_is_the_callers():
    def fails():
        yield X, Y
        raise TimeoutError("the line is cut")

    for options in ({}, {"steps_per_epoch": 100}):
        with pytest.raises(TimeoutError, match="the line is cut"):
            network().fit(fails(), **options)


BLOCKS = """
import itertools, threading, numpy as np
from fastbp import Network
X = np.ones((64, 4), "float32")
def blocking():
    yield X, X[:, 0]
    threading.Event().wait()
history = Network([4, 3, 1], seed=0).fit(blocking(), max_time=0.5, {options})
print(history.stopped.value)
"""


@pytest.mark.parametrize("options", ["", "steps_per_epoch=2"])
def test_a_process_ends_though_an_iterator_never_yields(run_python, options):
    assert run_python(BLOCKS.format(options=options), timeout=120).strip() == "time"


def test_a_generator_may_use_its_arrays_again_while_it_is_read_to_its_end():
    def again():
        x, y = np.empty((50, 4), "float32"), np.empty((50, 2), "float32")
        for first in range(0, 1000, 50):
            x[:], y[:] = X[first : first + 50], Y[first : first + 50]
            yield x, y

    def anew():
        for first in range(0, 1000, 50):
            yield X[first : first + 50].copy(), Y[first : first + 50].copy()

    nets = [network(), network()]
    for net, blocks in zip(nets, (again(), anew()), strict=True):
        net.fit(blocks, epochs=2, batch_size=BATCH, n_threads=1)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
