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


def test_no_signal_is_lost_whatever_ends_the_compilation():
    handled = []

    def note(number, frame):
        handled.append(number)

    before = signal.signal(signal.SIGTERM, note)
    try:
        with pytest.raises(KeyboardInterrupt), uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
        assert handled == [signal.SIGTERM]
        with pytest.raises(TypeError, match="of the body"), uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            raise TypeError("of the body")
        assert handled == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_while_handlers_are_put_back_is_handled_once(monkeypatch):
    handled, put = [], signal.signal

    def handler(number, frame):
        handled.append(number)

    def puts(number, handler_):
        if number == signal.SIGTERM and handler_ is handler:
            signal.raise_signal(signal.SIGTERM)
        return put(number, handler_)

    before = put(signal.SIGTERM, handler)
    try:
        monkeypatch.setattr(signal, "signal", puts)
        with uninterrupted():
            pass
        assert handled == [signal.SIGTERM]
    finally:
        put(signal.SIGTERM, before)
