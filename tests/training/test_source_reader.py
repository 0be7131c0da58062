"""The thread that reads a source: one window ahead, and gone when training ends."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from fastbp import DivergenceError
from fastbp.data import ArraySource
from fastbp.data.samples import samples
from fastbp.data.windows import Streamed
from source_blocks import BATCH, Blocks, X, Y, fit, network, wait_for_readers


def test_one_thread_reads_one_window_ahead():
    calls = []

    def before(block):
        calls.append((block, threading.current_thread().name))

    source = Blocks((10,) * 23, 50, before=before)
    net = network()
    read_at_the_end = []
    fit(net, source, callbacks=lambda entry: read_at_the_end.append(len(calls)))
    own = {name for _, name in calls[1:]}
    assert calls[0] == (0, threading.current_thread().name), "the longest, before training"
    assert len(own) == 1 and own.pop().startswith("fastbp-reader")
    assert len(calls) == 1 + 3 * 23, "only requested windows were read"
    assert sorted(block for block, _ in calls[1:24]) == list(range(23))
    assert read_at_the_end[-1] == len(calls)
    wait_for_readers()


def test_the_next_window_is_read_while_one_is_trained_on():
    # windows of one block: the second is requested after the first is trained on
    reads = []
    source = Blocks((115, 115), 115, before=reads.append)

    feed = Streamed(source, _check, np.float32, BATCH, False, 0)
    windows = feed.windows(0, more=True)
    next(windows)
    _until(lambda: reads == [0, 0, 1])
    next(windows)
    _until(lambda: reads == [0, 0, 1, 0])  # the first of the next epoch
    assert list(windows) == []
    later = next(feed.windows(1))
    assert later.first == 0
    feed.close()
    wait_for_readers()


def _check(X, y, weight):
    return samples(X, y, network().engine.plan, "squared_error", weight)


def _until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_an_error_of_a_read_reaches_the_caller_with_its_words():
    def before(block):
        if block == 17 and threading.current_thread() is not threading.main_thread():
            raise OSError("the disk is gone")

    net = network()
    with pytest.raises(OSError, match="the disk is gone"):
        fit(net, Blocks((10,) * 23, 50, before=before))
    assert np.isfinite(net.parameters).all()
    wait_for_readers()
    assert len(fit(net, X, Y)) == 3, "the network is usable"


def test_an_early_end_neither_waits_for_a_read_nor_leaves_a_thread():
    held, reading = threading.Event(), threading.Event()

    def before(block):
        if threading.current_thread() is not threading.main_thread() and block == 1:
            reading.set()
            held.wait(10)

    source = Blocks((115, 115), 115, before=before)
    begin = time.monotonic()
    # the first window is trained on while the second is held
    history = fit(network(), source, shuffle=False, max_time=1e-9)
    assert history.stopped == "time"
    assert time.monotonic() - begin < 5
    held.set()
    wait_for_readers()


@pytest.mark.parametrize("block", [0, 1], ids=["the first", "the second"])
def test_ctrl_c_does_not_wait_for_a_window_that_is_waited_for(tmp_path, block):
    held = threading.Event()

    def before(number):
        if threading.current_thread() is not threading.main_thread() and number == block:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            held.wait(10)

    source, whole, resumed = Blocks((115, 115), 115, before=before), network(), network()
    begin = time.monotonic()
    stopped = fit(network(), source, shuffle=False, checkpoints=tmp_path)
    assert stopped.stopped == "interrupted" and not len(stopped)
    assert time.monotonic() - begin < 5
    held.set()
    wait_for_readers()
    fit(whole, Blocks((115, 115), 115), shuffle=False)
    fit(resumed, Blocks((115, 115), 115), shuffle=False, checkpoints=tmp_path, resume=True)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)


def test_divergence_and_errors_of_callbacks_leave_no_thread():
    with pytest.raises(DivergenceError):
        fit(network(), ArraySource(X * 1e30, Y * 1e30, window_rows=50))

    def fail(entry):
        raise RuntimeError("of the callback")

    with pytest.raises(RuntimeError, match="of the callback"):
        fit(network(), ArraySource(X, Y, window_rows=50), callbacks=fail)
    wait_for_readers()


def test_two_networks_may_read_one_source_at_once():
    busy, overlaps = threading.Lock(), []

    def before(block):
        if not busy.acquire(blocking=False):
            overlaps.append(block)
            return
        time.sleep(0.0005)
        busy.release()

    source = Blocks((10,) * 23, 50, before=before)
    nets = [network() for _ in range(2)]
    threads = [threading.Thread(target=fit, args=(net, source)) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = network()
    fit(alone, source)
    assert {net.parameters.tobytes() for net in nets} == {alone.parameters.tobytes()}
    assert overlaps == [], "read is called by one thread at a time"
