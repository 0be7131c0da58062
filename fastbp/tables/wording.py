"""Names, values and messages of other libraries in one line; words for missing values."""

import re
from difflib import get_close_matches

# text that counts as missing once spaces around it are removed; empty text always does
MISSING_WORDS = (
    *("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None"),
    *("?", "-"),
)
# text that counts as missing, in any case, where the other values of a column are numbers or dates
ALSO_MISSING = (
    *(".", "..", "...", "*", "**", "***", "--", "---", "-.-", "_", "\\n", "\u2013", "\u2014"),
    *("na", "n/a", "n.a.", "n.a", "nd", "n/d", "n.d.", "nil", "none", "null", "nan", "void"),
    *("(none)", "(null)", "(missing)", "(blank)", "<null>", "missing", "unknown", "undefined"),
    *("not available", "not applicable", "no data", "#n/a", "#div/0!", "#value!", "#ref!"),
    *("#name?", "#num!", "#null!", "1.#qnan", "-1.#ind", "1.#ind"),
)
_LONGEST_VALUE = 60
_LONGEST_MESSAGE = 200
# where an object is in memory, which differs from run to run
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def shown(value):
    """Return text in quotes, on one line and cut where it is long; other values as they are."""
    text = repr(value[: _LONGEST_VALUE + 1]) if isinstance(value, str) else str(value)
    if len(text) <= _LONGEST_VALUE + 2:
        return text
    return text[:_LONGEST_VALUE] + "..." + ("'" if isinstance(value, str) else "")


def named(text):
    """Return a name as it is if it is unambiguous, else in quotes."""
    is_clear = text.isprintable() and text == text.strip() and not {",", "'", '"'} & {*text}
    return text if is_clear and len(text) <= _LONGEST_VALUE else shown(text)


def listed(values, most=5):
    """Return the first few values, separated by commas, and the number of the others."""
    values = list(values)
    beyond = f" and {len(values) - most:,} more" if len(values) > most else ""
    return ", ".join(map(shown, values[:most])) + beyond


def counted(count, one, many=None):
    """Return "1 epoch", "2,000 epochs"; or "2 categories", where that is given."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def printable(text):
    """Return text with unprintable characters escaped, line ends too."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(message):
    """Return a message of another library on one line, without advice on its own options."""
    text = str(message).split("\n\n")[0]
    text = _ADDRESS.sub("", "".join(c if c.isprintable() else " " for c in text))
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "..."


def unknown(what, name, known, many=None):
    """Return the message for an unknown column or option: the nearest name, and some others."""
    near = get_close_matches(str(name), known, 1)
    hint = f"; did you mean {shown(near[0])}?" if near else "."
    many = many or f"{what}s"
    return f"no {what} {shown(name)}{hint} {many.capitalize()}: {listed(known)}"
