"""Options declared once, as fields of a dataclass that its docstring describes.

The command line, files of options, ``--help``, a function's signature and documentation, and
the checks are made from such a dataclass. Nothing here imports NumPy: ``--help`` is quick.
"""

import inspect
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, field, fields
from difflib import get_close_matches
from functools import cache
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar

from ..quoted import quoted

Function = TypeVar("Function", bound=Callable[..., Any])

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SEPARATORS = {"tab": "\t", r"\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "bar": "|"}
_FEW = 4  # names that a message lists without a suggestion
_DECIMAL = re.compile(r"[-+]?\d+,\d+")
_QUANTITY = r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z]*)\s*"


class Kind(NamedTuple):
    """The values of an option.

    ``check(name, value)`` returns the value as it is kept, or raises ValueError or TypeError with
    a message that begins with ``name=value: ``. ``read(text)`` returns the value to check, or
    raises ValueError with what is expected.
    """

    metavar: str  # the placeholder of the value in --help; empty for a flag
    read: Callable[[str], Any]
    check: Callable[[str, Any], Any]
    several: bool = False  # it may be repeated; `check` takes one value, or all at once
    limits: str = ""  # the bounds of a number, or how it is written, for --help
    empty: bool = False  # whether an empty text is a value, where others mean that none is given

    def parse(self, text):
        """Return the checked value of a text; ValueError with what is expected."""
        value = self.read(text)
        try:
            checked = self.check("", value)
        except (TypeError, ValueError) as error:
            raise ValueError(str(error).removeprefix(f"={quoted(value)}: ")) from None
        return value if self.several else checked


def text(metavar, wanted="text", empty=False):
    """Return the kind of a text; an empty one only if `empty`."""

    def check(name, value):
        if not isinstance(value, str) or not (value or empty):
            raise TypeError(f"{name}={quoted(value)}: expected {wanted}")
        return value

    return Kind(metavar, str, check)


def texts(metavar):
    """Return the kind of a sequence of texts; one text is a sequence of one."""

    def check(name, value):
        values = (value,) if isinstance(value, str) else value
        if not isinstance(values, Iterable) or isinstance(values, Mapping):
            raise TypeError(f"{name}={quoted(value)}: expected text, or a sequence of it")
        values = tuple(values)
        for each in values:
            if not isinstance(each, str):
                raise TypeError(f"{name}={quoted(each)}: expected text")
        return values

    return Kind(metavar, str, check, several=True)


def words(metavar):
    """Return the kind of a sequence of words; a text of several is taken for a mistake."""
    several = texts(metavar)

    def check(name, value):
        # a comma within a number is one of decimals
        if isinstance(value, str) and "," in value and not _DECIMAL.fullmatch(value):
            raise ValueError(f"{name}={quoted(value)}: expected one word; give several one by one")
        return several.check(name, value)

    return Kind(metavar, str, check, several=True)


def columns(metavar):
    """Return the kind of the name of a column, or of a sequence of several."""
    wanted = "the name of a column"

    def check(name, value):
        values = (value,) if isinstance(value, str) else value
        if not isinstance(values, list | tuple) or not values:
            raise TypeError(f"{name}={quoted(value)}: expected {wanted}, or of several")
        for each in values:
            if not isinstance(each, str) or not each:
                raise TypeError(f"{name}={quoted(each)}: expected {wanted}")
        if len(set(values)) < len(values):
            twice = next(each for each in values if list(values).count(each) > 1)
            raise ValueError(f"{name}={quoted(twice)}: it is named twice")
        return values[0] if len(values) == 1 else tuple(values)

    return Kind(metavar, str, check, several=True)


def choice(*names, known=None, metavar=""):
    """Return the kind of one of a few names, or of those that `known()` returns."""

    def check(name, value):
        choices = names or tuple(known())
        if isinstance(value, str) and value in choices:
            return value
        near = get_close_matches(value, choices, 1) if isinstance(value, str) else []
        hint = f"did you mean {quoted(near[0])}? " if near and len(choices) > _FEW else ""
        raise ValueError(f"{name}={quoted(value)}: {hint}expected one of {', '.join(choices)}")

    return Kind(metavar or "|".join(names), str, check)


