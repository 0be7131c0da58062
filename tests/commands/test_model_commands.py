"""``fastbp evaluate``, ``info``, ``report`` and ``export``, with models of tables."""

import itertools
import os
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import events, fastbp, in_a_process
from fastbp import TableModel, __version__, train
from fastbp.commands.export import _FORMS
from people_models import NEW, forward, make_models, softmax, with_grown

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such pipes and signals there")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a folder with a model for each target, named after it, and one without ids."""
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in a folder that holds new.csv."""
    monkeypatch.chdir(tmp_path)
    with_grown(NEW).write_csv("new.csv")
    return tmp_path


# -------------------------------------------------------------------------------- evaluate


def test_scores_of_classes_are_those_of_scikit_learn(models):
    metrics = pytest.importorskip("sklearn.metrics")
    done = fastbp("evaluate", models / "rich", "new.csv", "--log", "json")
    (found,) = done.events
    Z, _ = forward(models / "rich")
    P, y = softmax(Z), (NEW["rich"] == "rich").to_numpy().astype(int)
    guess = P.argmax(axis=1)
    expected = {
        "rows": 150,
        "accuracy": metrics.accuracy_score(y, guess),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, guess),
        "macro_f1": metrics.f1_score(y, guess, average="macro"),
        "log_loss": metrics.log_loss(y, P),
        "roc_auc": metrics.roc_auc_score(y, P[:, 1]),
    }
    assert (found["event"], found["data"]) == ("scores", "new.csv")
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    text = fastbp("evaluate", models / "rich", "new.csv").out
    assert f"new.csv: accuracy {expected['accuracy']:.2%}" in text and "(150 rows)" in text


def test_scores_of_numbers_are_those_of_scikit_learn(models):
    metrics = pytest.importorskip("sklearn.metrics")
    (found,) = fastbp("evaluate", models / "income", "new.csv", "--log", "json").events
    Z, model = forward(models / "income")
    guess, y = Z[:, 0] * model.schema.target.scale + model.schema.target.mean, NEW["income"]
    expected = {
        "rows": 150,
        "r2": metrics.r2_score(y, guess),
        "rmse": metrics.mean_squared_error(y, guess) ** 0.5,
        "mae": metrics.mean_absolute_error(y, guess),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_a_data_set_by_its_name_and_several_files_are_tables(models):
    assert fastbp("train", "diabetes", "--epochs", 30, "-o", "diabetes.safetensors").code == 0
    done = fastbp("evaluate", "diabetes.safetensors", "diabetes")
    assert done.code == 0 and re.match(r"diabetes: r2 0\.[3-9]\d*, .*\(442 rows\)", done.out)
    done = fastbp("predict", "diabetes.safetensors", "diabetes", "-o", "scored.csv")
    assert done.code == 0 and len(pl.read_csv("scored.csv")) == 442
    done = fastbp("evaluate", models / "rich", "new.csv", "new.csv")
    assert (
        done.code == 0 and done.out.startswith("new.csv and 1 more: ") and "(300 rows)" in done.out
    )


def test_rows_without_a_target_do_not_count(models):
    half = pl.int_range(pl.len()) < 100
    NEW.with_columns(rich=pl.when(half).then("rich")).write_csv("half.csv")
    NEW.head(100).write_csv("whole.csv")
    half, whole = (
        fastbp("evaluate", models / "rich", f"{name}.csv", "--log", "json").events[0]
        for name in ("half", "whole")
    )
    assert half["rows"] == 100
    same = {"event", "rows", "accuracy", "macro_f1", "roc_auc"}
    assert {name: half[name] for name in same} == {name: whole[name] for name in same}


def test_a_table_that_tells_no_target_cannot_be_scored(models):
    for frame, words in (
        (NEW.drop("rich"), ["new.csv", "'rich'"]),
        (NEW.with_columns(rich=pl.lit("")), ["new.csv", "'rich'", "no row"]),
        (NEW.with_columns(rich=pl.lit("middling")), ["new.csv", "'rich'", "'middling'", "'poor'"]),
    ):
        frame.write_csv("new.csv")
        done = fastbp("evaluate", models / "rich", "new.csv")
        assert (done.code, done.out) == (3, "")
        for word in words:
            assert word in done.complaint


# --------------------------------------------------------------------- info, report, export


def test_info_tells_people_what_a_model_is(models):
    done = fastbp("info", models / "rich")
    assert (done.code, done.err) == (0, "")
    model = TableModel.load(models / "rich")
    for words in (
        f"fingerprint {model.fingerprint}",
        f"made by fastbp {__version__}",
        "people.csv, 400 rows, in ",
        "; completed all epochs",
        "predicts rich: classification",
        "classes: poor, rich",
        "age: a number, mean ",
        "city: a category, 'New, York', Oslo, Rome, São Paulo",
        "joined: a date",
        "member: a boolean, may be missing",
        "country: not used, constant",
        "person_id: not used, an id",
        "income: not used, asked",
        "validation: accuracy ",
        "14 x 30",
        "trained for ",
    ):
        assert words in done.out


def test_a_folder_is_no_model_and_its_newest_checkpoint_is_named(models):
    done = fastbp("info", models)
    assert done.code == 3 and done.complaint.endswith("is a folder: expected a model file")
    Path("ck").mkdir()
    shutil.copy(models / "rich", "ck/checkpoint-00000007.safetensors")
    done = fastbp("info", "ck")
    assert done.complaint.endswith(
        f"newest checkpoint is {Path('ck/checkpoint-00000007.safetensors')}"
    )


def test_info_tells_the_batches_that_it_was_trained_in(models):
    record = TableModel.load(models / "rich").record
    assert (
        f"training in batches of {record['batch_size']} takes"
        in fastbp("info", models / "rich").out
    )


def test_info_lists_no_more_columns_than_people_read():
    rng = np.random.default_rng(0)
    columns = {f"c{n}": rng.normal(size=60) for n in range(130)}
    model = train({**columns, "y": ["a", "b"] * 30}, "y", epochs=1)
    model.save(Path("wide"))
    out = fastbp("info", "wide").out
    assert out.count(": a number, mean") == 100 and "and 30 more columns" in out


def test_info_tells_programs_all_of_it(models):
    done = fastbp("info", models / "rich", "--log", "json")
    (event,) = done.events
    model = TableModel.load(models / "rich")
    assert event["event"] == "model"
    assert event["schema"] == model.schema.to_data()
    assert event["history"] == model.history and len(model.history["loss"]) == event["epochs"]
    assert event["record"] == model.record
    assert event["fingerprint"] == model.fingerprint
    assert [layer["n_out"] for layer in event["network"]["layers"]] == [30, 2]
    assert event["steps"] == model.record["steps"]


def test_info_tells_of_a_network_without_a_table(models):
    done = fastbp("info", models / "network")
    assert done.code == 0 and "14 x 3" in done.out and "trained for 0 epochs" in done.out
    (event,) = fastbp("info", models / "network", "--log", "json").events
    assert "schema" not in event and event["epochs"] == 0


class _Text(HTMLParser):
    """Gathers the tags and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", ["rich", "income", "network"])
