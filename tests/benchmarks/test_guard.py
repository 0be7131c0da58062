"""The guard of speed: what it compares, what it looks at again, and how it ends."""

import datetime
import json
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from benchmark_modules import CLASSES, FOLDER, functions, load

load("benchmarks")
guard = load("benchmarks.guard")
PATTERNS = ["track_"]
OLD, NEW = "a" * 40, "b" * 40


class Machine:
    """Stands for asv: gives each commit's figures in turn and keeps what was asked of it."""

    def __init__(self, old, new):
        self.left = {OLD: list(old), NEW: list(new)}
        self.asked = []

    def __call__(self, commit, patterns):
        self.asked.append((commit, patterns))
        figures = self.left[commit].pop(0)
        return {
            key: figure
            for key, figure in figures.items()
            if any(re.search(pattern, key) for pattern in patterns)
        }


def compare(machine):
    return guard.compare((OLD, NEW), PATTERNS, 0.1, machine)


def test_what_has_not_lost_is_measured_once():
    machine = Machine([{"track_a(1)": 0.5, "track_b": 0.8}], [{"track_a(1)": 0.6, "track_b": 0.77}])
    old, new = compare(machine)
    assert machine.asked == [(OLD, PATTERNS), (NEW, PATTERNS)]
    assert (old["track_a(1)"], new["track_a(1)"]) == ([0.5], [0.6])
    assert guard.losers(old, new, 0.1) == []


def test_only_the_suspects_are_measured_again_and_the_commits_in_turn():
    first = {"track_a('x^3', 1)": 0.5, "track_a('x^33', 1)": 0.5, "track_b": 0.8}
    slow = {**first, "track_a('x^3', 1)": 0.3}
    machine = Machine([first] * 3, [slow] * 3)
    old, new = compare(machine)
    assert [commit for commit, _ in machine.asked] == [OLD, NEW] * 3
    assert len({tuple(patterns) for _, patterns in machine.asked[2:]}) == 1
    assert {key: len(figures) for key, figures in old.items()} == {
        "track_a('x^3', 1)": 3,
        "track_a('x^33', 1)": 1,
        "track_b": 1,
    }
    assert guard.losers(old, new, 0.1) == ["track_a('x^3', 1)"]


@pytest.mark.parametrize(
    "old, new, lost",
    [
        ([1.0, 1.0, 1.0], [0.5, 1.0, 1.0], False),  # the new commit's first figure was unlucky
        ([1.2, 1.0, 1.0], [1.0, 1.0, 1.0], False),  # the old one's was lucky
        ([0.94, 1.0, 1.0], [0.88, 0.88, 0.88], True),  # a loss that showed by half at first
        ([1.0, 1.0, 1.0], [0.93, 0.93, 0.93], False),  # one that is allowed
        ([1.0, 1.0, 1.0], [0.96, 0.5, 0.5], False),  # not suspected, so not looked at again
        ([1.0, 0.5, 1.0], [0.8, 0.8, 0.8], True),  # one low figure of the old excuses nothing
        ([1.0, 1.0, 1.0], [0.5, 0.5, 1.0], False),  # the new one can be as quick
        ([1.0, 0.5, 0.5], [0.5, 0.5, 0.5], False),  # the old one is as slow
    ],
)
def test_a_loss_shows_in_medians_and_bests(old, new, lost):
    old, new = compare(Machine([{"track_": f} for f in old], [{"track_": f} for f in new]))
    assert guard.losers(old, new, 0.1) == (["track_"] if lost else [])


def test_what_only_one_commit_has_is_listed_and_not_compared():
    machine = Machine(
        [{"track_a": 0.5, "track_gone": 0.5, "track_lacks": None}],
        [{"track_a": 0.5, "track_lacks": 0.1, "track_added": 0.1}],
    )
    old, new = compare(machine)
    assert guard.losers(old, new, 0.1) == []
    lines = "\n".join(guard.table(old, new))
    assert re.findall(r"(\w+) +only in the (\w+)", lines) == [
        ("track_gone", "old"),
        ("track_lacks", "new"),
        ("track_added", "new"),
    ]


def test_the_table_begins_with_the_greatest_loss():
    old = {"track_better": [0.5], "track_worse": [0.9, 0.8, 0.1]}
    new = {"track_better": [0.6], "track_worse": [0.4, 0.3, 0.4]}
    _, *rows = (line.split() for line in guard.table(old, new))
    assert rows == [
        ["track_worse", "0.900", "0.400", "0.50", "3"],
        ["track_better", "0.500", "0.600", "1.20", "1"],
    ]


@pytest.fixture
def names(monkeypatch):
    monkeypatch.setattr(guard, "commit_of", {"OLD": OLD, "NEW": NEW}.__getitem__)


@pytest.mark.parametrize(
    "new, options, status",
    [(0.95, [], 0), (0.85, [], 1), (0.85, ["--loss", "0.2"], 0), (0.95, ["--loss", "0.02"], 1)],
)
def test_the_exit_status_says_whether_something_lost(names, capsys, new, options, status):
    machine = Machine([{"track_share": 1.0}] * 3, [{"track_share": new}] * 3)
    assert guard.main(["OLD", "NEW", *options], machine) == status
    out, _ = capsys.readouterr()
    assert re.search(r"from OLD to NEW: (\d)", out)[1] == str(status)
    assert out.endswith("    track_share\n") == bool(status)


