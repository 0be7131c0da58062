"""The report: a well-formed page of its own whose numbers are those of scikit-learn."""

import re
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from fastbp import ModelFileError, Network
from fastbp.report.build import build_report, write_report
from fastbp.tables.columns.kinds import Boolean, Category, Date, Number
from fastbp.tables.columns.schema import Dropped, Schema, Target
from fastbp.tables.model import TableModel
from fastbp.training.stopped import Stopped
from report_models import DASH, HOSTILE, Page, classifier, lists, many, regressor, text_of

pytest.importorskip("jinja2")
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def wine():
    """Return a model of wines, the labels and the predictions."""
    return classifier(
        dropped=(Dropped("bottle", "an id: 178 distinct values in 178 rows"),), ids=("bottle",)
    )


@pytest.fixture(scope="module")
def wine_page(wine):
    """Return its report."""
    return Page(wine[0])


@pytest.fixture(scope="module")
def bare():
    """Return a network that knows no table and no history."""
    return Network([4, 6, 2], seed=3)


def test_every_part_is_there_in_order_below_one_headline(wine_page):
    headings = [(e.tag, text_of(e)) for e in wine_page.root.iter() if re.fullmatch("h[1-6]", e.tag)]
    assert headings[0] == ("h1", "Predicting grape")
    assert [words for tag, words in headings if tag == "h2"] == [
        "Learning curves",
        "On validation rows",
        "Data",
        "Network",
        "Training",
        "Origin",
    ]
    levels = [int(tag[1]) for tag, _ in headings]
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    parts = {"Confusion matrix", "Each class", "Classes of grape", "Columns", "Columns left out"}
    assert parts <= {words for _, words in headings}
    assert wine_page.html.startswith("<!DOCTYPE html>")
    assert wine_page.root.get("lang") == "en"
    assert wine_page.one("head/title").text == f"Predicting grape {DASH} fastbp report"


def test_a_report_of_numbers_has_errors_where_that_of_classes_has_confusions():
    page = Page(regressor()[0])
    assert not page.all("table[@aria-labelledby='confusion']")
    charts = [text_of(caption) for caption in page.section("results").iter("figcaption")]
    assert charts[0].startswith("Predicted against actual") and charts[1].startswith("Errors")


@pytest.mark.parametrize("make", [classifier, regressor, many], ids=lambda make: make.__name__)
def test_nothing_is_loaded_and_nothing_runs(make):
    page = Page(make()[0])
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & {
        element.tag for element in page.root.iter()
    }
    assert [link.get("href") for link in page.all("link")] == ["data:,"]
    assert "://" not in page.html
    assert not re.search(r"@import|url\(", page.html)
    names = {name for element in page.root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or name == "src"]
    policy = page.one("meta[@http-equiv='Content-Security-Policy']").get("content")
    assert policy.startswith("default-src 'none'") and "script" not in policy


@pytest.mark.parametrize("make", [classifier, regressor], ids=lambda make: make.__name__)
def test_charts_and_tables_can_be_read_aloud(make):
    page = Page(make()[0])
    charts = page.all("svg[@role='img']")
    assert charts and all(re.search(r"\d", chart.get("aria-label")) for chart in charts)
    keys = [svg for svg in page.all("svg") if svg not in charts]
    assert all(svg.get("aria-hidden") == "true" for svg in keys)
    heads = page.all("th")
    assert heads and all(head.get("scope") in ("col", "row", "colgroup") for head in heads)
    labels = {element.get("id") for element in page.root.iter() if element.get("id")}
    referred = {e.get("aria-labelledby") for e in page.root.iter() if e.get("aria-labelledby")}
    assert referred and referred <= labels
    assert all(region.get("tabindex") == "0" for region in page.all("div[@role='region']"))


def test_what_is_not_known_is_left_out_and_no_box_is_empty(wine, bare):
    model = wine[0]
    poor = TableModel(model.network, model.schema)
    assert [e.get("aria-labelledby") for e in Page(poor).all("section")] == [
        "data",
        "network",
        "origin",
    ]
    for each in (poor, model, bare, many()[0]):
        page = Page(each)
        boxes = [e for e in page.root.iter() if e.tag in ("section", "dl", "tbody", "p", "dd")]
        assert boxes and all(text_of(box) for box in boxes)
        assert "None" not in page.text and "nan" not in page.text.lower().split()