def test_report_writes_one_page(models, name):
    done = fastbp("report", models / name, "-o", "page.html", "--log", "json")
    assert [(event["event"], event["path"]) for event in done.events] == [("saved", "page.html")]
    page = Path("page.html").read_text(encoding="utf-8")
    found = _Text(page)
    assert {"html", "title"} <= found.tags
    if name != "network":
        assert name in found.text and "São Paulo" in found.text
    assert sorted(os.listdir()) == ["new.csv", "page.html"]


def test_a_report_has_a_name_of_its_own(models):
    assert fastbp("report", models / "rich").out == "saved to report.html\n"
    assert Path("report.html").exists()


@pytest.mark.parametrize(
    ("name", "suffix"), list(itertools.product(["rich", "income", "network"], _FORMS))
)
def test_export_writes_the_form_that_the_name_says(models, name, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    done = fastbp("export", models / name, "-o", f"model{suffix}")
    assert done.code == 0 and done.out.endswith(f"saved to model{suffix}\n"), done.err
    is_alone = name != "network" and suffix != ".onnx"
    assert ("the network alone" in done.out) == is_alone
    assert Path(f"model{suffix}").stat().st_size > 500
    assert sorted(os.listdir()) == sorted([f"model{suffix}", "new.csv"])


def test_an_exported_function_gives_the_networks_outputs(models):
    assert fastbp("export", models / "rich", "-o", "model.py").code == 0
    names = {}
    exec(Path("model.py").read_text(encoding="utf-8"), names)
    from fastbp.tables.columns.encoding import Encoder

    model = TableModel.load(models / "rich")
    X = Encoder(model.schema).encode(pl.read_csv("new.csv", infer_schema=False))
    np.testing.assert_allclose(names["predict"](X), softmax(forward(models / "rich")[0]), atol=1e-5)


def test_an_exported_function_says_what_its_numbers_are(models):
    for name, suffix in itertools.product(("rich", "income"), (".c", ".py")):
        model = TableModel.load(models / name)
        assert fastbp("export", models / name, "-o", f"model{suffix}").code == 0
        text = Path(f"model{suffix}").read_text(encoding="utf-8")
        lines = [line.strip("/* #") for line in text.splitlines()]
        names = [name for column in model.schema.columns for name in column.feature_names]
        place = next(n for n, line in enumerate(lines) if line.startswith("inputs, from"))
        for number, feature in enumerate(names, 1):
            shown = repr(feature) if "," in feature else feature
            assert lines[place + number].startswith(f"{number - 1}: {shown}")
        target = model.schema.target
        said = [f"{n}: {name}" for n, name in enumerate(target.classes)]
        said = said or [f"0: (income - {target.mean!r}) / {target.scale!r}"]
        assert lines[place + len(names) + 2 :][: len(said)] == said


def test_an_exported_graph_takes_the_table_as_it_is(models):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    assert fastbp("export", models / "rich", "-o", "model.onnx").code == 0
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    assert {one.name for one in session.get_inputs()} >= {"age", "city"}


# --------------------------------------------------------------------------- in a process


@pytest.mark.slow
def test_a_command_speaks_json_alone_where_it_is_asked_to(models, folder):
    for arguments in (
        ("predict", models / "rich", "new.csv", "-o", "scored.csv"),
        ("info", models / "rich"),
    ):
        done = in_a_process(*arguments, "--log", "json", folder=folder)
        assert (done.code, done.err) == (0, "")
        assert len(events(done.out)) == 1
