"""The history of speed: its results, its configuration, and the program that adds commits."""

import json
import re

import pytest

from benchmark_modules import CLASSES, FOLDER, functions, load

load("benchmarks")
history = load("benchmarks.history")
HISTORY = [kind for kind in CLASSES if kind.__module__ == "benchmarks.bench_history"]
RESULT = {
    "result_columns": ["result", "params", "version", "started_at", "duration", "stats_q_25"],
    "results": {"bench_history.A.time_a": [[1.23456e-5, None], [["'x'"]], "1", 17, 2.5, [1.5]]},
    "durations": {"<build>": 12.5},
}
LIST = {"bench_history.A.time_a": {}, "bench_formulas.A.time_a": {}, "version": 2}


def configuration(name):
    text = re.sub(r"^ *//.*$", "", (FOLDER / name).read_text("utf-8"), flags=re.MULTILINE)
    return json.loads(text)


def test_the_newest_packages_have_the_same_configuration():
    pinned, newest = configuration("asv.conf.json"), configuration("asv.newest.conf.json")
    assert pinned["matrix"]["req"].keys() == newest["matrix"]["req"].keys()
    assert all(re.fullmatch(r"[\d.]+", version) for (version,) in pinned["matrix"]["req"].values())
    assert set(map(tuple, newest["matrix"]["req"].values())) == {("",)}
    different = {key for key in pinned if pinned[key] != newest[key]}
    assert different == {"matrix", "results_dir", "html_dir"}
    assert FOLDER / pinned["results_dir"] == history.RESULTS


def test_what_is_measured_has_a_version():
    # asv drops the results of a benchmark without one as soon as its code changes
    assert HISTORY
    assert [kind.__name__ for kind in HISTORY if "version" not in vars(kind)] == []


def test_every_figure_says_its_unit():
    track = [(k, name) for k in CLASSES for name in functions(k) if name.startswith("track_")]
    assert track
    assert [name for kind, name in track if not hasattr(getattr(kind, name), "unit")] == []


def test_the_results_are_of_todays_benchmarks():
    expected = {f"bench_history.{kind.__name__}.{n}" for kind in HISTORY for n in functions(kind)}
    listed = json.loads((history.RESULTS / "benchmarks.json").read_text("utf-8"))
    assert listed.keys() - {"version"} == expected
    versions = {name: entry["version"] for name, entry in listed.items() if name != "version"}
    files = list(history.RESULTS.glob("*/*-*.json"))
    assert files
    for file in files:
        assert file.stat().st_size < 10_000
        result = json.loads(file.read_text("utf-8"))
        assert file.name.startswith(result["commit_hash"][:8])
        assert file.parent.name == result["params"]["machine"]
        assert result["results"].keys() <= expected
        assert all(row[2] == versions[name] for name, row in result["results"].items())


@pytest.mark.parametrize(
    "machine, flags, name",
    [
        ("x86_64", "flags : fma avx2 avx512f", "4-core-x86-avx512"),
        ("AMD64", "flags : fma avx2", "4-core-x86-avx2"),
        ("x86_64", "flags : sse2", "4-core-x86"),
        ("aarch64", None, "4-core-aarch64"),
    ],
)
def test_the_class_of_a_machine_is_its_cores_and_instructions(
    monkeypatch, tmp_path, machine, flags, name
):
    monkeypatch.setattr(history, "CPU_INFO", tmp_path / "cpuinfo")
    if flags:
        (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(history.platform, "machine", lambda: machine)
    monkeypatch.setattr(history.os, "cpu_count", lambda: 4)
    assert history.machine_class() == name


def test_numbers_are_rounded():
    assert history.rounded([1.23456e-5, 123456.7, 7, None, "x", [float("inf")]]) == [
        *(1.235e-5, 123500.0, 7, None, "x", [None])
    ]


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """Have a made-up asv write a result of each commit; return the commands that it was given."""
    monkeypatch.setattr(history, "RESULTS", tmp_path)
    monkeypatch.setattr(history, "machine_class", lambda: "some")
    monkeypatch.setattr(history, "commit_of", lambda name: name * 40)
    commands = []

    def asv(*arguments, env=None):
        commands.append(arguments)
        if arguments[0] == "run":
            commit = arguments[-1].removesuffix("^!")
            (tmp_path / "some").mkdir(exist_ok=True)
            if commit[0] != "f":
                (tmp_path / "some" / f"{commit[:8]}-env.json").write_text(json.dumps(RESULT))
            (tmp_path / "benchmarks.json").write_text(json.dumps(LIST))
            assert env["FASTBP_CACHE_DIR"]
        return True

    monkeypatch.setattr(history, "asv", asv)
    return commands


def test_commits_that_lack_results_are_measured(ran, tmp_path):
    assert history.main(["a", "b"]) == 0
    assert history.main(["b", "c"]) == 0
    assert [command[-1][0] for command in ran if command[0] == "run"] == ["a", "b", "c"]
    assert history.main(["b", "--again"]) == 0
    assert ran[-1][-1] == "b" * 40 + "^!"
    assert json.loads((tmp_path / "benchmarks.json").read_text()).keys() == {
        "bench_history.A.time_a",
        "version",
    }
    kept = json.loads((tmp_path / "some" / "aaaaaaaa-env.json").read_text())
    row = [[1.235e-5, None], [["'x'"]], "1", None, None, [1.5]]
    assert kept == {**RESULT, "results": {"bench_history.A.time_a": row}, "durations": {}}


def test_a_commit_that_gave_no_results_is_named(ran, capsys):
    assert history.main(["f", "a"]) == 1
    assert capsys.readouterr().out == "without results: ffffffff\n"


def test_a_commit_that_does_not_exist_is_refused():
    with pytest.raises(SystemExit, match="no-such-commit is no commit of "):
        history.commit_of("no-such-commit")