def number(*, whole=False, least=-math.inf, above=-math.inf, below=math.inf):
    """Return the kind of a finite number: ``least <= x < below`` and ``x > above``."""
    bounds = {"at least": least, "greater than": above, "less than": below}
    limits = " and ".join(f"{words} {_exact(b)}" for words, b in bounds.items() if math.isfinite(b))
    of = "of " * limits.startswith("at least")
    wanted = f"a {'whole ' if whole else ''}number {of}{limits}".strip()
    convert: Any = int if whole else float
    accepted = Integral if whole else Real

    def read(text):
        try:
            return convert(text)
        except ValueError:  # refused by `check`
            return text

    def check(name, value):
        wrong = f"{name}={quoted(value)}: expected {wanted}"
        if isinstance(value, bool) or not isinstance(value, accepted):
            raise TypeError(wrong)
        try:
            value = convert(value)
        except OverflowError:  # an integer too large for a float
            raise ValueError(wrong) from None
        if not (above < value < below and least <= value):
            raise ValueError(wrong)
        return value

    return Kind("N" if whole else "X", read, check, limits=limits)


def duration(such="30s, 5m or 1.5h", **bounds):
    """Return the kind of a number of seconds, in text such as 20us, 30s, 5m, 1.5h or 90."""

    def read(text):
        return _quantity(text, _SECONDS, f"a duration such as {such}")

    return Kind("TIME", read, number(**bounds).check, limits=f"such as {such}")


def size(such="2GB or 512MiB"):
    """Return the kind of a number of bytes, in text such as 2GB, 512MiB or 1000000."""

    def read(text):
        return int(_quantity(text, _BYTES, f"a size such as {such}"))

    return Kind("SIZE", read, number(whole=True, least=1).check, limits=f"such as {such}")


def threads():
    """Return the kind of "auto" or a number of threads."""
    count = number(whole=True, least=1)

    def check(name, value):
        if value == "auto":
            return value
        if isinstance(value, str):
            raise ValueError(
                f'{name}={quoted(value)}: expected "auto" or a whole number of at least 1'
            )
        return count.check(name, value)

    return Kind("auto|N", lambda text: int(text) if text.isdecimal() else text, check)


def layers():
    """Return the kind of the units of hidden layers: one number, several, or none."""
    return counts("units such as 100 or 128,64")


def counts(wanted):
    """Return the kind of whole numbers of at least 1: one, several, or none."""
    units = number(whole=True, least=1)

    def read(text):
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        if not all(part.isdecimal() and int(part) for part in parts):
            raise ValueError(f"expected {wanted}")
        return tuple(map(int, parts))

    def check(name, value):
        values = value if isinstance(value, Iterable) else (value,)
        return tuple(units.check(name, n) for n in values)

    return Kind("N,N,...", read, check, empty=True)


def weights(word, of):
    """Return the kind of a word, or of a weight for each name: a dict, or text such as a=10,b=1.

    Names are those of classes: True is "true", and 1.0 is "1". Text may be a JSON object, where
    names hold commas.
    """
    weight = number(least=0)
    wanted = f"{word}, or weights such as yes=10,no=1"

    def read(text):
        if text.lstrip().startswith("{"):
            try:
                return json.loads(text)
            except ValueError:
                raise ValueError(f"expected {wanted}, or a JSON object of them") from None
        if "=" not in text:
            return text
        pairs = [part.rpartition("=") for part in text.split(",")]
        return {name.strip(): weight.read(value.strip()) for name, _, value in pairs}

    def check(name, value):
        if value == word:
            return value
        if not isinstance(value, Mapping) or not value:
            kind = ValueError if isinstance(value, str | Mapping) else TypeError
            raise kind(f"{name}={quoted(value)}: expected {wanted}")
        found = {}
        for each, given in value.items():
            named = _class_name(each)
            if named in found or not named:
                fault = f"{quoted(each)} is there twice" if named else "a class has no name"
                raise ValueError(f"{name}={quoted(value)}: {fault}")
            try:
                found[named] = weight.check(f"{name}[{quoted(each)}]", given)
            except TypeError as error:
                raise TypeError(f"{name}={quoted(value)}: {error}") from None
            except ValueError as error:
                raise ValueError(f"{name}={quoted(value)}: {error}") from None
        if not any(found.values()):
            raise ValueError(f"{name}={quoted(value)}: all weights are 0")
        return found

    return Kind(f"{word}|{of}=X,...", read, check)


def _class_name(value):
    """Return the name of a class as tables have it, of text, a number or a boolean."""
    if isinstance(value, Real) and not isinstance(value, Integral) and float(value).is_integer():
        value = int(float(value))
    is_flag = isinstance(value, bool) or type(value).__name__.startswith("bool")
    return str(value).lower() if is_flag else str(value)


