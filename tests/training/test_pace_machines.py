"""The pace on simulated machines of 4 to 256 processors, beside the best number of threads."""

from itertools import product

import pytest

from fastbp.engine.pace import Pace
from machines import Machine, bursts

FIFTY_SLICES = 2.5  # seconds: a slice is 50 ms
FOR_EVER = 1e9


def pace_on(machine, most):
    """Return the pace of a training on a machine, as `pace_of_steps` makes it."""
    busy, _ = machine.others(0.0) if machine.others else (0, 0)
    first = max(1, min(int(0.001 / machine.work), 1000))
    crowded = most + busy > machine.processors
    return Pace(first, most, long=machine.work >= 0.01, is_crowded=lambda: crowded)


def run(machine, pace, seconds):
    """Run slices for so long; return the steps that were made."""
    end, done = machine.now + seconds, 0
    while machine.now < end:
        steps, threads = pace.next_slice()
        pace.took(steps, threads, machine.slice(steps, threads))
        done += steps
    return done


def loss(machine, most, seconds, after=FIFTY_SLICES):
    """Return what the pace takes after a while, as a multiple of the best constant number."""
    pace = pace_on(machine, most)
    run(machine, pace, after)
    begin = machine.now
    steps = run(machine, pace, seconds)
    times = {n: machine.constant(steps, n, begin) for n in pace.choices}
    return (machine.now - begin) / min(times.values())


# one step of one thread: of a narrow net, of the longest that is short, of a wide one
WORKS = (6e-5, 9e-3, 0.2)
OTHERS = ("none", "one processor", "all processors")
SHAPES = {  # what the work allows, and how many parts it has
    "arithmetic": {},
    "memory": {"memory": 0.7, "lanes": 6.0},
    "85 parts": {"parts": 85},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("cores", "work", "others"), [*product((4, 16, 64, 256), WORKS, OTHERS)])
def test_after_fifty_slices_no_number_of_threads_is_three_per_cent_quicker(
    cores, work, others, shape
):
    taken = {"none": 0, "one processor": 1, "all processors": cores}[others]
    machine = Machine(cores, work, others=bursts(taken, FOR_EVER, FOR_EVER), **SHAPES[shape])
    # one try of a step of one thread may take as long as hundreds on all: count a few of them
    seconds = max(5.0, 60 * work)
    assert loss(machine, cores, seconds) < 1.03


@pytest.mark.parametrize("gain", [1.0, 1.15, 1.3])
@pytest.mark.parametrize(("cores", "work"), [*product((4, 64), WORKS)])
def test_two_threads_on_a_core_are_used_where_they_gain(cores, work, gain):
    # a caller may ask for more threads than there are cores
    machine = Machine(cores, work, siblings=gain)
    assert loss(machine, 2 * cores, max(5.0, 60 * work)) < 1.03


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("cores", [4, 64])
def test_threads_are_given_up_when_processors_are_taken_and_used_again_after(cores, work):
    # the other processes run from second 5 to 10
    machine = Machine(cores, work, others=bursts(cores, FOR_EVER, 5.0, start=5.0))
    pace = pace_on(machine, cores)
    run(machine, pace, 5.0)
    # while they run: within half of what the best number makes, and it is not all threads
    steps = run(machine, pace, 4.0)
    begin = machine.now - 4.0
    best = min(machine.constant(steps, n, begin) for n in pace.choices)
    assert best > 2.0
    run(machine, pace, 6.0)
    # after as long a time again, as if nothing had been
    begin = machine.now
    steps = run(machine, pace, 5.0)
    best = min(machine.constant(steps, n, begin) for n in pace.choices)
    assert best > 5.0 / 1.05


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("cores", [2, 4, 16])
def test_while_another_thread_reads_fewer_run_and_the_quickest_soon(cores, work):
    # which takes a processor for the first ten seconds, so that all threads would wait for it
    machine = Machine(cores, work, others=bursts(1, 10.0, FOR_EVER))
    pace, done = pace_on(machine, cores), 0
    for _ in range(5):
        pace.next_slice()  # a try may have begun
    while machine.now < 10.0:
        steps, threads = pace.next_slice(cores - 1)
        assert threads < cores
        pace.took(steps, threads, machine.slice(steps, threads))
        done += steps
    fewer = [n for n in pace.choices if n < cores]
    machine.now = 0.0
    steps = min(machine.constant(done, n, 0.0) for n in fewer)
    assert 1.1 * steps + 2 * len(fewer) * max(0.05, work) >= 10.0
    run(machine, pace, 5.0)
    assert pace.next_slice()[1] <= cores
