"""The pace of training: slices of 50 ms, on the threads that are quicker here and now."""

from itertools import pairwise

import numpy as np
import pytest

from fastbp import Network
from fastbp.engine import engine
from fastbp.engine.pace import Pace
from fastbp.kernels.tuning import LOOK_SECONDS
from fastbp.ranks import comm


def run(pace, seconds_a_step, slices):
    """Run slices of a machine that takes so long a step; return what was run."""
    done = []
    for _ in range(slices):
        steps, threads = pace.next_slice()
        pace.took(steps, threads, steps * seconds_a_step[threads])
        done.append((steps, threads))
    return done


def test_slices_come_to_fifty_milliseconds():
    pace = Pace(steps=10, threads=1)
    done = run(pace, {1: 1e-4}, 10)
    assert done[0] == (10, 1)
    assert done[-1] == (500, 1)
    # and slowly, for the first may have been far from typical
    assert all(b[0] <= 4 * a[0] for a, b in pairwise(done))
    assert run(Pace(10, 1), {1: 3.0}, 3)[-1] == (1, 1)


# seconds of a step by threads, and the best of them: where more gain, where more lose, where
# entering a parallel region takes what two threads gain, where memory has no more bandwidth, and
# where one processor of eight is taken
TIMES = [
    ({1: 1e-4, 2: 6e-5, 4: 3e-5}, 4),
    ({1: 1e-4, 2: 1.1e-4, 4: 1e-2}, 1),
    ({1: 1e-4, 2: 1.2e-4, 4: 8e-5}, 4),
    ({1: 1e-4, 2: 6e-5, 4: 5e-5, 8: 7e-5}, 4),
    ({1: 1e-4, 2: 6e-5, 4: 4e-5, 8: 1e-2}, 4),
]


@pytest.mark.parametrize(("times", "best"), TIMES)
def test_the_quicker_number_of_threads_runs_nearly_always(times, best):
    done = run(Pace(10, max(times)), times, 2000)
    spent = {threads: sum(s * times[t] for s, t in done if t == threads) for threads in times}
    assert spent[best] > 0.95 * sum(spent.values())
    assert {threads for _, threads in done} == set(times)


def test_it_turns_when_another_process_comes_and_goes():
    pace = Pace(10, 2)
    free, busy = {1: 1e-4, 2: 6e-5}, {1: 1e-4, 2: 1e-2}
    for times, best in ((free, 2), (busy, 1), (free, 2)):
        run(pace, times, 300)
        assert {t for _, t in run(pace, times, 3)} == {best}


def test_short_epochs_lose_little_on_a_busy_machine():
    # the slices of epochs of 9 steps have at most 9
    pace, times, spent = Pace(9, 2), {1: 9e-5, 2: 8e-3}, {1: 0.0, 2: 0.0}
    for _ in range(20_000):
        steps, threads = pace.next_slice()
        pace.took(min(steps, 9), threads, min(steps, 9) * times[threads])
        spent[threads] += min(steps, 9) * times[threads]
    assert spent[2] < 0.05 * spent[1]


def test_a_busy_machine_never_holds_a_slice_for_long():
    # a slice cannot be stopped: what it takes is what Ctrl-C waits
    pace = Pace(10, 2)
    run(pace, {1: 1e-4, 2: 6e-5}, 300)
    ((steps, threads),) = run(pace, {1: 1e-4, 2: 1e-3}, 1)
    assert threads == 2 and steps * 1e-3 < 0.1


def test_all_numbers_of_threads_are_powers_of_two_or_the_most():
    for most, choices in ((1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))):
        assert Pace(10, most).choices == choices


def test_long_steps_begin_on_all_threads_and_fewer_are_tried_late():
    pace = Pace(1, 4, long=True)
    done = run(pace, {1: 4.0, 2: 2.0, 4: 1.0}, 60)
    assert {threads for _, threads in done} == {4}
    # but where all of them are slower, they are given up
    assert run(pace, {1: 4.0, 2: 2.0, 4: 3.0}, 300)[-100:].count((1, 2)) > 90


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_do_not_depend_on_where_the_threads_change(dtype, monkeypatch):
    X = np.random.default_rng(0).normal(size=(600, 40))

    class Restless(Pace):
        count = 0

        def next_slice(self):
            self.count += 1
            return 1 + self.count % 3, 2 - self.count % 2

    def fit(n_threads):
        net = Network([40, 130, 40], "tanh", dtype=dtype, seed=1)
        net.fit(X, X, epochs=3, batch_size=128, n_threads=n_threads)
        return net.parameters

    steady = fit(1)
    monkeypatch.setattr(comm, "pace_of_steps", lambda flops, threads: Restless(1, threads))
    monkeypatch.setattr("fastbp.engine.engine.choose_threads", lambda *args: 2)
    np.testing.assert_array_equal(fit("auto"), steady)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inference_has_the_same_bits_wherever_its_threads_change(dtype, monkeypatch):
    X = np.random.default_rng(0).normal(size=(5000, 20))
    net = Network([20, 40, 3], "tanh", dtype=dtype, seed=1)
    steady = net.forward(X, n_threads=1), net.evaluate(X, X[:, :3], n_threads=1)
    told = []

    class Restless(Pace):
        def next_slice(self):
            return 1 + len(told) % 3, 2 - len(told) % 2

        def took(self, steps, threads, seconds):
            assert seconds > 0
            told.append((steps, threads))

    monkeypatch.setattr(engine, "pace_of_steps", lambda flops, threads: Restless(1, 2))
    monkeypatch.setattr(engine, "choose_threads", lambda *arguments: 2)
    np.testing.assert_array_equal(net.forward(X), steady[0])
    # 5,000 rows are 9 batches of 256 rows for each thread, and a rest that is not told
    assert sum(steps for steps, _ in told) == 9
    assert net.evaluate(X, X[:, :3]) == steady[1]
    assert {threads for _, threads in told} == {1, 2}


