"""Classes whose names are words that mean a missing value, and options that cannot be honoured."""

import numpy as np
import polars as pl
import pytest

from command_line import fastbp
from fastbp import TableModel, train
from fastbp.errors import DataError

FAST = {"preset": "fast", "epochs": 1, "hidden": 4, "seed": 0}
RNG = np.random.default_rng(0)


def frame_of(*labels, rows=90):
    """Return a frame of a number and of labels in turn."""
    return pl.DataFrame(
        {"x": RNG.random(rows), "y": [labels[n % len(labels)] for n in range(rows)]}
    )


@pytest.mark.parametrize("word", ["-", "NA", "None", "?", "null"])
def test_a_class_that_counts_as_missing_is_named_where_one_class_is_left(word):
    with pytest.raises(DataError, match=r"one class only, \'yes\'") as caught:
        train(frame_of("yes", word), "y", **FAST)
    assert f"45 rows with {word!r} are left out" in str(caught.value)
    assert "`missing`" in str(caught.value)
    model = train(frame_of("yes", word), "y", missing=(), **FAST)
    assert set(model.schema.target.classes) == {"yes", word}
    assert sum(model.schema.target.counts) == 72


def test_a_class_that_counts_as_missing_is_told(caplog):
    model = train(frame_of("EU", "NA", "APAC"), "y", **FAST)
    assert model.schema.target.classes == ("APAC", "EU")
    assert "30 rows with 'NA' are left out, for it counts as missing" in caplog.text


def test_a_target_that_is_a_missing_word_everywhere_says_so():
    with pytest.raises(DataError, match=r"missing in all rows.*90 rows with 'NA' are left out"):
        train(frame_of("NA"), "y", **FAST)


def test_empty_text_and_missing_numbers_are_no_words(caplog):
    train(frame_of("a", "b", "", None), "y", **FAST)
    train(frame_of(0.5, 1.5, None), "y", **FAST)
    assert "counts as missing" not in caplog.text


def test_a_number_of_the_target_that_is_a_missing_word_is_missing(caplog):
    model = train(frame_of("0.5", "1.5", "NA", "3.5"), "y", **FAST)
    assert model.schema.target.task == "regression"
    assert "'NA'" not in caplog.text


@pytest.mark.parametrize("word", ["unknown", "na", ".", "n.a.", "x"])
def test_words_beside_whole_numbers_are_classes_where_the_task_says_so(word):
    model = train(frame_of("1", "2", word), "y", task="classification", **FAST)
    assert set(model.schema.target.classes) == {"1", "2", word}


@pytest.mark.parametrize(
    "words, classes",
    [
        ([], ("APAC", "EU")),
        (["EU"], None),
        ([""], ("APAC", "EU", "NA")),
        (["", "EU"], ("APAC", "NA")),
    ],
)
def test_the_command_takes_words_beside_the_usual_ones_or_in_their_place(tmp_path, words, classes):
    frame_of("EU", "NA", "APAC").write_csv(tmp_path / "t.csv")
    options = [part for word in words for part in ("--missing", word)]
    done = fastbp(
        *("train", tmp_path / "t.csv", "--target", "y", "--preset", "fast", "--epochs", 1),
        *(*options, "-o", tmp_path / "m.fb"),
    )
    if classes is None:
        assert done.code == 3 and "one class only, 'APAC'" in done.complaint
        return
    assert done.code == 0, done.err
    assert TableModel.load(tmp_path / "m.fb").schema.target.classes == classes


@pytest.mark.parametrize("option", ["numeric", "categorical"])
@pytest.mark.parametrize(
    "values, dtype", [([[1, 2]], "List"), ([{"a": 1}], "Struct"), ([b"ab"], "Binary")]
)
def test_a_kind_that_a_column_cannot_have_is_refused(option, values, dtype):
    frame = frame_of("a", "b").with_columns(pl.Series("odd", values * 90))
    with pytest.raises(DataError, match=f"column 'odd' holds {dtype}.*it cannot be read as"):
        train(frame, "y", **{option: ["odd"]}, **FAST)
    with pytest.warns(UserWarning, match="column 'odd' is left out"):
        train(frame, "y", **FAST)


def test_formats_of_dates_may_be_a_dict():
    rows = [f"{n % 12 + 1:02}/{n % 11 + 1:02}/2020" for n in range(90)]
    frame = frame_of("a", "b").with_columns(pl.Series("day", rows), pl.Series("d=e", rows))
    formats = {"day": "%m/%d/%Y", "d=e": "%d/%m/%Y"}
    by_dict = train(frame, "y", date_format=formats, **FAST)
    by_text = train(frame, "y", date_format=["day=%m/%d/%Y", "d=e=%d/%m/%Y"], **FAST)
    for model in (by_dict, by_text):
        assert [c.text.pattern for c in model.schema.columns[1:]] == ["%m/%d/%Y", "%d/%m/%Y"]
    assert by_dict.record["options"]["date_format"] == by_text.record["options"]["date_format"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"date_format": "foo"}, "date_format='foo': expected a format such as"),
        ({"date_format": {"x": "foo"}}, "date_format='x=foo': expected a format such as"),
        ({"date_format": {"x": None}}, "date_format='x=None': expected a format such as"),
        ({"missing": {"x": "a"}}, "missing={'x': 'a'}: expected text, or a sequence of it"),
        ({"drop": {"x": 1}}, "drop={'x': 1}: expected text, or a sequence of it"),
        ({"categorical": {"x": 1}}, "categorical={'x': 1}: expected text"),
    ],
)
def test_a_dict_or_a_word_that_would_mean_nothing_is_refused(options, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        train(frame_of("a", "b"), "y", **options, **FAST)
    assert message in str(caught.value)
