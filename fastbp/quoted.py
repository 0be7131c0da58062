"""Values in messages: on one line, and cut where they are long."""

import re
import reprlib
from typing import Any

LONGEST = 80
_LONG = 10**30  # integers beyond are told by their digits; Python refuses to print very long ones
_LINES = re.compile(r"\s*\n\s*")


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxstring = self.maxother = LONGEST
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 20

    def repr_int(self, x, level):
        """Return an integer, or how many bits it has."""
        return repr(x) if abs(x) < _LONG else f"<int of {x.bit_length():,} bits>"


_SHORT = _Short()


def quoted(value: Any) -> str:
    """Return the `repr` of a value on one line, of at most `LONGEST` characters.

    What is cut out of a long one becomes dots. Whatever the value, this does not fail.
    """
    return shortened(_SHORT.repr(value), LONGEST)


def shortened(text: object, most: int = 300) -> str:
    """Return text, such as an error's, on one line of at most so many characters."""
    line = _LINES.sub(" ", str(text))
    return line if len(line) <= most else f"{line[: most - 3]}..."
