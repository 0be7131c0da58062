"""What reading says: how a file was understood, and what takes longer than half a second."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOGGER = "fastbp.read"
_log = logging.getLogger(LOGGER)
_SOON = 0.5  # seconds


def say(name: object, *facts: str) -> None:
    """Say how a file was understood, where the file leaves no doubt."""
    if facts:
        _log.info("%s: %s", name, ", ".join(facts))


def warn(name: object, *facts: str) -> None:
    """Say what was told from the content of a file, and what settles it if it is wrong."""
    if facts:
        _log.warning("%s: %s", name, "; ".join(facts))


@contextmanager
def told(name: object, what: str) -> Iterator[None]:
    """Say what is done if it is not done within half a second."""
    timer = threading.Timer(_SOON, _log.info, ("%s: %s", name, what))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