def test_inference_learns_from_one_call_to_the_next(monkeypatch):
    X = np.zeros((3000, 20), "float32")
    net = Network([20, 40, 3], seed=1)
    spent = {1: 1e-4, 2: 8e-3}  # beside other processes
    ran = []

    class Watched(Pace):
        def took(self, steps, threads, seconds):
            ran.append(threads)
            super().took(steps, threads, steps * spent[threads])

    monkeypatch.setattr(engine, "pace_of_steps", lambda flops, threads: Watched(4, 2))
    monkeypatch.setattr(engine, "choose_threads", lambda *arguments: 2)
    for _ in range(200):
        net.forward(X)
    assert ran[:2] == [1, 2] and ran.count(2) < 0.02 * len(ran)


def test_no_slice_that_is_measured_waits_for_a_compiler(run_python):
    code = """
    import numpy as np
    from fastbp import Network
    from fastbp.engine import engine, pace, steps
    from fastbp.kernels.net import loop

    class Alone(pace.Pace):
        def next_slice(self):
            return 1, 1

    engine.choose_threads = steps.choose_threads = lambda *arguments: 2
    engine.pace_of_steps = lambda flops, threads: Alone(1, threads)
    X = np.zeros((2000, 20), "float32")
    net = Network([20, 40, 3])
    net.forward(X)
    net.fit(X, X[:, :3], epochs=1)
    for kernel in (loop.infer, loop.train):
        assert kernel.serial.signatures == kernel.parallel.signatures
        assert len(kernel.parallel.signatures) == 1
    """
    run_python(code, NUMBA_NUM_THREADS=2)


def test_threads_that_slept_are_judged_by_the_steps_after_those_that_woke_them():
    pace = Pace(100, 2)
    steps, threads = pace.next_slice()
    assert threads == 1
    pace.took(steps, 1, steps * 50e-6)
    steps, threads = pace.next_slice()
    assert threads == 2
    pace.took(steps, 2, steps * 100e-6)  # the first waits for them
    steps, threads = pace.next_slice()
    assert threads == 2
    pace.took(steps, 2, steps * 40e-6)
    more, threads = pace.next_slice()
    assert threads == 2
    assert more > steps


def test_threads_that_take_many_times_as_long_are_not_waited_for():
    pace = Pace(100, 2)
    steps, _ = pace.next_slice()
    pace.took(steps, 1, steps * 50e-6)
    steps, _ = pace.next_slice()
    pace.took(steps, 2, steps * 8e-3)
    assert pace.next_slice()[1] == 1


def test_slices_on_other_threads_than_were_asked_for_decide_nothing():
    # a thread that reads data takes the place of one that trains
    pace = Pace(100, 8)
    pace.took(100, 1, 5e-3)
    steps, threads = pace.next_slice()
    assert threads == 2
    pace.took(steps, 7, 1.0)
    pace.took(steps, 1, steps * 5e-5)
    assert pace.next_slice() == (steps, 2)


def test_others_that_run_for_a_moment_put_the_first_try_off_for_a_moment():
    crowded = iter([True, True, False])
    pace = Pace(10, 2, is_crowded=lambda: next(crowded))  # which is asked no more after
    times = {1: 1e-4, 2: 6e-5}
    done = run(pace, times, 30)
    first = [threads for _, threads in done].index(2)
    alone = sum(steps for steps, _ in done[:first]) * times[1]
    assert 2 * LOOK_SECONDS <= alone < 2 * LOOK_SECONDS + 2 * 0.06  # slices of 50 ms
    assert done[-1][1] == 2
    # but those that stay do not for ever
    done = run(Pace(10, 2, is_crowded=lambda: True), times, 100)
    assert done[-1][1] == 2