def test_the_table_is_described_column_by_column():
    columns = (
        Number("size", True, 1234.6, 10.25),
        Boolean("open", False),
        Category("kind", False, categories=tuple("abcdefgh"), other=True),
        Date("day", False, 86_400 * 365.0, 86_400 * 12.5, clock=True),
    )
    target = Target("y", "classification", "integer", ("3", "12"), (90, 10))
    schema = Schema(columns, target, (Dropped("zip", "constant"),), ("id",), ("NA",))
    network = Network([schema.n_features, 2], loss="cross_entropy")
    page = Page(TableModel(network, schema, {}, {}))
    rows = [[text_of(cell) for cell in row] for row in page.section("data").iter("tr")]
    assert ["size", "number", "2", "mean 1,235, deviation 10.25", "yes"] in rows  # of 4 digits
    assert ["open", "boolean", "1", "", ""] in rows
    assert ["kind", "category", "9", "a b c d e f 2 more all others", ""] in rows
    day = "around 1971-01-01, deviation 12.5 days, with the time of day"
    assert ["day", "date", "7", day, ""] in rows
    assert ["zip", "constant"] in rows
    assert ["3", "90", "90%", ""] in rows and ["12", "10", "10%", ""] in rows
    assert "has 9 times the training rows of the rarest" in page.text
    assert "Kept beside predictions: id" in page.text and "empty fields NA" in page.text


def test_training_is_told_in_words_and_by_epoch(wine, wine_page):
    model = wine[0]
    history, best = model.history, model.record["best_epoch"]
    pairs = dict(
        zip(
            *(
                [text_of(e) for e in wine_page.section("training").iter(tag)]
                for tag in ("dt", "dd")
            ),
            strict=True,
        )
    )
    epochs, seconds = len(history["loss"]), sum(history["seconds"])
    assert pairs["Epochs"] == str(epochs) and pairs["Best epoch"] == str(best + 1)
    assert pairs["Time"] == "2.5 s" and pairs["Ended"] == Stopped(model.record["stopped"]).text
    rate = float(pairs["Samples per second"].replace(",", ""))
    assert rate == pytest.approx(118 * epochs / seconds, rel=5e-3)
    gflops = np.average(history["gflops"], weights=history["seconds"])
    assert float(pairs["Computing"].split()[0]) == pytest.approx(gflops, rel=5e-3)
    share = float(pairs["Share of peak"].split("%")[0])
    assert share == pytest.approx(100 * gflops / 50, abs=0.06)
    assert pairs["hidden"] == "16" and pairs["learning rate"] == "0.01"
    rows = [[text_of(cell) for cell in row] for row in wine_page.section("curves").iter("tr")]
    places = [int(row[0]) - 1 for row in rows[1:]]
    assert {0, best, epochs - 1} <= set(places)
    losses = [float(row[rows[0].index("training loss")]) for row in rows[1:]]
    np.testing.assert_allclose(losses, np.array(history["loss"])[places], rtol=5e-4)


def test_hostile_names_are_shown_and_change_nothing_else():
    names = tuple(sorted(HOSTILE, key=lambda name: name.encode("utf-8", "surrogatepass")))
    columns = [*HOSTILE, *(f"column {n}" for n in range(6))]
    dropped = tuple(Dropped(f"{name} 2", name) for name in HOSTILE)
    ids = tuple(f"{name} 3" for name in HOSTILE)
    bad = classifier(names[:3], columns, target="</title>" + HOSTILE[0], dropped=dropped, ids=ids)[
        0
    ]
    bad.record["data"]["name"] = bad.record["stopped"] = HOSTILE[1]
    bad.record["options"]["<b>"] = HOSTILE[2]
    good = classifier(
        dropped=tuple(Dropped(f"dropped {n}", "constant") for n in range(len(HOSTILE))),
        ids=tuple(f"id {n}" for n in range(len(HOSTILE))),
    )[0]
    good.record["options"]["flag"] = "yes"
    page, twin = Page(bad), Page(good)
    assert [e.tag for e in page.root.iter()] == [e.tag for e in twin.root.iter()]
    assert HOSTILE[0] in page.text and HOSTILE[1] in page.text
    assert r"new\nline\tand\x00nul\u2028" in page.text and r"\u202e" in page.text
    assert r"lone \ud800 surrogate" in page.text and "{{ schema }} {% raw %}" in page.text
    page.html.encode()
    assert len(page.html) < len(twin.html) + 60_000
    inside = {id(e) for kind in ("bdi", "title") for b in page.all(kind) for e in b.iter()}
    shown = [e for e in page.root.iter() if "alert(1)" in (e.text or "") + (e.tail or "")]
    assert shown and all(id(e) in inside for e in shown)


