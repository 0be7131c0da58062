"""Numbers as people write them: decimal marks, marks between thousands, units, brackets, clocks."""

import re
from collections.abc import Sequence
from typing import Literal

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

_SPACES = r"[\u00a0\u2007\u2009\u202f]"
_MINUS = r"[\u2212\u2012\u2013\ufe63\uff0d]"
_CODES = (
    "USD EUR GBP JPY CHF CAD AUD NZD CNY RMB INR SEK NOK DKK PLN CZK HUF RUB TRY BRL MXN ZAR KRW "
    "SGD HKD THB ILS TWD IDR MYR PHP"
)
# units that are units even beside numbers without one; others must be with every number
_UNITS = frozenset(
    (
        "% \u2030 \u00b0 \u00b0c \u00b0f kg g mg ug lb oz ton tonne km m cm mm nm ft2 mi "
        "mile ft yd inch km/h kmh mph m/s kn ml cl dl gal h hr hour min minute s sec second ms day "
        "week month year yr kw kwh mwh hz khz mhz ghz kb mb gb tb kib mib gib pa kpa hpa mpa bar "
        "mbar psi kj cal kcal cc px dpi ppm ppb db mol mmol m2 m\u00b2 m3 m\u00b3 ft2 ft\u00b2 km2 "
        f"km\u00b2 ha {_CODES.lower()}"
    ).split()
)
# letters for thousands, millions, ...: units that must not be mixed, and are names beside others
_MULTIPLES = frozenset(("K", "M", "B", "k", "tsd", "bn", "mn", "mio", "mrd", "million", "billion"))
_PREFIX = rf"(?:[A-Z]{{1,3}})?\p{{Sc}}|(?i:{'|'.join(_CODES.split())})|Rs\.?|kr\.?"
_SUFFIX = r"[\p{L}%\u2030\u00b0\p{Sc}][\p{L}%\u00b0/\u00b7.\p{Sc}\u00b2\u00b3]{0,11}[23]?"
# credit and debit, each the other's sign: which is negative, only the bank knows
_SIDES = frozenset(("cr", "dr"))
# what no unit is: 1st, 2nd
_NO_UNITS = ("st", "nd", "rd", "th")
_GROUPED = r"[1-9][0-9]{0,2}(?:MARK[0-9]{2,3})*MARK[0-9]{3}"
# durations as Python and pandas write them begin with days
_CLOCK = (
    r"^(?:(?P<days>-?[0-9]{1,6}) days?,? \+?)?"
    r"(?P<hour>[0-9]{1,4})(?::(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9](?:\.[0-9]+)?))?)?"
    r"\s*(?:(?P<half>[AaPp])\.?[Mm]\.?)?$"
)
CLOCK = "h:min"
# units that change the number where they are absent
NEVER_BARE = ("%", "\u2030", CLOCK)
_NOON = 12


def _digits(decimal):
    """Return the pattern of a number without sign: its thousands have marks of one sort."""
    others = [mark for mark in (",", r"\.", " ", "['\u2019]") if mark.strip("\\") != decimal]
    grouped = "|".join(_GROUPED.replace("MARK", mark) for mark in others)
    point = re.escape(decimal)
    # the dashes of 5,- and 5,-- say that there are no cents
    cents = rf"(?:{point}(?:--?|[0-9]*))?"
    # a mantissa has no marks between thousands
    return rf"(?:(?:{grouped}){cents}|(?:[0-9]+{cents}|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?)"


def _pattern(decimal):
    return (
        rf"^(?P<open>\()?(?P<sign>[+-])?\s*(?P<before>{_PREFIX})?\s*(?P<inner>[+(-])?\s*"
        rf"(?P<digits>{_digits(decimal)})\s*(?P<early>\))?\s*(?P<after>{_SUFFIX})?\s*"
        r"(?P<trail>-)?(?P<close>\))?$"
    )


_PATTERNS = {decimal: _pattern(decimal) for decimal in (".", ",")}
# how accountants write no money
_NO_MONEY = (
    rf"^(?:(?P<before>{_PREFIX})\s*--?|--?\s*(?P<after>\p{{Sc}}|(?i:{'|'.join(_CODES.split())})))$"
)


