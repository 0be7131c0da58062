"""Signals while a kernel compiles: they wait for the end, Ctrl-C but for once."""

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


class Ends(BaseException):
    """What a handler raises."""


@pytest.mark.parametrize("name", ["TERM", "ALRM", "HUP", "USR1"])
def test_other_signals_wait_and_are_handled_once(name):
    number = getattr(signal, f"SIG{name}", None)
    if number is None:
        pytest.skip("this system has no such signal")
    handled, reached = [], []

    def handler(*given):
        handled.append(given[0])
        raise Ends

    before = signal.signal(number, handler)
    try:
        with pytest.raises(Ends), uninterrupted():
            with uninterrupted():
                signal.raise_signal(number)
                signal.raise_signal(number)
            reached.append(len(handled))
        assert (handled, reached) == ([number], [0])
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)


def test_what_is_ignored_or_not_handled_in_python_stays_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with uninterrupted():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
