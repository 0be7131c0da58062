"""The charts of the report: what is drawn, read back through its axes, and numbers in words."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbp import Network
from fastbp.durations import duration
from fastbp.report.axes import linear, logarithmic
from fastbp.report.build import build_report
from fastbp.report.charts import curves, histogram, scatter
from fastbp.report.words import clean, number, percent, setting, whole
from fastbp.tables.model import TableModel
from fastbp.tables.wording import counted
from report_models import Page, classifier, regressor, text_of

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def value_of(text):
    """Return the number that a tick shows."""
    text = text.replace("\u2212", "-").replace(",", "")
    if text.endswith("%"):
        return float(text[:-1]) / 100
    return float(text)


def reader(ticks, log=False):
    """Return the function from places to numbers that two ticks (place, text) give."""
    (a, low), (b, high) = ticks[0], ticks[-1]
    low, high = value_of(low), value_of(high)
    if log:
        low, high = math.log10(low), math.log10(high)

    def read(places):
        numbers = low + (np.asarray(places) - a) / (b - a) * (high - low)
        return 10**numbers if log else numbers

    return read


def axes_of(svg, log=False):
    """Return the functions from x and from y of a drawn chart to numbers."""
    texts = [(t, text_of(t)) for t in svg.iter("text")]
    left = min(float(line.get("x1")) for line in svg.iter("line"))
    beside = [(float(t.get("y")) - 4, words) for t, words in texts if float(t.get("x")) < left]
    below = [(float(t.get("x")), w) for t, w in texts if t.get("text-anchor") == "middle"]
    below = [tick for tick in below if re.fullmatch(r"[\u2212\d.,]+", tick[1])]
    return reader(below), reader(beside, log)


def points(path):
    """Return the pieces of an SVG path as arrays (n, 2)."""
    pieces = [piece for piece in path.split("M") if piece]
    return [np.array([p.split() for p in piece.split("L")], float) for piece in pieces]


def chart(page, title):
    """Return the drawing below a title."""
    for figure in page.all("figure"):
        if figure.find("figcaption/strong").text == title:
            return figure.find("svg")
    return pytest.fail(f"no chart {title!r}")


@pytest.mark.parametrize("log", [False, True])
def test_curves_are_the_history(log):
    model, *_ = classifier()
    if log:
        model.history["loss"] = [v * 10 ** (-n / 3) for n, v in enumerate(model.history["loss"])]
    svg = chart(Page(model), "Loss")
    read_x, read_y = axes_of(svg, log)
    for kind, name in (("line-1", "loss"), ("line-2", "val_loss")):
        (drawn,) = points(svg.find(f"path[@class='{kind}']").get("d"))
        expected = model.history[name]
        np.testing.assert_allclose(read_x(drawn[:, 0]), np.arange(1, len(expected) + 1), atol=0.01)
        tolerance = {"rtol": 0.02} if log else {"atol": 0.005}
        np.testing.assert_allclose(read_y(drawn[:, 1]), expected, **tolerance)
    mark = svg.find("line[@class='mark']")
    assert read_x(float(mark.get("x1"))) == pytest.approx(model.record["best_epoch"] + 1, abs=0.01)
    # it is drawn before the curves, and its words are above them
    shapes = list(svg)
    assert shapes.index(mark) < min(shapes.index(path) for path in svg.findall("path"))
    (words,) = [text for text in svg.findall("text") if text.text.startswith("best: ")]
    assert float(words.get("y")) < float(mark.get("y1"))
    accuracy = chart(Page(model), "Validation accuracy")
    (drawn,) = points(accuracy.find("path").get("d"))
    shares = axes_of(accuracy)[1](drawn[:, 1])
    np.testing.assert_allclose(shares, model.history["val_accuracy"], atol=0.003)


def test_pointing_at_an_epoch_shows_its_numbers():
    model, *_ = classifier()
    strips = [text_of(title) for title in chart(Page(model), "Loss").iter("title")]
    assert len(strips) == len(model.history["loss"])
    words = strips[2]
    assert words.startswith("epoch 3: training ")
    shown = [float(text) for text in re.findall(r"\d\.\d+", words)]
    expected = [model.history["loss"][2], model.history["val_loss"][2]]
    np.testing.assert_allclose(shown, expected, rtol=5e-4)


def test_the_learning_rate_is_drawn_only_where_it_changes():
    model, *_ = classifier()
    assert chart(Page(model), "Learning rate") is not None
    model.history["learning_rate"] = [0.01] * len(model.history["loss"])
    assert ">Learning rate<" not in build_report(model)


def test_missing_epochs_are_gaps_and_a_lonely_one_is_a_dot():
    values = [4.0, 3.0, None, 2.0, math.nan, 1.0, 0.5]
    line = curves("Loss", {"training": values}).lines[0]
    assert [len(piece) for piece in points(line.path)] == [2, 2]
    assert len(line.dots) == 1


def test_a_single_epoch_is_a_dot():
    drawn = curves("Loss", {"training": [0.5], "validation": [0.25]}, best_epoch=0)
    assert [len(line.dots) for line in drawn.lines] == [1, 1]
    assert [tick.text for tick in drawn.x.ticks] == ["1"]


@pytest.mark.parametrize("values", [[None, None], [math.nan], [math.inf, -math.inf]])
def test_nothing_finite_is_no_chart(values):
    assert curves("Loss", {"training": values}) is None


def test_a_long_training_is_thinned_but_keeps_its_extremes():
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 2, 30_000)
    values[12_345], values[23_456] = 9.0, 0.5
    drawn = curves("Loss", {"training": values.tolist()})
    (kept,) = points(drawn.lines[0].path)
    assert len(kept) <= 410
    read_y = reader([(t.place, t.text) for t in drawn.y.ticks])
    heights = read_y(kept[:, 1])
    assert heights.max() == pytest.approx(9, abs=0.05)
    assert heights.min() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(kept[[0, -1], 0], [drawn.left, drawn.right])
    assert "highest 9 at epoch 12,346" in drawn.description
    model, *_ = classifier()
    model.history = {"loss": values.tolist(), "seconds": [0.1] * len(values)}
    assert len(build_report(model)) < 60_000


def test_a_low_r2_does_not_hide_the_others():
    model, *_ = regressor()
    model.history = {"loss": [4.0, 3.0, 2.0, 1.0], "val_r2": [-500.0, -0.5, 0.25, 0.5]}
    (figure,) = [f for f in Page(model).all("figure") if "R²" in text_of(f.find("figcaption"))]
    assert "where above \u22121" in text_of(figure.find("figcaption"))
    (drawn,) = points(figure.find("svg/path").get("d"))
    heights = axes_of(figure.find("svg"))[1](drawn[:, 1])
    np.testing.assert_allclose(heights, [-0.5, 0.25, 0.5], atol=0.01)


def test_predictions_and_errors_are_drawn_where_they_are():
    model, actual, predicted = regressor()
    page = Page(model)
    svg = chart(page, "Predicted against actual")
    dots = np.array([[float(dot.get("cx")), float(dot.get("cy"))] for dot in svg.iter("circle")])
    read_x, read_y = axes_of(svg)
    np.testing.assert_allclose(read_x(dots[:, 0]), actual, atol=0.3)
    np.testing.assert_allclose(read_y(dots[:, 1]), predicted, atol=0.3)
    ends = svg.find("line[@class='diagonal']")
    assert read_x(float(ends.get("x2"))) == pytest.approx(read_y(float(ends.get("y2"))), abs=0.5)
    svg = chart(page, "Errors, predicted minus actual")
    bars = svg.findall("rect[@class='bar']")
    tops = [float(bar.get("y")) for bar in bars]
    counts, _ = np.histogram(predicted - actual, 12)
    np.testing.assert_allclose(axes_of(svg)[1](tops), counts, atol=0.1)
    assert [text_of(bar).rpartition(": ")[2] for bar in bars] == [str(n) for n in counts]


def test_numbers_that_are_not_finite_are_left_out_of_the_points():
    model, *_ = regressor()
    residuals = model.record["residuals"]
    residuals["predicted"][:2] = [None, math.inf]
    svg = chart(Page(model), "Predicted against actual")
    assert len(list(svg.iter("circle"))) == len(residuals["actual"]) - 2


@given(
    st.one_of(
        st.tuples(st.lists(FINITE, min_size=1, max_size=5), st.just(False)),
        st.tuples(st.lists(st.integers(0, 10**9), min_size=1, max_size=5), st.just(True)),
    ),
    st.booleans(),
)
def test_a_linear_axis_holds_its_values_between_round_ticks(given_values, tight):
    values, whole_numbers = given_values
    axis = linear(values, 0, 100, whole_numbers=whole_numbers, tight=tight)
    assert all(-0.1 <= axis.place(value) <= 100.1 for value in values)
    places = [tick.place for tick in axis.ticks]
    assert 1 <= len(places) <= 12
    assert all(-0.1 <= place <= 100.1 for place in places)
    assert all(a < b for a, b in pairwise(places))


@given(st.floats(1e-300, 1e290), st.floats(1.5, 1e9))
def test_a_logarithmic_axis_holds_its_values_between_round_ticks(low, ratio):
    axis = logarithmic([low, low * ratio], 0, 100)
    assert 0 <= axis.place(low) < axis.place(low * ratio) <= 100
    assert len(axis.ticks) <= 12 and all(0 <= tick.place <= 100 for tick in axis.ticks)


@given(st.lists(st.one_of(FINITE, st.none(), st.just(math.nan)), min_size=1, max_size=6))
def test_any_history_can_be_drawn(values):
    drawn = curves("Loss", {"training": values}, best_epoch=0)
    known = [v for v in values if v is not None and math.isfinite(v)]
    assert (drawn is None) == (not known)
    if known:
        line = drawn.lines[0]
        assert len(line.dots) + sum(map(len, points(line.path))) == len(known)


@given(st.lists(FINITE, min_size=2, max_size=6, unique=True))
def test_any_numbers_can_be_drawn_as_points_and_bars(values):
    drawn = scatter("Points", values, values[::-1])
    assert len(drawn.dots) == len(values)
    edges = sorted(values)
    bars = histogram("Bars", edges, [1] * (len(edges) - 1)).bars
    assert all(bar.width >= 0 and bar.height > 0 for bar in bars)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (0.5, "0.5"),
        (0.123456, "0.1235"),
        (1234.56, "1,235"),
        (1234567, "1,235,000"),
        (-2.5, "\u22122.5"),
        (0.00012, "0.00012"),
        (0.0000123456, "1.235 \u00d7 10⁻⁵"),
        (2e12, "2 \u00d7 10¹²"),
        (math.nan, "\u2013"),
        (None, "\u2013"),
        (math.inf, "∞"),
        (-math.inf, "\u2212∞"),
        (100, "100"),
        (9.99996, "10"),
    ],
)
def test_numbers_in_words(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (85e-6, "85 us"),
        (0.0034, "3.4 ms"),
        (0.25, "250 ms"),
        (1, "1.0 s"),
        (59.94, "59.9 s"),
        (59.99, "1 min 0 s"),
        (245, "4 min 5 s"),
        (7800, "2 h 10 min"),
        (3599.9, "1 h 0 min"),
        (0.9996, "1.0 s"),
        (999.7e-6, "1 ms"),
        (math.nan, "unknown"),
    ],
)
def test_times_in_words(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 1))
def test_only_all_and_nothing_are_100_and_0_percent(share):
    text = percent(share)
    if 1e-6 < share < 1 - 1e-6:
        assert text not in ("0%", "100%")
        assert float(text[:-1]) == pytest.approx(100 * share, abs=0.051)
    assert (percent(0), percent(1), percent(0.25)) == ("0%", "100%", "25%")


def test_counts_and_settings_in_words():
    assert (whole(1234567), whole(-5)) == ("1,234,567", "\u22125")
    assert (counted(1, "row"), counted(1000, "row")) == ("1 row", "1,000 rows")
    assert counted(2, "class", "classes") == "2 classes"
    assert (setting(True), setting(0.001), setting([64, 32])) == ("yes", "0.001", "64, 32")
    assert (setting(2**40), setting(42), setting({"a": 1})) == (
        "1,099,511,627,776",
        "42",
        '{"a": 1}',
    )


@given(st.text(st.characters(), max_size=100), st.integers(2, 80))
def test_any_text_becomes_one_line_that_can_be_written(text, most):
    shown = clean(text, most)
    assert len(shown) <= most and len(shown.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    shown.encode()
    if text.isascii() and text.isprintable() and len(text) <= most:
        assert shown == text


def test_charts_of_a_network_and_of_a_model_need_no_table():
    model = TableModel(Network([2, 2], loss="cross_entropy"), None, {"loss": [2.0, 1.0]})
    assert len(points(chart(Page(model), "Loss").find("path").get("d"))[0]) == 2
