"""Who may touch a network's parameters: one thread trains, others copy between two slices."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ..kernels.support.forks import renew_in_children


class Gate:
    """Keeps threads that copy parameters apart from the one that changes them.

    `in_use` is held during a whole training: there is one set of training buffers. A change of
    parameters is shorter: a slice of steps. Python's locks are not fair, and one who trains would
    take its lock again at once; so whoever copies takes the turn first, and whoever changes looks
    whether it is taken. This costs 0.5 us a slice.
    """

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Make the locks anew, free: in a forked child, who holds them is not there."""
        # a handler of signals may come back to them in the thread that holds them
        self.in_use = threading.RLock()
        self._turn, self._lock = threading.RLock(), threading.RLock()
        self._changing = 0  # the thread that changes parameters

    def change(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function that changes parameters, after those that wait to copy them."""
        self._changing = threading.get_ident()
        try:
            with self.turn():
                return function(*arguments)
        finally:
            self._changing = 0

    def turn(self) -> Any:
        """Return the lock of a change, after those that wait to copy."""
        with self._turn:
            pass
        return self._lock

    def copy(self, function: Callable[[], Any]) -> Any:
        """Call a function that copies parameters, at most one change from now."""
        if self._changing == threading.get_ident():  # a handler of signals, between two lines
            return function()
        with self._turn, self._lock:
            return function()


@contextmanager
def changing_all(gates: Iterable[Gate]) -> Iterator[None]:
    """Change the parameters of several networks within."""
    with ExitStack() as held:
        for gate in gates:
            held.enter_context(gate.turn())
        yield
