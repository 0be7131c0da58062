"""The comparison of predictions: its tables, its methods, and small real runs."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmark_modules import load

load("benchmarks")
quality = load("benchmarks.quality")
frames = load("benchmarks.quality_frames")
methods = load("benchmarks.quality_methods")
runs = load("benchmarks.quality_runs")
tables = load("benchmarks.quality_tables")

# ------------------------------------------------------------------ tables


def of_frame(frame, task=None):
    return tables.Source("made", "folder", lambda: (frame, "y", task)).table()


@pytest.mark.parametrize(
    "values, task",
    [
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        ([0, 1], "classification"),
        ([0.0, 1.0], "classification"),
        ([0.5, 1.0], "regression"),
        (list(range(21)), "regression"),
    ],
)
def test_the_task_follows_the_values(values, task):
    assert tables.task_of(pd.Series(values)) == task


def test_rare_classes_and_rows_without_target_are_left_out_and_counted():
    y = ["a"] * 30 + ["b"] * 20 + ["rare"] * 9 + [None] * 2
    table = of_frame(pd.DataFrame({"x": range(61), "y": y}))
    assert (table.left_out, table.classes, len(table.frame)) == (11, 2, 50)
    np.testing.assert_array_equal(table.y, [0] * 30 + [1] * 20)
    assert list(table.frame) == ["x"]
    assert list(table.frame["x"]) == list(range(50))


def test_a_split_has_equal_shares_of_the_classes_and_no_row_twice():
    y = ["a"] * 800 + ["b"] * 200
    table = of_frame(pd.DataFrame({"x": range(1000), "y": y}))
    for rows, count in ((8000, 800), (100, 100)):
        train, test = table.split(3, rows)
        assert (len(train), len(test)) == (count, 200)
        assert not set(train) & set(test)
        assert (table.y[train].mean(), table.y[test].mean()) == (0.2, 0.2)
    assert set(table.split(3, 100)[1]) == set(table.split(3, 8000)[1])
    assert set(table.split(3, 100)[1]) != set(table.split(4, 100)[1])


@pytest.mark.parametrize("name", [*tables.GENERATED, "wine", "diabetes", "digits", "breast_cancer"])
def test_a_table_is_the_same_each_time(name):
    source = tables.all_sources()[name]
    table, again = source.table(), source.table()
    assert len(table.y) == len(table.frame) > 100
    pd.testing.assert_frame_equal(table.frame, again.frame)
    np.testing.assert_array_equal(table.y, again.y)


@pytest.mark.parametrize(
    "name, target, task, _", [(e[0], *e[2], "") for e in tables.SHIPPED["statsmodels"]]
)
def test_the_tables_of_statsmodels_have_their_targets(name, target, task, _):
    pytest.importorskip("statsmodels")
    table = tables.all_sources()[name].table()
    assert table.task == task
    assert target not in table.frame


def write_folder(folder, about):
    rng = np.random.default_rng(0)
    words = pd.DataFrame({"x": rng.random(60), "y": ["no", "yes"] * 30, "z": rng.random(60)})
    words.to_csv(folder / "words.csv", index=False)
    words[["x", "z"]].to_parquet(folder / "numbers.parquet")
    (folder / "notes.txt").write_text("no table")
    if about is not None:
        (folder / "tables.json").write_text(json.dumps(about))
    return folder


def test_the_tables_of_a_folder_have_the_targets_that_it_names(tmp_path):
    found = tables.all_sources(write_folder(tmp_path, {"words": {"target": "y"}}))
    words, numbers = found["words"].table(), found["numbers"].table()
    assert (words.task, list(words.frame)) == ("classification", ["x", "z"])
    # the last column
    assert (numbers.task, list(numbers.frame)) == ("regression", ["x"])


@pytest.mark.parametrize(
    "about, message",
    [
        ({"word": {"target": "y"}}, "'word' has no file"),
        ({"words": {"target": "w"}}, "words: target 'w' is no column"),
        ({"words": {"target": "y", "task": "ranking"}}, "words: task 'ranking'; expected"),
    ],
)
def test_a_folder_that_names_what_is_not_there_is_refused(tmp_path, about, message):
    write_folder(tmp_path, about)
    with pytest.raises(ValueError, match=message):
        tables.all_sources(tmp_path)["words"].table()


def test_a_folder_without_tables_or_with_a_known_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no file ends in \.csv or \.parquet"):
        tables.all_sources(tmp_path)
    (tmp_path / "wine.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match="'wine' names two tables"):
        tables.all_sources(tmp_path)


# ------------------------------------------------------------------ frames and methods


ODD = 'n [m], {"a": 1}'  # LightGBM refuses such a name


def mixed(rows=200, seed=0):
    """Return a frame of all kinds with missing values, and numbers that depend on it."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({ODD: rng.random(rows), "w": rng.choice(["a", "b", "c"], rows)})
    frame["b"] = rng.random(rows) < 0.5
    frame["d"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, rows), "D")
    y = 3 * frame[ODD] + 2 * (frame["w"] == "a") + frame["b"]
    frame.loc[::7, ODD] = np.nan
    frame.loc[::9, "w"] = None
    return frame, y.to_numpy()