def test_a_network_alone_has_what_there_is(bare, tmp_path):
    page = Page(bare)
    assert [e.get("aria-labelledby") for e in page.all("section")] == ["network", "origin"]
    assert text_of(page.one("h1")) == "Network 4-6-2" and "44 parameters" in page.text
    assert text_of(page.one("pre")) == " ".join(" ".join(bare.summary().splitlines()[:-2]).split())
    bare.save(tmp_path / "net")
    assert build_report(Network.load(tmp_path / "net")) == page.html


def test_a_network_that_was_trained_shows_its_history():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    network = Network([2, 3, 1])
    network.fit(X, y, epochs=5, validation_data=(X, y))
    network.history.peak = 40e9
    page = Page(network)
    twin = TableModel(network, None, lists(network.history))
    drawn = [svg.get("aria-label") for svg in Page(twin).all("svg[@role='img']")]
    assert [svg.get("aria-label") for svg in page.all("svg[@role='img']")] == drawn != []
    tiles = [text_of(tile) for tile in page.one("dl[@class='tiles']")]
    assert any(tile.startswith("validation R²") for tile in tiles)


def test_the_fingerprint_of_a_network_is_of_its_layers_and_weights(bare):
    def printed(network):
        return text_of(Page(network).section("origin").find(".//code"))

    assert re.fullmatch("[0-9a-f]{64}", printed(bare))
    other = Network([4, 6, 2], seed=3)
    assert printed(other) == printed(bare)
    other.weights[0][0, 0] += 1
    assert printed(other) != printed(bare)
    assert printed(Network([4, 6, 2], "tanh", initializer="he_normal", seed=3)) != printed(
        Network([4, 6, 2], "relu", initializer="he_normal", seed=3)
    )


def test_the_same_model_gives_the_same_page(wine, wine_page):
    assert build_report(wine[0]) == wine_page.html


def test_it_is_written_whole_or_not_at_all(wine, wine_page, tmp_path):
    path = tmp_path / "report.html"
    write_report(wine[0], str(path))
    assert path.read_bytes().decode() == wine_page.html
    broken = TableModel(wine[0].network, wine[0].schema, record={"confusion": [[1]]})
    with pytest.raises(ModelFileError):
        write_report(broken, path)
    with pytest.raises(OSError, match="regular file"):
        write_report(wine[0], tmp_path)
    assert path.read_bytes().decode() == wine_page.html
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_without_jinja_the_message_names_the_extra(bare, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ModuleNotFoundError, match=r"python -m pip install 'fastbp\[plot\]'"):
        build_report(bare)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("make", [classifier, regressor, many], ids=lambda make: make.__name__)
def test_a_browser_shows_it_without_complaint(make, tmp_path):
    model = make()[0]
    write_report(model, tmp_path / "report.html")
    flags = (
        "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    )
    flags += " disable-component-update disable-sync enable-logging=stderr dump-dom"
    command = [CHROMIUM, *(f"--{flag}" for flag in flags.split())]
    command += [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr
    page = Page(model)
    for heading in page.all("h2"):
        assert f">{heading.text}</h2>" in done.stdout
    # the browser's parser mended nothing: it has as many elements of each kind
    for tag in ("table", "tr", "th", "td", "dl", "dt", "dd", "p", "figure", "section", "bdi"):
        assert len(re.findall(f"<{tag}[ >]", done.stdout)) == len(page.all(tag)), tag
