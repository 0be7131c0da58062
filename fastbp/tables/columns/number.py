"""Columns of numbers: standardized by what is not far out, bent to bounds, and 0 where missing."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
import polars as pl

from ...errors import DataError
from ...json_data import Finite, NotNegative, Positive
from ..wording import ALSO_MISSING, shown
from .column import Candidate, Column, Fit, Offered, Range
from .number_text import CLOCK, NEVER_BARE, NumberText, are_comparable, is_known_unit, is_letter
from .ramps import check_edges, ramp_names, write_ramps
from .scaling import LARGEST, Quartiles, bent
from .values import NONE, Floats, Places, floats, is_text, parsed_text, seconds, unreadable, without

FEWEST_ROWS_OF_AN_ID = 20
# integers looked at to say whether all are distinct; more rows than these cannot be held
_MOST_KEYS = 1_000_000
# larger whole numbers are names: no signed integer of 64 bits holds them
_LARGEST_INTEGER = 2.0**63
_NAME_OF_AN_ID = re.compile(
    r"(?:^|[^A-Za-z])(?i:ids?|idx|index|key|uuid|guid)$|^(?i:id|uuid|guid)[^A-Za-z]"
    r"|[a-z](?:Id|ID|Idx|Index|Key|Uuid|UUID|Guid|GUID)$"
)
# the relative error of a thousand times a number of three decimals, at most
_ROUNDING = 1e-12
# a mark that may stand before decimals or between thousands, of no time of day
_MARKED = r"^[^:]*\d[.,]\d"
# codes may have several widths if this share of them has leading zeros
_CODES_WITH_ZEROS = 0.05
# a number this many scales from the center is said to be an outlier
OUTLYING = 1_000


class NumberFit(Fit):
    """Fits center and scale."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._quartiles = Quartiles()

    def bytes_kept(self, rows):
        """Return what quartiles keep of so many rows."""
        return self._quartiles.bytes_kept(rows)

    def add_values(self, values: Floats) -> None:
        """Add numbers, NaN where missing."""
        self._quartiles.add(values)

    def fields(self, table_name: str) -> dict[str, Any]:
        """Return the `Spread` and the text; DataError if squares of the numbers overflow."""
        spread = self._quartiles.spread(self._range.low, self._range.high)
        if not np.isfinite(spread).all():
            raise DataError(
                f"{table_name}: column {shown(self.name)} holds numbers too large to square: "
                "give it in another unit, or drop it"
            )
        center, scale, bound = spread
        return {"center": center, "scale": scale, "bound": bound, "text": self.text}


