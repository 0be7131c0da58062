"""Values in messages: on one line, and cut where they are long."""

import reprlib
from typing import Any

LONGEST = 80
_LONG = 10**30  # integers beyond are told by their digits; Python refuses to print very long ones


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxstring = self.maxother = LONGEST
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 20

    def repr1(self, x, level):
        """Return the repr of a value; reprlib tells types by their names alone."""
        known = type(x).__module__ in ("builtins", "collections", "array")
        return super().repr1(x, level) if known else self.repr_instance(x, level)

    def repr_int(self, x, level):
        """Return an integer, or how many bits it has."""
        return repr(x) if abs(x) < _LONG else f"<int of {x.bit_length():,} bits>"


_SHORT = _Short()


def quoted_path(path: object) -> str:
    """Return the `repr` of a path or name of a file on one line, whole unless it is very long."""
    return shortened(repr(str(path)), 1000)


def quoted(value: Any) -> str:
    """Return the `repr` of a value on one line, of at most `LONGEST` characters.

    What is cut out of a long one becomes dots. Whatever the value, this does not fail.
    """
    return shortened(_SHORT.repr(value), LONGEST)


def shortened(text: object, most: int = 300) -> str:
    """Return text, such as an error's, on one line of at most so many characters."""
    line = " ".join(part.strip() for part in str(text).splitlines())
    return line if len(line) <= most else f"{line[: most - 3]}..."
