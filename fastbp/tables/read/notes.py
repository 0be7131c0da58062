"""What reading says: how a file was understood, and what begins that may take long."""

import logging
import warnings

_package = logging.getLogger("fastbp")
_log = logging.getLogger("fastbp.read")
_steps = logging.getLogger("fastbp.steps")


def say(name: object, fact: str) -> None:
    """Say how a file was understood, where the file leaves no doubt."""
    _log.info("%s: %s", name, fact)


def warn(name: object, fact: str) -> None:
    """Say what was told from the content of a file, and what settles it if it is wrong."""
    _log.warning("%s: %s", name, fact)


def warn_of_total(name: object, word: str) -> None:
    """Warn of a last row that begins with such a word."""
    warn(name, f"the last row begins with '{word}': leave it out if it adds up the others")


def left_out(message: str) -> None:
    """Warn a caller of Python that something of a table is left out.

    It is a warning of Python, and a record of the log where that goes anywhere: to people who
    have set up neither it is said once.
    """
    warnings.warn(message, stacklevel=4)
    if _package.hasHandlers():
        _package.warning("%s", message)


def step(verb: str, name: object, what: str = "") -> None:
    """Say what begins, in the form "unpacking rows.csv.gz, 3.4 MiB": commands show what lasts."""
    _steps.info("%s %s%s", verb, name, what and f", {what}")