class Standardized(Column, frozen=True):
    """The base of columns whose first feature is x = (value - center) / scale, bent; 0 if missing.

    The feature is x / sqrt(1 + (x / bound)^2), so that no value rules the column; see `Spread`.
    Where `bound` is 0, in models of earlier versions, `center` and `scale` are mean and standard
    deviation, and the feature is x clipped to 1e6. If it has `edges`, a ramp between each two
    follows.

    Reference: Holzmueller et al., Better by Default, NeurIPS 2024 (smooth clipping, bound 3).
    """

    center: Finite = msgspec.field(default=0.0, name="mean")
    scale: Positive = 1.0
    bound: NotNegative = 0.0
    edges: tuple[Finite, ...] = ()

    in_text = True
    reports_mistakes = True
    fit = NumberFit
    # what the formula names the number that is scaled
    quantity: ClassVar[str] = "value"
    formula = "{0.scaled}"
    # types that are read though no column of them is of this kind
    also_read: ClassVar[tuple[Any, ...]] = (pl.Null,)

    def __post_init__(self) -> None:
        check_edges(self.name, self.edges)

    @classmethod
    def read(
        cls, series: pl.Series, words: Sequence[str], text: Any = None
    ) -> tuple[Floats, Places]:
        """Read numbers, or times in seconds; see `Column.read`."""
        text = text or cls.texts[0]
        dtype = series.dtype
        bad = NONE
        if is_text(dtype):
            values, bad = parsed_text(series.cast(pl.String), words, text.parsed, ALSO_MISSING)
        elif cls.holds(dtype) or dtype in cls.also_read:
            values = seconds(series) if dtype.is_temporal() else floats(series)
        else:
            raise unreadable(series, cls.plural)
        return without(values, words, text.plain), bad

    def write(self, values, missing, features) -> None:
        """Write the scaled values, and their ramps."""
        with np.errstate(over="ignore"):
            x = values - self.center
            x /= self.scale
        features[:, 0] = bent(x, self.bound) if self.bound else np.clip(x, -LARGEST, LARGEST)
        write_ramps(values, self.edges, features[:, 1 : 1 + self.n_ramps])
        features[missing, : 1 + self.n_ramps] = 0

    @property
    def n_ramps(self) -> int:
        """The number of ramps."""
        return max(0, len(self.edges) - 1)

    @property
    def names(self) -> list[str]:
        """The names of the scaled number and of its ramps."""
        return [self.name, *ramp_names(self.name, self.edges)]

    @property
    def ramps_described(self) -> list[tuple[str, bool]]:
        """How many ramps it has, as `describe` says it."""
        return [(f"{self.n_ramps} ramps", False)] if self.n_ramps else []

    @property
    def scaled(self) -> str:
        """How the first feature is computed, for people who use the network alone."""
        x = f"({self.quantity} - {self.center!r}) / {self.scale!r}"
        return f"x / sqrt(1 + (x / {self.bound!r})**2), x = {x}" if self.bound else x


