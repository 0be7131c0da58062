"""What reading says: how a file was understood, and what begins that may take long."""

import logging

_log = logging.getLogger("fastbp.read")
_steps = logging.getLogger("fastbp.steps")


def say(name: object, fact: str) -> None:
    """Say how a file was understood, where the file leaves no doubt."""
    _log.info("%s: %s", name, fact)


def warn(name: object, fact: str) -> None:
    """Say what was told from the content of a file, and what settles it if it is wrong."""
    _log.warning("%s: %s", name, fact)


def step(verb: str, name: object, what: str = "") -> None:
    """Say what begins, in the form "unpacking rows.csv.gz, 3.4 MiB": commands show what lasts."""
    _steps.info("%s %s%s", verb, name, what and f", {what}")
