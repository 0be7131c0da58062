"""The comparison with the peers: its arithmetic, its tables, and small real runs."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import pytest

from benchmark_modules import FOLDER, WORKLOADS, load

load("benchmarks")
peers = load("benchmarks.peers")
markdown = load("benchmarks.markdown")
TINY = replace(WORKLOADS["tiny"], rows=300)


def made_up(peer, seconds, peaks=None, missing="", dtype="float32"):
    """Return a result of TINY: 2 epochs, 6 steps a round."""
    peaks = peaks or [1e9] * len(seconds)
    losses = [[1.0, 0.5]] * len(seconds)
    return peers.Result(
        "tiny", dtype, "1", peer, 2, 6, "1.2", list(seconds), list(peaks), losses, missing
    )


@pytest.fixture
def results():
    return {
        "fastbp": made_up("fastbp", [1e-3, 2e-3, 9e-3]),
        "torch": made_up("torch", [6e-3, 6e-3, 6e-3]),
        "jax": made_up("jax", [3e-3, 3e-3, 18e-3]),
        "sklearn": made_up("sklearn", [], missing="not installed"),
    }


def test_figures_are_medians_over_rounds(results):
    found = peers.figures(results, TINY)["fastbp"]
    flops = 2 * TINY.flops_per_epoch
    assert found["us_per_step"] == pytest.approx(2e-3 / 6 * 1e6)
    assert found["samples_per_second"] == pytest.approx(2 * 300 / 2e-3)
    assert found["gflops"] == pytest.approx(flops / 2e-3 / 1e9)
    assert found["share_of_peak"] == pytest.approx(flops / 2e-3 / 1e9)


def test_a_share_is_of_the_peak_of_its_own_round():
    result = made_up("fastbp", [1e-3, 2e-3, 4e-3], peaks=[4e9, 2e9, 1e9])
    found = peers.figures({"fastbp": result}, TINY)["fastbp"]
    assert found["share_of_peak"] == pytest.approx(2 * TINY.flops_per_epoch / 4e6)


def test_the_ratio_is_to_the_best_peer_round_by_round(results):
    assert peers.best_peer(results) == "jax"
    found = peers.figures(results, TINY)
    assert found["fastbp"]["of_best"] == pytest.approx(2)  # of 3, 1.5 and 2
    assert found["torch"]["of_best"] == pytest.approx(0.5)
    assert found["jax"]["of_best"] == 1
    assert "sklearn" not in found


def test_there_may_be_no_peer_to_compare_with(results):
    alone = {peer: results[peer] for peer in ("fastbp", "sklearn")}
    assert peers.best_peer(alone) is None
    found = peers.figures(alone, TINY)
    assert found["fastbp"]["of_best"] is None
    assert len(peers.lines_of(alone, found)) == 2


def test_the_printed_table_names_every_peer(results):
    lines = peers.lines_of(results, peers.figures(results, TINY))
    assert len(lines) == 4
    assert lines[0].split()[:4] == ["tiny", "float32", "1", "fastbp"]
    assert lines[0].endswith("2.00x")
    assert lines[3].split(maxsplit=4)[3:] == ["scikit-learn", "not installed"]


def test_the_readme_table_names_every_peer(results):
    results["torch"].missing = "ValueError: a | b"
    double = {"fastbp": made_up("fastbp", [1e-3], dtype="float64")}
    groups = [(r, peers.figures(r, TINY)) for r in (double, results)]
    table, caption = peers.readme_table(groups, "some processor").split("\n\n")
    rows = [line.strip("|").split("|") for line in table.splitlines()]
    assert {len(row) for row in rows} == {8}
    head, _, row = ([cell.strip() for cell in row] for row in rows)
    assert head[:3] == ["workload", "threads", "fastbp"]
    cells = dict(zip(head, row, strict=True))
    assert cells["fastbp"] == "333.3"
    assert cells["PyTorch"] == "ValueError: a / b"
    assert cells["scikit-learn"] == "not installed"
    assert row[-1] == "2.00x"
    assert f"medians of 3 rounds, on some processor, {date.today()};" in caption
    assert "JAX 1.2" in caption


def test_the_summary_has_fastbp_beside_the_best_peer(results):
    more = {
        peer: made_up(peer, result.seconds, missing=result.missing)
        for peer, result in results.items()
    }
    more["jax"].missing = "not installed"
    for result in more.values():
        result.threads = "all"
    groups = [(r, peers.figures(r, TINY)) for r in (results, more)]
    table, caption = peers.summary_table(groups, "some processor").split("\n\n")
    head, _, row = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
    )
    assert head[3:] == [
        "1 thread: fastbp",
        "best peer",
        "ratio",
        "all threads: fastbp",
        "best peer",
        "ratio",
    ]
    assert row[:3] == ["tiny", "4-32-16-4", "128"]
    assert row[3:6] == ["333.3", "JAX 500.0", "2.00x"]
    assert row[6:] == ["333.3", "PyTorch 1,000.0", "3.00x"]
    assert f"medians of 3 rounds, on some processor, {date.today()};" in caption


def test_the_summary_may_lack_peers_and_fastbp(results):
    alone = {peer: results[peer] for peer in ("fastbp", "sklearn")}
    alone["fastbp"].missing = "it does not learn"
    table = peers.summary_table([(alone, peers.figures(alone, TINY))], "some processor")
    assert "| it does not learn |  |  |" in table


def test_a_readme_without_fastbp_still_names_it(results):
    results["fastbp"] = made_up("fastbp", [], missing="it does not learn")
    table = peers.readme_table([(results, peers.figures(results, TINY))], "some processor")
    assert "| it does not learn |" in table


BEGIN, END = "<!-- peers -->", "<!-- /peers -->"


def test_the_readme_is_rewritten_between_its_marks(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter µs\n", encoding="utf-8")
    for table in ("first", "second", "second"):
        markdown.write_between(file, "peers", table)
        expected = f"before\n\n{BEGIN}\n\n{table}\n\n{END}\n\nafter µs\n"
        assert file.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_a_readme_without_the_marks_is_left_alone(tmp_path, text):
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"README\.md: expected the lines"):
        markdown.write_between(file, "peers", "table")
    assert file.read_text() == text


@pytest.mark.parametrize(
    "file, mark", [(peers.TABLE, "peers"), (peers.TABLE, "estimators"), (peers.SUMMARY, "speed")]
)
def test_the_readmes_have_the_marks(file, mark):
    text = file.read_text(encoding="utf-8")
    assert text.count(f"<!-- {mark} -->") == text.count(f"<!-- /{mark} -->") == 1


@pytest.mark.parametrize(
    "losses, steps, message",
    [
        ([1.0, 1.5, 1.0], 6, "does not learn"),
        ([1.0, float("nan")], 6, "does not learn"),
        ([float("inf"), 1.0], 6, "does not learn"),
        ([1.0, 0.5], 4, "took 4 steps, not 6"),
    ],
)
def test_a_round_without_learning_or_steps_does_not_count(losses, steps, message):
    result = made_up("jax", [])
    with pytest.raises(peers.ProcessError, match=message):
        result.add({"losses": losses, "steps": steps, "seconds": 1.0}, 1e9)
    assert result.seconds == []


def test_the_last_smaller_batch_is_a_step():
    assert peers.batches_of(TINY) == 3
    assert peers.batches_of(replace(TINY, rows=256)) == 2


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_round_has_epochs_enough_to_learn_and_few_enough_to_end(name):
    epochs = peers.epochs_of(WORKLOADS[name])
    assert 2 <= epochs <= 1000
    assert epochs == 2 or epochs * peers.batches_of(WORKLOADS[name]) <= 1000


@pytest.mark.parametrize("more", ["--quick", "--workloads tiny", "--peers jax", "--dtypes float64"])
def test_the_readme_is_not_written_from_a_part(more, capsys):
    assert peers.parse(["--readme", "--dtypes", "float32"]).rounds == peers.ROUNDS
    with pytest.raises(SystemExit):
        peers.parse(["--readme", *more.split()])
    assert "--readme wants" in capsys.readouterr().err


@pytest.fixture
def fake_jax(tmp_path, monkeypatch):
    """Return ``fake_jax(code)``: what a process of the peer jax imports is that code."""

    def fake(code):
        (tmp_path / "jax.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return fake


def refusal(limit=60.0):
    """Ask the peer jax to load; return the reason why it does not."""
    process = peers.process_of("jax", 1, limit)
    with pytest.raises(peers.ProcessError) as error:
        try:
            process.ask("load", workload=asdict(TINY), dtype="float32")
        finally:
            process.close()
    return str(error.value)


NOT_INSTALLED = "raise ModuleNotFoundError('no jax', name='jax')"


@pytest.mark.slow
@pytest.mark.parametrize(
    "code, reason",
    [
        (NOT_INSTALLED, "not installed"),
        (
            "print('to be ignored')\nraise OSError('no luck')",
            "its process ended: exit status 1: OSError: no luck",
        ),
        ("raise SystemExit('bye')", "its process ended: exit status 1: bye"),
        ("import os\nos.abort()", "its process ended: SIGABRT"),
    ],
)
def test_a_peer_that_fails_says_why_in_a_line(fake_jax, code, reason):
    fake_jax(code)
    assert refusal() == reason


@pytest.mark.slow
def test_a_peer_that_hangs_is_ended(fake_jax):
    fake_jax("import time\ntime.sleep(600)")
    assert refusal(limit=2.0) == "load took more than 2 s"


@pytest.mark.release
@pytest.mark.parametrize("dtype", peers.DTYPES)
@pytest.mark.parametrize("name", ["tiny", "digits"])
@pytest.mark.parametrize("peer", peers.PEERS)
def test_every_peer_that_is_installed_learns_in_the_expected_steps(peer, name, dtype):
    workload = replace(WORKLOADS[name], rows=2 * WORKLOADS[name].batch + 50)
    process = peers.process_of(peer, 1)
    result = peers.Result(name, dtype, "1", peer, 5, 5 * 3)
    try:
        process.ask("load", workload=asdict(workload), dtype=dtype)
        for _ in range(2):  # each time with a fresh net
            result.add(process.ask("train", epochs=5), 1e9)
    except peers.ProcessError as error:
        if str(error) != "not installed":
            raise
        pytest.skip(f"{peer} is not installed")
    finally:
        process.close()
    (first, last), (again, _) = result.losses
    assert again > (first + last) / 2


@pytest.mark.slow
def test_a_class_without_a_sample_keeps_the_net_of_scikit_learn():
    # 1000 classes and few rows: fit would leave out those that do not occur
    workload = peers.WORKLOADS["wide"]
    workload = replace(workload, sizes=(8, 16, 1000), batch=64, rows=200)
    process = peers.process_of("sklearn", 1)
    result = peers.Result("wide", "float32", "1", "sklearn", 3, 3 * 4)
    try:
        process.ask("load", workload=asdict(workload), dtype="float32")
        result.add(process.ask("train", epochs=3), 1e9)
    finally:
        process.close()
    assert result.losses[0][0] > 6  # about log(1000)


@pytest.mark.release
def test_the_program_prints_a_table_and_writes_json(fake_jax, tmp_path):
    fake_jax(NOT_INSTALLED)
    file = tmp_path / "figures.json"
    command = [sys.executable, str(FOLDER / "peers.py"), "--quick", "--json", str(file)]
    command += ["--workloads=tiny", "--threads=1", "--dtypes=float32", "--peers", "sklearn", "jax"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4
    assert done.stdout.splitlines()[-2].endswith("not installed")
    written = json.loads(Path(file).read_text())
    assert written["quick"]
    entries = {entry["peer"]: entry for entry in written["results"]}
    assert list(entries) == ["fastbp", "jax", "sklearn"]
    assert entries["jax"]["missing"] == "not installed"
    for peer in ("fastbp", "sklearn"):
        assert entries[peer]["missing"] == ""
        assert entries[peer]["us_per_step"] > 0
        assert 0 < entries[peer]["share_of_peak"] < 2
        assert len(entries[peer]["seconds"]) == peers.QUICK_ROUNDS