def flag():
    """Return the kind of a switch, which has no value on the command line."""

    def check(name, value):
        if not isinstance(value, bool):
            raise TypeError(f"{name}={quoted(value)}: expected True or False")
        return value

    return Kind("", bool, check)


def separator():
    """Return the kind of a character between fields; words and escapes name some."""

    def check(name, value):
        found = _SEPARATORS.get(value, value) if isinstance(value, str) else value
        if not isinstance(found, str) or len(found) != 1 or found.isalnum() or found in '"\r\n':
            raise ValueError(
                f"{name}={quoted(value)}: expected one character, such as , ; | or tab or space"
            )
        return found

    return Kind("CHAR", str, check)


def encoding():
    """Return the kind of the name of an encoding of text that Python knows."""

    def check(name, value):
        try:
            "a".encode(value)  # which refuses codecs of Python that are for no text
        except (LookupError, TypeError, ValueError):
            raise ValueError(
                f"{name}={quoted(value)}: expected an encoding such as utf-8, cp1252 or utf-16"
            ) from None
        return value

    return Kind("NAME", str, check)


def _quantity(text, units, wanted):
    match = re.fullmatch(_QUANTITY, text)
    value = float(match[1]) * units.get(match[2].lower(), math.nan) if match else math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected {wanted}")
    return value


def _exact(bound):
    """Return a bound as text, a large one as a power of 2."""
    return f"2**{math.log2(bound):.0f}" if bound >= 2**32 else f"{bound}"


def option(kind, default=MISSING, *, panel, names=(), adds=False) -> Any:
    """Return the field of a `Declared` dataclass; with a default of None, None passes the check.

    `panel` is the heading in ``--help``, `names` those on the command line, by default the
    field's with dashes. If `adds`, values on the command line are added to the default.
    """
    metadata = {"kind": kind, "panel": panel, "names": names, "adds": adds}
    return field(default=default, metadata=metadata)


class Declared:
    """The base of frozen dataclasses whose fields are made by `option`: it checks them."""

    def __post_init__(self):
        for each in fields(self):  # type: ignore[arg-type]  # of a dataclass
            value = getattr(self, each.name)
            if value is not None or each.default is not None:
                checked = each.metadata["kind"].check(each.name, value)
                object.__setattr__(self, each.name, checked)


def names_of(each):
    """Return the names of a field on the command line."""
    return tuple(each.metadata["names"]) or (f"--{each.name.replace('_', '-')}",)


def _entries(cls):
    """Return the lines on each parameter in the docstrings of a dataclass and its bases."""
    found: dict[str, list[str]] = {}
    for each in reversed(cls.__mro__):
        section = inspect.cleandoc(each.__doc__ or "").partition("Parameters\n----------\n")[2]
        name = ""
        for line in section.partition("\n\n")[0].splitlines():
            if not line.startswith(" "):
                name = line.partition(" : ")[0]
                found[name] = []
            found[name].append(line)
    return found


@cache
def descriptions(cls):
    """Return the description of each field of a dataclass, from its docstring."""
    return {name: " ".join(map(str.strip, lines)) for name, (_, *lines) in _entries(cls).items()}


def takes(cls: type, without: Collection[str] = ()) -> Callable[[Function], Function]:
    """Decorate a function of ``**options``: name a dataclass's in its signature and docstring.

    Those `without` are not named. Of a class, the signature is that of its constructor.
    """

    def decorate(function: Any) -> Any:
        called: Any = function.__init__ if inspect.isclass(function) else function
        signature = inspect.signature(called)
        own = {p.name: p for p in signature.parameters.values() if p.kind != p.VAR_KEYWORD}
        more = [
            inspect.Parameter(
                f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type
            )
            for f in sorted(fields(cls), key=lambda each: bool(each.kw_only))
            if f.name not in {*own, *without}
        ]
        called.__signature__ = signature.replace(parameters=[*own.values(), *more])
        named = {parameter.name for parameter in more}
        entries = ("\n".join(lines) for name, lines in _entries(cls).items() if name in named)
        text = "\n".join(entries)
        described = inspect.cleandoc(function.__doc__ or "")
        place = re.compile(r"^\*\*options(?:\n {4}.*)+", re.MULTILINE)
        function.__doc__ = place.sub(lambda _: text, described)
        return function

    return decorate
