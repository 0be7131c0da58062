"""The scores in the report are those of scikit-learn."""

import re

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix

from fastbp import ModelFileError
from fastbp.report.build import build_report
from report_models import DASH, Page, classifier, many, regressor, text_of


@pytest.fixture(scope="module")
def wine():
    """Return a model of wines, the labels and the predictions."""
    return classifier()


def test_the_confusion_matrix_is_scikit_learns(wine):
    model, labels, predicted = wine
    page = Page(model)
    head, names, *rows = page.table("confusion")
    assert head == ["actual", "predicted", "rows"]
    assert names == [row[0] for row in rows] == ["barolo", "grignolino", "barbera"]
    expected = confusion_matrix(labels, predicted)
    assert [[int(cell) for cell in row[1:-1]] for row in rows] == expected.tolist()
    assert [int(row[-1]) for row in rows] == np.bincount(labels).tolist()
    cells = page.one("table[@aria-labelledby='confusion']/tbody").iter("td")
    shades = [c.get("style") for c in cells if c.get("style")]
    shares = [float(re.fullmatch(r"--share: ([\d.]+)", shade).group(1)) for shade in shades]
    expected = confusion_matrix(labels, predicted, normalize="true").ravel()
    np.testing.assert_allclose(shares, expected, atol=5e-4)


def numbers(row):
    """Return the cells behind the first as numbers, a dash as 0."""
    return [0.0 if cell == DASH else float(cell) for cell in row[1:]]


@pytest.mark.parametrize("make", [classifier, many], ids=lambda make: make.__name__)
def test_the_scores_of_classes_are_scikit_learns(make):
    model, labels, predicted = make()
    names = model.schema.target.classes
    there = np.union1d(labels, predicted)
    expected = classification_report(
        labels,
        predicted,
        labels=there,
        target_names=[names[n] for n in there],
        output_dict=True,
        zero_division=0,
    )
    rows = {row[0]: numbers(row) for row in Page(model).table("classes")[1:]}
    assert len(rows) == min(len(names), 20) + 2
    pairs = {"mean of classes": "macro avg", "weighted by rows": "weighted avg"}
    for name, row in rows.items():
        np.testing.assert_allclose(
            row, list(expected[pairs.get(name, name)].values()), atol=5.01e-4
        )


def test_a_class_that_is_never_predicted_has_no_precision():
    model, *_ = classifier()
    model.record["confusion"] = [[5, 1, 0], [2, 7, 0], [1, 1, 0]]
    rows = Page(model).table("classes")
    assert rows[3] == ["barbera", DASH, "0.000", "0.000", "2"]


def test_the_headline_is_set_beside_a_trivial_classifier(wine):
    model, labels, predicted = wine
    counts = model.schema.target.counts
    train = np.repeat(range(3), counts)
    trivial = DummyClassifier(strategy="most_frequent").fit(train[:, None], train)
    verdict = text_of(Page(model).one("p[@class='verdict']"))
    accuracy, share = map(float, re.findall(r"([\d.]+)%", verdict))
    assert accuracy == round(100 * accuracy_score(labels, predicted), 1)
    assert share == round(100 * trivial.score(labels[:, None], labels), 1)
    frequent = model.schema.target.classes[int(np.argmax(counts))]
    assert f"Always answering “{frequent}”" in verdict and "60 validation rows" in verdict


def test_a_classifier_no_better_than_the_trivial_one_is_called_so():
    model, *_ = classifier()
    model.record["confusion"] = [[0, 20, 0], [0, 30, 0], [0, 10, 0]]
    model.record["metrics"] = {"valid": {"accuracy": 0.5}}
    assert "no better than always answering “grignolino”" in Page(model).text


def test_many_classes_are_shown_as_the_most_frequent_and_the_sum_of_others():
    model, labels, predicted = many()
    page = Page(model)
    _, names, *rows = page.table("confusion")
    counts = np.bincount(labels, minlength=60)
    kept = sorted(np.argsort(-counts, kind="stable")[:20])
    assert names == [*(f"class {n:02}" for n in kept), "40 others"]
    place = {n: i for i, n in enumerate(kept)}
    expected = np.zeros((21, 21), int)
    for actual, guess in zip(labels, predicted, strict=True):
        expected[place.get(actual, 20), place.get(guess, 20)] += 1
    assert [[int(cell) for cell in row[1:-1]] for row in rows] == expected.tolist()
    others = ~np.isin(labels, kept)
    right = int((labels == predicted)[others].sum())
    assert f"40 other classes are put together, and {right} of the rows" in page.text
    balance = page.table("balance")[1:]
    assert len(balance) == 21
    assert [int(row[1]) for row in balance] == [*counts[kept], others.sum()]


def test_the_most_frequent_confusions_are_named():
    model, *_ = classifier()
    model.record["confusion"] = [[5, 9, 0], [2, 7, 1], [0, 0, 4]]
    words = "barolo taken for grignolino (9), grignolino taken for barolo (2)"
    assert f"Most often confused: {words}, grignolino taken for barbera (1)." in Page(model).text


def test_a_confusion_matrix_of_other_classes_is_refused():
    model, *_ = classifier()
    model.record["confusion"] = [[1, 2], [3, 4]]
    with pytest.raises(ModelFileError, match="3 classes"):
        build_report(model)


def test_the_errors_of_numbers_are_those_of_the_record():
    model, actual, predicted = regressor()
    error = predicted - actual
    text = Page(model).text
    found = re.search(r"errors. mean is (\S+), their standard deviation (\S+);", text).groups()
    values = [float(each.replace("\u2212", "-")) for each in found]
    np.testing.assert_allclose(values, [error.mean(), error.std()], rtol=5e-4)