@dataclass
class _NumberCandidate(Candidate):
    """Also gathers the units, the extremes, and whether the numbers are whole, ids or codes.

    `is_plain` is True while no number has marks between thousands or a unit; `low` and `high` are
    the least and the largest number, and their rows.
    """

    is_whole: bool = True
    is_plain: bool = True

    def __post_init__(self):
        self.low, self.high = (np.inf, 0), (-np.inf, 0)
        self.units: dict[str, tuple[str, int]] = {}
        self._steps = _Steps(self.name, self.dtype)
        self._rows_of: Counter[str] = Counter()  # by unit
        self._marked: tuple[str, int] | None = None
        self._codes = _Codes()

    def add(self, offered):
        if not is_text(self.dtype):
            self._add_values(self.kind.read(offered.series, self.words)[0], offered)
            return
        text = offered.series.str.strip_chars()
        plain, bad = parsed_text(text, self.words, self.text.plain, ALSO_MISSING)
        self._note_bare(offered, plain)
        values, units = self.text.parts(text.gather(bad))
        plain[bad] = floats(values)
        self._add_units(offered, bad[~np.isnan(plain[bad])], units.filter(values.is_not_null()))
        is_marked = self.text.decimal == "," and text.str.contains(",", literal=True).any()
        self.is_plain = self.is_plain and not len(bad) and not is_marked
        self.refuse(offered, bad[np.isnan(plain[bad])])
        if self._marked is None:
            marked = np.flatnonzero(text.str.contains(_MARKED).fill_null(False))
            self._marked = offered.first_of(marked) if len(marked) else None
        self._add_values(plain, offered)

    def add_plain(self, kind, values, offered):
        if kind is not self.kind:
            super().add_plain(kind, values, offered)
        elif self.text.decimal == ",":
            self._add_if_grouped(values, offered)
        else:
            self._note_bare(offered, values)
            self._add_values(values, offered)

    def _add_if_grouped(self, values, offered):
        """Add plain numbers, which must be integers, or be written like 1.234, to be read so."""
        if self.count:
            return
        known = values[~np.isnan(values)]
        if (known == np.floor(known)).all() and not _has_points(offered.frame):
            self._add_values(values, offered)
            return
        thousands = 1000 * values[np.isfinite(values)]
        is_other = ~np.isnan(values)
        is_other[np.isfinite(values)] = np.abs(thousands - np.rint(thousands)) > _ROUNDING * np.abs(
            thousands
        )
        if is_other.any():
            self.refuse(offered, np.flatnonzero(is_other))
        else:
            self.add(Offered(offered.frame, offered.first, distinct=True))

    def _add_values(self, values, offered):
        """Add numbers, text or not."""
        places = np.flatnonzero(~np.isnan(values))
        self.good += offered.rows_of(places)
        if not len(places):
            return
        low, high = float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
        if self.infinite is None and np.isinf([low, high]).any():
            place = int(np.argmax(np.isinf(values)))
            self.infinite = f"{values[place]} in row {offered.row(place):,}"
        if low < self.low[0]:
            self.low = (low, offered.row(int(np.argmax(values == low))))
        if high > self.high[0]:
            self.high = (high, offered.row(int(np.argmax(values == high))))
        if self.is_whole:
            there = values if len(places) == len(values) else values[places]
            self.is_whole = bool((np.isfinite(there) & (there == np.floor(there))).all())
        if self.is_whole:
            self._codes.add(offered, values)
            self._steps.add(offered.series, values, offered.is_distinct)

    def _note_bare(self, offered, values):
        """Keep the first number without a unit."""
        known = np.flatnonzero(~np.isnan(values))
        if len(known) and "" not in self.units and is_text(self.dtype):
            self.units[""] = offered.first_of(known)

    def _add_units(self, offered, places, units):
        for unit in units.unique():
            its_places = places[(units == unit).to_numpy()]
            self._rows_of[unit] += offered.rows_of(its_places)
            if unit not in self.units:
                self.units[unit] = offered.first_of(its_places)

    @property
    def unit(self):
        """The unit of the numbers, empty if they have none."""
        return next((unit for unit in self.units if unit), "")

    @property
    def fits(self):
        """Whether all values are numbers, and of one unit."""
        named = [unit for unit in self.units if unit]
        if len(named) > 1 and not are_comparable(named):
            return False
        is_known = not named or is_known_unit(named[0])
        # whole numbers with one letter are names, such as 12A
        is_name = "" in self.units or (self.is_whole and is_letter(named[0] if named else ""))
        return super().fits and (is_known or not is_name)

    @property
    def tells(self):
        return self._marked is not None

    @property
    def mistakes(self):
        odd = [unit for unit in self.units if unit and not is_known_unit(unit)]
        if self.count or "" not in self.units or not odd:
            return super().mistakes
        return sum(self._rows_of[unit] for unit in odd), *self.units[odd[0]]

    @property
    def is_code(self):
        return self._codes.are_most(self.good)

    def doubt(self, chosen, why):
        value, row = self._marked or ("", 0)
        return (
            f"the mark of numbers such as {shown(value)} in row {row:,} may stand before decimals "
            f"or between thousands: they were read with {shown(chosen.decimal)} before decimals"
            f"{why}; `decimal` settles it"
        )

    def check(self, where, instead):
        if self.infinite is not None:
            raise DataError(
                f"{where} holds {self.infinite}: expected finite numbers; mend it, or name it "
                "in `missing`"
            )
        named = [unit for unit in self.units if unit]
        if len(named) > 1 or (named and named[0] in NEVER_BARE and "" in self.units):
            mixed = [self.units[unit] for unit in (named if len(named) > 1 else self.units)]
            (one, row), (other, another) = sorted(mixed, key=lambda each: each[1])[:2]
            raise DataError(
                f"{where} mixes units: {shown(one)} in row {row:,} and {shown(other)} in row "
                f"{another:,}; convert them to one, or say {instead}"
            )

    def why_an_id(self, rows):
        return self._steps.why_an_id(rows) if self.is_whole else None

    def fitted_text(self, asked):
        if not is_text(self.dtype):
            return NumberText(unit=CLOCK if self.dtype in (pl.Time, pl.Duration) else "")
        told = self.tells or asked or self.text.decimal == ","
        return NumberText(self.text.decimal if told else "", self.unit)