@pytest.mark.parametrize(
    "old, new, why",
    [
        ({}, {"track_share": 1.0}, "measured nothing of aaaaaaaa"),
        ({"track_share": None}, {"track_share": 1.0}, "measured nothing of aaaaaaaa"),
        ({"track_share": 1.0}, {}, "measured nothing of bbbbbbbb"),
        ({"track_share": 1.0}, {"track_share": None}, "of bbbbbbbb these failed: track_share"),
    ],
)
def test_what_was_not_measured_is_no_answer(names, capsys, old, new, why):
    assert guard.main(["OLD", "NEW"], Machine([old], [new])) == 2
    out, err = capsys.readouterr()
    assert (out, why in err) == ("", True)


@pytest.mark.parametrize("again", [{"track_share": None}, {}])
def test_a_benchmark_that_fails_when_looked_at_again_is_no_answer(names, capsys, again):
    machine = Machine([{"track_share": 1.0}] * 2, [{"track_share": 0.5}, again])
    assert guard.main(["OLD", "NEW"], machine) == 2
    assert "of bbbbbbbb these failed: track_share" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, expected",
    [([], ["Epoch", "Peak", "Relu"]), (["--bench", "Epoch|Relu"], ["Epoch", "Relu"])],
)
def test_an_option_selects_of_what_is_guarded(names, capsys, options, expected):
    keys = ["Epoch.time_epoch(1)", "Epoch.track_share('tiny')", "Relu.track_share(1)"]
    figures = dict.fromkeys([*keys, "Peak.track_peak('f', 1)", "Peak.track_peak('f', 2)"], 1.0)
    assert guard.main(["OLD", "NEW", *options], Machine([figures], [figures])) == 0
    out, _ = capsys.readouterr()
    assert sorted(re.findall(r"^(\w+)\.track", out, re.MULTILINE)) == expected
    assert "time_" not in out


@pytest.mark.parametrize("arguments", [["--loss", "10"], ["--loss", "0"], ["--no-such-option"]])
def test_a_wrong_option_is_refused(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        guard.main(arguments, Machine([], []))
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_an_unknown_commit_is_refused():
    command = [sys.executable, str(FOLDER / "guard.py"), "no-such-commit"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("no-such-commit is no commit of ")


def test_the_figures_are_those_that_asv_kept_since(tmp_path, monkeypatch):
    results = pytest.importorskip("asv.results", exc_type=ImportError)
    params, utc = {"machine": "some"}, datetime.timezone.utc
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "machine.json").write_text(json.dumps({**params, "version": 1}))
    (tmp_path / "asv.conf.json").write_text(json.dumps({"results_dir": "."}))
    monkeypatch.setattr(guard, "FOLDER", tmp_path)

    for commit, factor in ((OLD, 1.0), (NEW, 2.0)):
        kept = results.Results(params, {}, commit, 0, "3", "env", {})
        for name, since in (("track_a", 100), ("track_b", 0), ("time_c", 100)):
            benchmark = {"name": name, "version": "1", "params": [["'x'", "'y'"], ["1", "2"]]}
            values = [0.25 * factor, 0.5 * factor, float("nan"), None]
            nothing = [None] * 4
            result = SimpleNamespace(
                result=values, samples=nothing, number=nothing, stderr="", errcode=0, profile=None
            )
            kept.add_result(benchmark, result, datetime.datetime.fromtimestamp(since, utc))
        kept.save(str(tmp_path))
    found = guard.kept_figures(NEW, [r"track_.*'x'", "track_.*'y', 2"], begin=50)
    assert found == {"track_a('x', 1)": 0.5, "track_a('x', 2)": 1.0, "track_a('y', 2)": None}


def test_without_asv_there_is_no_answer(monkeypatch):
    monkeypatch.setitem(sys.modules, "asv.results", None)
    with pytest.raises(guard.GuardError, match="asv is not installed"):
        guard.kept_figures(NEW, PATTERNS, begin=0)


def test_the_workloads_and_the_kernels_are_guarded():
    guarded = set()
    for kind in CLASSES:
        first = ", ".join(repr(values[0]) for values in getattr(kind, "params", ()))
        keys = [f"{kind.__name__}.{name}({first})" for name in functions(kind)]
        guarded |= {kind.__name__ for key in keys if re.search(guard.BENCHMARKS, key)}
    expected = {"Activation", "ActivationDerivative", "Hadamard", "Loss", "Optimizer", "Random"}
    expected |= {"Products", "Peak", "Epoch", "EpochFloat64", "Ragged", "PredictWide"}
    assert guarded == expected


def test_the_readme_names_the_command():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^    python benchmarks/guard.py HEAD~1 HEAD( |$)", text, re.MULTILINE)
    assert f"{guard.LOSS:.0%}".replace("%", " %") in text
