"""Ctrl-C while a kernel compiles: it waits for the end, but for once."""

import signal

import pytest

from fastbp.kernels.compiler.pipeline import uninterrupted


def test_one_waits_and_a_second_does_not():
    before, reached = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        reached.append("one")
    with pytest.raises(KeyboardInterrupt), uninterrupted(), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        reached.append("two")
        signal.raise_signal(signal.SIGINT)
        reached.append("never")
    assert reached == ["one", "two"] and signal.getsignal(signal.SIGINT) is before
    with uninterrupted():
        pass
    assert signal.getsignal(signal.SIGINT) is before
