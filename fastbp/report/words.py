"""Values for people: thousands separated, three or four significant digits."""

import json
import math
import unicodedata

_DIRECTIONS = {0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_MINUS = "\u2212"
_TIMES = "\u00d7"
_NOTHING = "\u2013"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def whole(value):
    """Return a whole number with its thousands apart: 12,345."""
    return f"{int(value):,}".replace("-", _MINUS)


def amount(value):
    """Return a number of rows, or of their weights, which need not be whole."""
    return whole(value) if float(value).is_integer() else number(value)


def number(value, digits=4):
    """Return a number to `digits` significant digits: 0.1235, 12,350, 1.235 times 10 to a power."""
    if value is None or math.isnan(value):
        return _NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e9:
        decimals = digits - 1 - math.floor(math.log10(abs(value)))
        text = f"{round(value, decimals):,.{max(decimals, 0)}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    else:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa} {_TIMES} 10{str(int(power)).translate(_SUPERSCRIPTS)}"
    return text.replace("-", _MINUS)


def three_digits(value):
    """Return a number to three significant digits."""
    return number(value, 3)


def percent(share):
    """Return a share in percent: 82.1%; what is not 0 or 1 is never rounded to it."""
    if share is None or not math.isfinite(share):
        return number(share)
    for digits in (1, 2, 3, 4):
        text = f"{100 * share:.{digits}f}"
        if share in (0, 1) or float(text) not in (0, 100):
            break
    return f"{text.rstrip('0').rstrip('.')}%".replace("-", _MINUS)


def clean(text, most=60):
    r"""Return text on one line, of at most `most` characters, that any page can show.

    Characters that cannot be seen or that steer how text runs are written as Python writes
    them, such as \n and \u202e; of longer text the end is cut.
    """
    text = str(text)
    shown = "".join(map(_visible, text[:most]))
    return shown[: most - 1] + "…" if len(text) > most or len(shown) > most else shown


def _visible(character):
    code = ord(character)
    kind = unicodedata.category(character)
    # controls, lone surrogates, separators of lines, noncharacters, directions of writing
    if kind in ("Cc", "Cs", "Zl", "Zp") or code & 0xFFFE == 0xFFFE or code in _DIRECTIONS:
        return character.encode("unicode_escape").decode()
    return character


def setting(value):
    """Return the value of an option: words for flags, items side by side."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return whole(value) if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return number(value, 6)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
