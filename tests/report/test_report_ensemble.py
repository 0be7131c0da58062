"""The report of an ensemble: its members, and the scores of the whole."""

import pytest

from fastbp import Ensemble, Network, TableModel, train
from fastbp.report.build import write_report
from report_models import HOSTILE, Page, text_of
from table_makers import people

pytest.importorskip("jinja2")
RUN = {"preset": "fast", "ensemble": 3, "hidden": 8, "epochs": 5, "patience": 2}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return models of ensembles as they are loaded, by how their members differ."""
    folder, found = tmp_path_factory.mktemp("models"), {}
    for by, target in (("seeds", "y"), ("bags", "y"), ("folds", "age")):
        train(people(), target, ensemble_by=by, **RUN).save(folder / by)
        found[by] = TableModel.load(folder / by)
    return found


def rows_of(page, name):
    return [[text_of(cell) for cell in row] for row in page.section(name).iter("tr")]


@pytest.mark.parametrize("by", ["seeds", "bags", "folds"])
def test_every_member_has_a_row(models, by):
    model = models[by]
    page = Page(model)
    head, *rows = rows_of(page, "members")
    members = model.record["ensemble"]["members"]
    assert head[:6] == ["network", "seed", "epochs", "best epoch", "ended", "time"]
    assert [row[:3] for row in rows] == [
        [str(n), str(n - 1), str(each["epochs"])] for n, each in enumerate(members, 1)
    ]
    name = "accuracy" if by != "folds" else "r2"
    found = [float(row[head.index(name)].replace("\u2212", "-")) for row in rows]
    assert found == pytest.approx([each["metrics"][name] for each in members], rel=1e-3)
    assert "3 networks by " + by in text_of(page.section("members"))


def test_scores_and_curves_are_those_of_the_whole(models):
    for by in ("seeds", "bags"):
        page, record = Page(models[by]), models[by].record
        score = f"{100 * record['metrics']['valid']['accuracy']:.3g}%"
        assert f"It is right for {score} of 40 validation rows." in page.text
        assert "validation accuracy" in page.text and "out-of-fold" not in page.text
        captions = [text_of(each) for each in page.section("curves").iter("figcaption")]
        assert captions[0].startswith("Loss, mean of 3 networks")
        epochs = rows_of(page, "curves")[1:]
        assert len(epochs) == len(models[by].history["loss"])


def test_scores_out_of_fold_are_named(models):
    model = models["folds"]
    page, scores = Page(model), model.record["metrics"]["out_of_fold"]
    assert f"{scores['rows']} rows, each by a network that has not seen it" in page.text
    assert "out-of-fold R²" in page.text and "validation R²" not in page.text
    (title,) = [text_of(e) for e in page.section("results").iter("h2")]
    assert title == "On rows that a network has not seen, out of fold"


def test_the_parameters_are_those_of_all(models):
    network = models["seeds"].network
    count = sum(member.parameters.size for member in network)
    assert f"{count:,}" in Page(models["seeds"]).text
    sizes = f"{network.layers[0].n_in}-8-3"
    assert f"the mean of 3 networks, {sizes} each" in Page(models["seeds"]).text


def test_a_member_that_is_left_out_is_named_whatever_the_reason(models):
    model = models["seeds"]
    for why in HOSTILE:
        why = why.replace("\ud800", "?")
        left_out = [{"number": 2, "seed": 1, "why": why}]
        record = {**model.record, "ensemble": {**model.record["ensemble"], "left_out": left_out}}
        page = Page(TableModel(model.network, model.schema, model.history, record))
        assert "Network 2 is left out:" in page.text


def test_networks_without_a_table_have_a_report_too(tmp_path):
    ensemble = Ensemble([Network([4, 6, 2], seed=seed) for seed in (3, 4)])
    page = Page(ensemble)
    assert "2 networks without a table" in page.text
    codes = {
        text_of(Page(each).section("origin").find(".//code")) for each in (ensemble, *ensemble)
    }
    assert len(codes) == 3  # each has a fingerprint of its own
    write_report(ensemble, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size