def test_frames_know_what_they_were_fitted_on_alone():
    train = pd.DataFrame({"w": ["a", "b", "a"], "n": [1.0, 3.0, np.nan], "b": [True, False, True]})
    test = pd.DataFrame({"w": ["c", "b", None], "n": [np.nan, 100.0, 5.0], "b": [False] * 3})
    plain = frames.Frames().fit(train)
    found = plain.transform(test)
    assert plain.categories == ["x0"]
    assert found["x0"].isna().tolist() == [True, False, True]
    assert list(found["x0"].cat.categories) == ["a", "b"]
    assert np.isnan(found["x1"][0])
    assert found["x2"].tolist() == [0, 0, 0]
    found = frames.Frames(words=True, median=True).fit(train).transform(test)
    assert found["x0"].tolist() == ["nan", "b", "nan"]
    assert found["x1"].tolist() == [2.0, 100.0, 5.0]
    assert test["w"][0] == "c"


def test_dates_are_days():
    dates = pd.to_datetime(["1970-01-03 00:00", "1970-01-01 12:00"])
    for column in (dates, dates.tz_localize("UTC")):
        found = (
            frames.Frames().fit(pd.DataFrame({"d": column})).transform(pd.DataFrame({"d": column}))
        )
        assert found["x0"].tolist() == [2.0, 0.5]


def test_the_rarest_of_many_categories_share_one():
    words = [f"w{n}" for n in range(300) for _ in range(1 + (n < 254))]
    frame = pd.DataFrame({"w": words})
    found = frames.Frames().fit(frame).transform(frame)["x0"]
    assert len(found.cat.categories) == 255
    assert (found == "(rare)").sum() == 300 - 254
    assert set(frame["w"][found != "(rare)"]) == {f"w{n}" for n in range(254)}


def test_probabilities_are_in_the_order_of_the_codes():
    found = methods.in_order(np.array([[0.1, 0.9]]), [2, 0])
    np.testing.assert_array_equal(found, [[0.9, 0, 0.1]])


def test_options_are_read_as_toml_or_text():
    found = methods.options_of("hidden=[256, 128] ensemble=4 l2=1e-3 preset=accurate loss='huber'")
    expected = {"hidden": [256, 128], "ensemble": 4, "l2": 1e-3, "preset": "accurate"}
    assert found == {**expected, "loss": "huber"}
    with pytest.raises(ValueError, match="'ensemble': expected NAME=VALUE"):
        methods.options_of("ensemble")


@pytest.mark.release
@pytest.mark.parametrize("name", ["fastbp", "fastbp:hidden=[16] ensemble=2", *methods.PEERS])
@pytest.mark.filterwarnings("ignore")
def test_a_method_learns_from_a_frame_of_all_kinds(name):
    method = methods.method_named(name)
    if not method.installed:
        pytest.skip(f"{method.package} is not installed")
    (frame, numbers), (more, truth) = mixed(300), mixed(200, seed=1)
    more.loc[0, "w"] = "new"
    classes, known = (np.digitize(values, [1.5, 3]) for values in (numbers, truth))
    P, *seconds = runs.predictions(method, "classification", 0, (frame, classes), more)
    assert P.shape == (200, 3)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-5)
    assert np.mean(P.argmax(axis=1) == known) > 0.6
    assert min(seconds) > 0
    found, *_ = runs.predictions(method, "regression", 0, (frame, numbers), more)
    assert found.shape == (200,)
    assert np.corrcoef(found, truth)[0, 1] > 0.7