class NumberText(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the numbers of a column are written.

    `decimal` is the mark before the decimals; spaces, apostrophes and the other of both marks may
    stand between thousands. It is empty where no row told: then plain numbers such as 1.5 are
    read, and others that mean the same whatever it is. `unit` is the unit beside the numbers, such
    as ``%`` or ``kg``, or ``h:min`` for times of day and durations, which are read in seconds.
    """

    decimal: Literal["", ".", ","] = ""
    unit: str = ""

    @property
    def form(self) -> str:
        """The phrase for messages that says which form numbers have: they may have any."""
        return ""

    def parsed(self, series: pl.Series) -> pl.Series:
        """Return the numbers that text stands for, null where there is none, or of another unit."""
        values = self.plain(series)
        if self.unit in NEVER_BARE:
            values = values.set(values.is_not_null(), None)
        if values.null_count() == series.null_count():
            return values
        rest = values.is_null() & series.is_not_null()
        if not self.decimal:
            one, other = (replace(self, decimal=mark).parsed(series.filter(rest)) for mark in ".,")
            found = one.fill_null(other).set((one != other).fill_null(False), None)
            return values.scatter(rest.arg_true(), found)
        found, units = self.parts(series.filter(rest))
        is_bare = units == "" if self.unit not in NEVER_BARE else pl.Series([False])
        found = found.set((units != self.unit) & ~is_bare, None)
        return values.scatter(rest.arg_true(), found)

    def hint(self, series: pl.Series) -> str:
        """Return the option that says what a text is that no row of the training tells of."""
        texts = [] if self.decimal else [replace(self, decimal=mark) for mark in ".,"]
        is_number = any(text.parsed(series).is_not_null().any() for text in texts)
        return "; `decimal` says what its mark stands for" if is_number else ""

    def plain(self, series: pl.Series) -> pl.Series:
        """Return the numbers of text without marks between thousands and units; else null."""
        if self.decimal == ",":
            series = series.set(series.str.contains(".", literal=True), None)
            series = series.str.replace(",", ".", literal=True)
        return series.cast(pl.Float64, strict=False)

    def parts(self, series: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return the numbers and their units, (n,) each: null and empty where there are none."""
        text = series.str.replace_all(_SPACES, " ").str.replace_all(_MINUS, "-").str.strip_chars()
        if not text.str.contains(rf"\d|{_NO_MONEY}").any():
            nothing = pl.repeat(None, len(series), dtype=pl.Float64, eager=True)
            return nothing, pl.repeat("", len(series), eager=True)
        found = text.str.extract_groups(_PATTERNS[self.decimal]).struct.unnest()
        digits = found["digits"].str.replace_all(r"[ '\u2019]|-+$", "")
        if self.decimal == ",":
            digits = digits.str.replace_all(".", "", literal=True)
            digits = digits.str.replace(",", ".", literal=True)
        else:
            digits = digits.str.replace_all(",", "", literal=True)
        values = digits.cast(pl.Float64, strict=False)
        opened, closed = _places_of(found, "("), _places_of(found, ")")
        minuses = _places_of(found, "-") + opened
        values = values.set((opened != closed) | (minuses > 1), None)
        values = (-values).zip_with(minuses == 1, values)
        no_money = text.str.extract_groups(_NO_MONEY).struct.unnest()
        sides = [
            found[side].fill_null(no_money[side]).fill_null("") for side in ("before", "after")
        ]
        values = values.set(text.str.contains(_NO_MONEY).fill_null(False), 0.0)
        units = _canonical(sides[0] + sides[1])
        values = values.set(units.is_in(_NO_UNITS), None)
        seconds = _seconds(text.str.extract_groups(_CLOCK).struct.unnest())
        units = units.set(seconds.is_not_null(), CLOCK)
        values = seconds.zip_with(seconds.is_not_null(), values)
        return values, units.set(values.is_null(), "")


def are_comparable(units: Sequence[str]) -> bool:
    """Return whether a column of these units mixes them: all known, all multiples, or sides."""
    groups = (_MULTIPLES, _SIDES)
    return all(map(is_known_unit, units)) or any(group.issuperset(units) for group in groups)


def is_known_unit(unit: str) -> bool:
    """Return whether a unit is one of money, measures or times, whatever it stands beside."""
    is_money = re.search(r"[$\u00a2-\u00a5\u20a0-\u20c0]", unit) is not None
    return unit == CLOCK or unit in _UNITS or is_money


def is_letter(unit: str) -> bool:
    """Return whether a unit is a letter that says nothing."""
    return len(unit) == 1 and unit.isalpha() and unit not in _MULTIPLES


def _canonical(units):
    """Return units in lower case without plural s and full stop; single letters as they are."""
    low = units.str.to_lowercase().str.strip_chars_end(".")
    low = low.str.replace(r"^(\p{L}+[^s])s$", "$1")
    return low.zip_with(units.str.len_chars() > 1, units)


def _seconds(clocks):
    """Return the seconds of clock times, null where there is none."""
    hours, minutes, seconds = (clocks[n].cast(pl.Float64) for n in ("hour", "minute", "second"))
    half = clocks["half"].str.to_lowercase()
    has_half = half.is_not_null()
    hours = hours.set(has_half & ((hours < 1) | (hours > _NOON)), None)
    hours = hours.set(minutes.is_null() & ~has_half, None)
    twelve = (hours % _NOON) + _NOON * (half == "p").cast(pl.Float64)
    hours = twelve.zip_with(has_half, hours)
    days = clocks["days"].cast(pl.Float64).fill_null(0.0)
    hours += 24 * days
    return hours * 3600 + minutes.fill_null(0.0) * 60 + seconds.fill_null(0.0)


def _places_of(found, mark):
    """Return at how many of its places each number has a sign or a bracket."""
    places = ("open", "sign", "inner", "early", "trail", "close")
    return sum((found[place] == mark).fill_null(False).cast(pl.Int8) for place in places)
