"""The pace of training: slices of 50 ms, on the threads that are quicker here and now."""

from itertools import pairwise

import numpy as np
import pytest

from fastbp import Network
from fastbp.training import loop
from fastbp.training.pace import Pace


def run(pace, seconds_a_step, slices):
    """Run slices of a machine that takes so long a step; return what was run."""
    done = []
    for _ in range(slices):
        steps, threads = pace.next_slice()
        pace.took(steps, threads, steps * seconds_a_step[threads])
        done.append((steps, threads))
    return done


def test_slices_come_to_fifty_milliseconds():
    pace = Pace(steps=10, threads=1, adapts=True)
    done = run(pace, {1: 1e-4}, 10)
    assert done[0] == (10, 1)
    assert done[-1] == (500, 1)
    # and slowly, for the first may have been far from typical
    assert all(b[0] <= 4 * a[0] for a, b in pairwise(done))
    assert run(Pace(10, 1, adapts=True), {1: 3.0}, 3)[-1] == (1, 1)


@pytest.mark.parametrize(("times", "best"), [({1: 1e-4, 4: 3e-5}, 4), ({1: 1e-4, 4: 1e-2}, 1)])
def test_the_quicker_number_of_threads_runs_nearly_always(times, best):
    done = run(Pace(10, 4, adapts=True), times, 400)
    spent = {threads: sum(s * times[t] for s, t in done if t == threads) for threads in times}
    assert spent[best] > 0.95 * sum(spent.values())
    assert 4 in {threads for _, threads in done}


def test_it_turns_when_another_process_comes_and_goes():
    pace = Pace(10, 2, adapts=True)
    free, busy = {1: 1e-4, 2: 6e-5}, {1: 1e-4, 2: 1e-2}
    for times, best in ((free, 2), (busy, 1), (free, 2)):
        run(pace, times, 300)
        assert {t for _, t in run(pace, times, 3)} == {best}


def test_short_epochs_lose_little_on_a_busy_machine():
    # the slices of epochs of 9 steps have at most 9
    pace, times, spent = Pace(9, 2, adapts=True), {1: 9e-5, 2: 8e-3}, {1: 0.0, 2: 0.0}
    for _ in range(20_000):
        steps, threads = pace.next_slice()
        pace.took(min(steps, 9), threads, min(steps, 9) * times[threads])
        spent[threads] += min(steps, 9) * times[threads]
    assert spent[2] < 0.05 * spent[1]


def test_a_busy_machine_never_holds_a_slice_for_long():
    # a slice cannot be stopped: what it takes is what Ctrl-C waits
    pace = Pace(10, 2, adapts=True)
    run(pace, {1: 1e-4, 2: 6e-5}, 300)
    ((steps, threads),) = run(pace, {1: 1e-4, 2: 1e-3}, 1)
    assert threads == 2 and steps * 1e-3 < 0.1


def test_a_number_that_the_caller_chose_is_kept():
    assert {threads for _, threads in run(Pace(10, 2, adapts=False), {2: 1.0}, 50)} == {2}


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
    monkeypatch.setattr(loop, "Pace", Restless)
    monkeypatch.setattr("fastbp.engine.engine.choose_threads", lambda *args: 2)
    np.testing.assert_array_equal(fit("auto"), steady)


def test_threads_that_slept_are_judged_by_the_steps_after_those_that_woke_them():
    pace = Pace(100, 2, True)
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
    pace = Pace(100, 2, True)
    steps, _ = pace.next_slice()
    pace.took(steps, 1, steps * 50e-6)
    steps, _ = pace.next_slice()
    pace.took(steps, 2, steps * 500e-6)
    assert pace.next_slice()[1] == 1


def test_threads_that_the_caller_chose_need_no_measure_of_one():
    pace = Pace(1, 2, False)
    assert pace.next_slice() == (1, 2)
    pace.took(1, 2, 0.2)
    assert pace.next_slice() == (1, 2)