class _Codes:
    """Counts whole numbers that look like codes: of leading zeros, or above 64 bits."""

    def __init__(self):
        self._zeros = 0
        self._large = 0
        self._widths = Range()

    def add(self, offered, values):
        """Add whole numbers, NaN where missing."""
        dtype = offered.series.dtype
        large = np.flatnonzero(np.abs(values) >= _LARGEST_INTEGER)
        if not is_text(dtype):
            self._large += offered.rows_of(large) if dtype.is_integer() else 0
            return
        if len(large):
            digits = offered.series.gather(large).str.contains(r"^\s*\d{19,}\s*$")
            self._large += offered.rows_of(large[digits.to_numpy()])
        self._zeros += offered.rows_of(offered.leading_zeros)
        self._widths.add(offered.widths[~np.isnan(values)])

    def are_most(self, rows):
        """Return whether so many of `rows` numbers are codes that it is no mistake."""
        are_zeros = self._zeros > 0 and (
            not self._widths.varies or self._zeros >= _CODES_WITH_ZEROS * rows
        )
        return are_zeros or self._large > rows / 2


class _Steps:
    """Whether integers identify rows: each is one more than the last, or no key occurs twice."""

    def __init__(self, name, dtype):
        is_possible = is_text(dtype) or dtype.is_integer()
        self.is_consecutive = is_possible
        self.is_key = is_possible and _NAME_OF_AN_ID.search(name) is not None
        self.first = None
        self.last = None
        self.keys = []
        self.held = 0

    def add(self, series, values, is_distinct):
        """Add a frame of values; distinct ones are in no order, and are none."""
        if is_distinct:
            self.is_consecutive = self.is_key = False
        if (self.is_consecutive or self.is_key) and _has_points(series):
            self.is_consecutive = self.is_key = False
        if self.is_consecutive:
            before = [] if self.last is None else [self.last]
            self.is_consecutive = bool((np.diff(values, prepend=before) == 1).all())
            self.first = values[0] if self.first is None else self.first
            self.last = values[-1]
        if self.is_key and self.held < _MOST_KEYS:
            self.keys.append(series)
            self.held += len(series)

    def why_an_id(self, rows):
        if self.is_consecutive:
            return f"an id: consecutive, {self.first:,.0f} to {self.last:,.0f}"
        if self.is_key and pl.concat(self.keys).n_unique() == self.held:
            seen = "rows" if self.held == rows else f"rows of {rows:,}"
            return f"an id: {self.held:,} distinct values in {self.held:,} {seen}"
        return None


def _has_points(series):
    """Return whether text holds numbers such as 1.0: floats, as in a file that has types."""
    return is_text(series.dtype) and series.cast(pl.String).str.contains(".", literal=True).any()


class Number(Standardized, frozen=True):
    """A column of numbers: one feature; durations and times of day are read as seconds."""

    text: NumberText = NumberText()

    plural = "numbers"
    expected = "a finite number"
    texts = (NumberText("."), NumberText(","))
    candidate = _NumberCandidate
    also_read = (pl.Boolean,)

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Return whether a polars type holds numbers, durations or times of day."""
        return dtype.is_numeric() or dtype in (pl.Duration, pl.Time, pl.Null)

    @property
    def wanted(self) -> str:
        """What messages expect a value to be: a number in the unit of the column."""
        return f"{self.expected} in {self.text.unit}" if self.text.unit else self.expected

    def describe(self, number: Callable[[float], str]) -> list[tuple[str, bool]]:
        """Return center and scale, the unit, and how many ramps it has."""
        unit = [(f"in {self.text.unit}", True)] if self.text.unit else []
        fitted = f"mean {number(self.center)}, deviation {number(self.scale)}"
        return [(fitted, False), *unit, *self.ramps_described]