# ------------------------------------------------------------------ runs


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Return the arguments of a run of two tables and two methods, with one iteration each."""
    monkeypatch.setattr(quality, "WARM_ROWS", 60)
    command = ["--tables=wine,diabetes", "--seeds=2", f"--results={tmp_path / 'runs.jsonl'}"]
    return [*command, "--methods", "fastbp:epochs=2 hidden=[4]", "mlp"]


@pytest.mark.release
def test_a_run_goes_on_where_it_ended_and_takes_more_methods(small, tmp_path, capsys):
    file = tmp_path / "runs.jsonl"
    quality.main([*small, "--tables=wine"])
    first = file.read_text()
    assert len(first.splitlines()) == 4
    # as if it had been killed while it wrote the last line
    file.write_text(first[:-20])
    capsys.readouterr()
    quality.main(small)
    out = capsys.readouterr().out
    measured = [line.split("  ")[:3] for line in out.split("\n\n")[0].splitlines()]
    assert measured[0] == ["wine", "1", "mlp"]
    assert [name for name, *_ in measured] == ["wine"] + ["diabetes"] * 4
    text = file.read_text()
    assert text.startswith("".join(first.splitlines(True)[:3]))
    entries = [json.loads(line) for line in text.splitlines()]
    keys = [(entry["table"], entry["method"], entry["seed"]) for entry in entries]
    assert len(keys) == len(set(keys)) == 8
    # the same split and seed give the same error
    assert entries[3]["error"] == json.loads(first.splitlines()[3])["error"]
    quality.main([*small, "hist", "--again", "mlp"])
    out = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert sorted(line.split("  ")[2] for line in out) == ["hist"] * 4 + ["mlp"] * 4


def test_the_readme_gets_the_tables_and_the_plots(small, tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- quality -->\nold\n<!-- /quality -->\nafter\n")
    monkeypatch.setattr(quality, "README", readme)
    monkeypatch.setattr(quality, "FOLDER", tmp_path)
    quality.main([*small, "--tuned=wine", "--readme", f"--plots={tmp_path / 'plots'}"])
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    # the table that nothing was chosen on comes first
    assert text.index("no option was chosen on (1)") < text.index("| diabetes | RMSE |")
    assert text.index("| diabetes | RMSE |") < text.index("| wine | log loss |")
    for kind in ("ranks", "pareto"):
        assert f"(plots/quality-{kind}.svg)" in text
        assert (tmp_path / "plots" / f"quality-{kind}.svg").read_text().count("scikit-learn's MLP")


def test_what_lacks_results_is_said(small, capsys):
    quality.main([*small, "--tables=wine", "--seeds=1"])
    quality.main([*small, "--tables=wine,diabetes", "--seeds=1", "--report"])
    assert "Left out, for lack of results: diabetes (fastbp:" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no table has the results of all"):
        quality.main([*small, "--tables=diabetes", "--report"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--tables no", "table 'no': expected one of"),
        ("--tuned no", "--tuned 'no': expected one of"),
        ("--methods mlp --baseline hist", "--baseline 'hist': expected one of mlp"),
        ("--methods mlp --again hist", "--again 'hist': expected one of mlp"),
    ],
)
def test_what_is_not_there_is_refused(arguments, message):
    with pytest.raises(SystemExit, match=message):
        quality.main(arguments.split())


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--methods nothing", "'nothing': expected fastbp"),
        ("--methods fastbp:hidden", "'hidden': expected NAME=VALUE"),
        ("--seeds 0", "--seeds 0: expected 1 or more"),
        ("--rows 0", "--rows 0: expected 1 or more"),
    ],
)
def test_a_bad_command_line_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        quality.parse(arguments.split())
    assert message in capsys.readouterr().err


def test_a_method_that_is_not_installed_is_refused_by_name_and_else_left_out(monkeypatch):
    monkeypatch.setattr(methods, "find_spec", lambda name: None if name == "lightgbm" else True)
    _, found = quality.selected(quality.parse([]))
    assert "catboost" in [method.name for method in found]
    assert "lightgbm" not in [method.name for method in found]
    with pytest.raises(ValueError, match="lightgbm: install lightgbm, or leave it out"):
        quality.selected(quality.parse(["--methods", "lightgbm"]))
