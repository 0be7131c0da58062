"""Threads that meet inside a parallel region, without leaving it.

The cells of a meeting are 64-bit integers, a cache line apart, all 0 before the region. A task
first looks whether all tasks run at the same time (`all_present`): where a scheduler runs two of
them one after the other, they would wait for each other without end.

Reference: Mellor-Crummey and Scott, Algorithms for scalable synchronization on shared-memory
multiprocessors, ACM TOCS 9(1), 1991, algorithm 7 (the central barrier).
"""

import os

from llvmlite import ir
from numba import types

from ..compiler.jit import inner
from ..tuning import CACHE_LINE, SECONDS_TO_START, SPINS, SPINS_TO_START
from .vector import instruction, llvm_call, target_features

_STEP = CACHE_LINE // 8
_ARRIVED, _TURN, _PRESENT, _DECISION = 0, _STEP, 2 * _STEP, 3 * _STEP
# 64-bit integers of a meeting
CELLS = 4 * _STEP
_TOGETHER, _APART = 1, 2
_i64 = ir.IntType(64)


@instruction
def _add(cell, number):
    """Add a number to a cell in one step; return what it was."""
    return types.int64, lambda b, cell, number: b.atomic_rmw("add", cell, number, "acq_rel")


@instruction
def _read(cell):
    """Return the number of a cell."""
    return types.int64, lambda b, cell: b.load_atomic(cell, "acquire", 8)


@instruction
def _write(cell, number):
    """Set a cell."""

    def emit(builder, cell, number):
        builder.store_atomic(number, cell, "release", 8)

    return types.none, emit


@instruction
def _decide(cell, number):
    """Set a cell that is 0 in one step; return its number then."""

    def emit(builder, cell, number):
        pair = builder.cmpxchg(cell, _i64(0), number, "acq_rel", "acquire")
        return builder.select(
            builder.extract_value(pair, 1), number, builder.extract_value(pair, 0)
        )

    return types.int64, emit


@instruction
def _pause():
    """Tell the processor that this thread waits."""

    def emit(builder):
        if "+sse2" in target_features():
            llvm_call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])

    return types.none, emit


def _posix_call(builder, name, result, *arguments):
    """Emit a call of a function of the C library; return what it returns."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    module = builder.module
    return builder.call(module.globals.get(name) or ir.Function(module, kind, name), arguments)


@instruction
def _give_way():
    """Let the system run another thread on this processor."""

    def emit(builder):
        if os.name == "posix":
            _posix_call(builder, "sched_yield", ir.IntType(32))

    return types.none, emit


@instruction
def _second():
    """Return the second of the clock, 0 where threads do not give way."""

    def emit(builder):
        if os.name == "posix":
            return _posix_call(builder, "time", _i64, _i64.as_pointer()(None))
        return _i64(0)

    return types.int64, emit


@inner
def _wait(spins):
    """Wait a moment, and let others run after some moments; return the moments so far."""
    _pause()
    if spins % SPINS == SPINS - 1:
        _give_way()
    return spins + 1


@inner
def all_present(cells, tasks):
    """Return whether all tasks have come; the same for all of them.

    The last to come decides that, or the first that has waited too long the opposite.
    """
    if tasks == 1:
        return True
    if _add(cells + _PRESENT, 1) == tasks - 1:
        return _decide(cells + _DECISION, _TOGETHER) == _TOGETHER
    spins = seconds = 0
    second = _second()
    while _read(cells + _DECISION) == 0:
        spins = _wait(spins)
        # Beside other processes each time that it gives way may take milliseconds. Seconds that
        # begin are counted, not the time between: this process may be stopped meanwhile.
        if spins % SPINS == 0 and _second() != second:
            second = _second()
            seconds += 1
        if spins == SPINS_TO_START or seconds == SECONDS_TO_START:
            _decide(cells + _DECISION, _APART)
    return _read(cells + _DECISION) == _TOGETHER


@inner
def meet(cells, tasks):
    """Wait for the other tasks; return True to the last, for whom they wait until `leave`."""
    if tasks == 1:
        return True
    turn = _read(cells + _TURN)
    if _add(cells + _ARRIVED, 1) == tasks - 1:
        _write(cells + _ARRIVED, 0)
        return True
    spins = 0
    while _read(cells + _TURN) == turn:
        spins = _wait(spins)
    return False


@inner
def leave(cells, tasks):
    """Let all tasks go on from where they met."""
    if tasks > 1:
        _add(cells + _TURN, 1)
