"""Charts as coordinates; page.html draws them as SVG in the colours of the page."""

import math
from typing import NamedTuple

from ..tables.wording import counted
from .axes import Axis, linear, logarithmic
from .words import number, percent, whole

_LEFT = 58
_RIGHT = 448
_TOP = 14
_BOTTOM = 210
_MOST_POINTS = 400  # per line, about two per pixel
_MOST_HOVERS = 120
_LOG_FROM = 30  # the ratio of losses from which their axis is logarithmic


class Line(NamedTuple):
    """A curve: its name, the class of its colour, an SVG path and dots (x, y) between gaps."""

    name: str
    style: str
    path: str
    dots: tuple = ()


class Mark(NamedTuple):
    """A vertical line with a word beside it."""

    x: float
    text: str


class Box(NamedTuple):
    """A rectangle with a tooltip."""

    x: float
    y: float
    width: float
    height: float
    title: str


class Chart(NamedTuple):
    """A chart: its description in words, its axes, and the shapes between them."""

    title: str
    description: str
    x: Axis
    y: Axis
    x_label: str
    note: str = ""
    lines: tuple = ()
    marks: tuple = ()
    bars: tuple = ()
    dots: tuple = ()
    hovers: tuple = ()
    diagonal: tuple = ()
    width: int = 460
    height: int = 250
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    bottom: int = _BOTTOM


def curves(title, series, *, best_epoch=None, percents=False, styles=("line-1", "line-2")):
    """Return the chart of quantities over epochs, or None where no number is finite.

    `series` has a list of numbers by name, NaN or None where missing. `best_epoch` counts from 0.
    The style "line-1" is the colour of training, "line-2" that of validation.
    """
    series = {name: [_finite(v) for v in values] for name, values in series.items()}
    known = [value for values in series.values() for value in values if value is not None]
    if not known:
        return None
    count = max(map(len, series.values()))
    x = linear([1, count], _LEFT, _RIGHT, whole_numbers=True, tight=True)
    log = not percents and min(known) > 0 and max(known) > _LOG_FROM * min(known)
    if log:
        y = logarithmic(known, _BOTTOM, _TOP)
    else:
        y = linear(known, _BOTTOM, _TOP, percents=percents)
    show = percent if percents else number
    lines = tuple(
        _line(name, style, values, x, y)
        for style, (name, values) in zip(styles, series.items(), strict=False)
    )
    marks: tuple = ()
    if best_epoch is not None and 0 <= best_epoch < count and count > 1:
        marks = (Mark(x.place(best_epoch + 1), f"best: {whole(best_epoch + 1)}"),)
    description = _describe(title, series, show, count)
    note = "logarithmic scale" if log else ""
    hovers = _hovers(series, show, x, count)
    return Chart(title, description, x, y, "epoch", note, lines, marks, hovers=hovers)


def histogram(title, edges, counts):
    """Return the chart of counts (n,) between edges (n + 1,)."""
    x = linear(edges, _LEFT, _RIGHT, tight=True)
    y = linear([0, max(counts)], _BOTTOM, _TOP, whole_numbers=True)
    bars = []
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        left = x.place(low)
        top = y.place(count)
        words = f"{number(low)} to {number(high)}: {whole(count)}"
        bars.append(Box(left, top, round(x.place(high) - left, 1), round(_BOTTOM - top, 1), words))
    place = max(range(len(counts)), key=lambda n: counts[n])
    description = (
        f"Histogram, {title}: {whole(sum(counts))} values from {number(edges[0])} to "
        f"{number(edges[-1])}, most of them, {whole(counts[place])}, between "
        f"{number(edges[place])} and {number(edges[place + 1])}."
    )
    marks = (Mark(x.place(0), "0"),) if edges[0] < 0 < edges[-1] else ()
    return Chart(title, description, x, y, "error", "up: rows", bars=tuple(bars), marks=marks)


def scatter(title, actual, predicted):
    """Return the chart of predictions against actual values, with the line where both are equal."""
    both = [*actual, *predicted]
    x = linear(both, _LEFT, _RIGHT)
    y = linear(both, _BOTTOM, _TOP)
    dots = tuple((x.place(a), y.place(b)) for a, b in zip(actual, predicted, strict=True))
    description = (
        f"Scatter plot, {title}: {whole(len(dots))} rows; on the diagonal both are equal. "
        f"actual from {number(min(actual))} to {number(max(actual))}, "
        f"predicted from {number(min(predicted))} to {number(max(predicted))}."
    )
    ends = (x.start, y.start, x.stop, y.stop)
    note = f"up: predicted; dashed: both equal; {counted(len(dots), 'row')}"
    return Chart(title, description, x, y, "actual", note, dots=dots, diagonal=ends)


def _finite(value):
    return float(value) if value is not None and math.isfinite(value) else None


def _line(name, style, values, x, y):
    """Return the line of values over epochs from 1; it breaks where they are missing."""
    path = []
    dots = []
    run = []
    for epoch in [*_thinned(values), None]:
        if epoch is not None and values[epoch] is not None:
            run.append((x.place(epoch + 1), y.place(values[epoch])))
            continue
        if len(run) == 1:
            dots += run
        elif run:
            path.append("M" + "L".join(f"{a:g} {b:g}" for a, b in run))
        run = []
    return Line(name, style, "".join(path), tuple(dots))


def _thinned(values):
    """Return the epochs to draw: all, or of each stretch the lowest and the highest value."""
    count = len(values)
    if count <= _MOST_POINTS:
        return range(count)
    stretch = -(-2 * count // _MOST_POINTS)
    kept = {0, count - 1}
    for start in range(0, count, stretch):
        places = range(start, min(start + stretch, count))
        known = [n for n in places if values[n] is not None]
        missing = [n for n in places if values[n] is None]
        kept.update(missing[:1])
        if known:
            kept |= {min(known, key=values.__getitem__), max(known, key=values.__getitem__)}
    return sorted(kept)


def _describe(title, series, show, count):
    parts = []
    for name, values in series.items():
        known = [(v, n) for n, v in enumerate(values) if v is not None]
        if known:
            (low, at_low), (high, at_high) = min(known), max(known)
            parts.append(
                f"{name} from {show(known[0][0])} to {show(known[-1][0])}, lowest {show(low)} at "
                f"epoch {whole(at_low + 1)}, highest {show(high)} at epoch {whole(at_high + 1)}"
            )
    return f"Line chart, {title}, {counted(count, 'epoch')}: {'; '.join(parts)}."


def _hovers(series, show, x, count):
    """Return a strip for each epoch that shows its numbers, unless there are too many."""
    if count > _MOST_HOVERS:
        return ()
    strips = []
    width = round((_RIGHT - _LEFT) / max(count - 1, 1), 1)
    for n in range(count):
        numbers = [
            f"{name} {show(values[n])}" for name, values in series.items() if values[n] is not None
        ]
        left = round(x.place(n + 1) - width / 2, 1)
        words = f"epoch {n + 1}: {', '.join(numbers)}"
        strips.append(Box(left, _TOP, width, _BOTTOM - _TOP, words))
    return tuple(strips)
