"""The bench: what it measures, and that its numbers belong together."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from itertools import pairwise

import pytest

from command_line import STEP
from fastbp.diagnostics.bench import SHAPES, WORKLOADS, cases, run

NETS = {
    "tiny": ([4, 32, 16, 4], 12_800),
    "tabular": ([32, 64, 64, 1], 12_800),
    "digits": ([64, 100, 10], 1_800),
    "mnist": ([784, 128, 10], 2_560),
    "mnist2": ([784, 512, 512, 10], 2_560),
    "wide": ([1024, 2048, 2048, 1000], 1_024),
}


def _bench(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "fastbp", "bench", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _work(measure):
    """Return the operations or bytes of one call, counted here from what was measured."""
    name, size = measure["name"], measure["size"]
    if measure["kind"] == "training":
        sizes, rows = NETS[name]
        assert size.startswith("-".join(map(str, sizes)))
        layers = list(pairwise(sizes))
        # forward and weight gradient of each layer, and the delta of all but the first
        return rows * (sum(4 * a * b for a, b in layers) + sum(2 * a * b for a, b in layers[1:]))
    if name in ("matmul", "outer"):
        return 2 * math.prod(map(int, size.split(" x ")))
    arrays = {"tanh": 2, "relu": 2, "adam": 7}[name]
    return arrays * 4 * int(size.replace(",", ""))


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    output = _bench(folder, "--quick", "--threads", "1", "--log", "json")
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.slow
def test_all_kernels_and_workloads_are_measured_against_one_peak(events):
    (peak,) = [event for event in events if event["event"] == "peak"]
    assert (peak["threads"], peak["dtype"], peak["unit"]) == (1, "float32", "FLOP/s")
    assert 1e9 < peak["lowest"] <= peak["rate"] <= peak["highest"] < 1e13
    measures = [event for event in events if event["event"] == "measure"]
    assert {m["name"] for m in measures if m["kind"] == "kernel"} == {
        *("matmul", "outer", "tanh", "relu", "adam")
    }
    assert [m["name"] for m in measures if m["kind"] == "training"] == list(NETS)
    assert events[-1]["event"] == "bench" and events[-1]["seconds"] > 0


@pytest.mark.slow
def test_rates_are_work_over_time_and_shares_are_of_the_peak(events):
    highest = next(event["highest"] for event in events if event["event"] == "peak")
    measured = [e for e in events if e["event"] == "measure" and e["rounds"]]
    assert len(measured) >= 16  # a busy machine may leave out the largest
    for measure in measured:
        assert measure["rate"] * measure["seconds"] == pytest.approx(_work(measure), rel=1e-6)
        products = measure["kind"] == "training" or measure["name"] in ("matmul", "outer")
        assert measure["of"] == ("peak" if products else "copy")
        if products:
            assert measure["unit"] == "FLOP/s"
            # the peak beside it was no higher than the highest
            assert measure["rate"] / highest <= measure["share"] * 1.000001


@pytest.mark.slow
def test_the_table_is_aligned_and_has_a_row_for_each(tmp_path):
    text = _bench(tmp_path, "--quick", "--dtype", "float64", "--threads", "1")
    assert re.match(r"peak [\d.]+ GFLOP/s: float64, 1 thread;", text)
    rows = text.splitlines()[2:]
    table = rows[: rows.index("")]
    assert len(table) == 1 + len(cases("float64", 1))
    share = table[0].index("share") + len("share")
    for row in table[1:]:
        assert re.search(r"(\d%|-)$", row[:share])
        assert "GFLOP/s" in row or "GB/s" in row or "too slow" in row
    assert re.search(r"measured in [\d.]+ s$", text)


@pytest.mark.slow
def test_what_takes_too_long_is_left_out():
    results = run("float32", 1, seconds=0.01)  # 3 ms of the peak for a case
    rounds = {(m.name, m.size): m.rounds for m in results.measures}
    (wide,) = [n for (name, _), n in rounds.items() if name == "wide"]
    assert wide == 0
    assert rounds["matmul", "128 x 784 x 128"] == 1
    assert all(math.isnan(m.rate) for m in results.measures if not m.rounds)


@pytest.mark.slow
def test_the_share_of_time_that_is_spent_is_told():
    told = []
    run("float32", 1, seconds=0.01, on_turn=told.append)
    assert told == sorted(told) and told[0] >= 0 and told[-1] == 1


def test_every_workload_and_shape_is_a_case():
    names = [(case.name, case.size) for case in cases("float32", 1)]
    assert len(names) == len(set(names))
    assert {name for name, _ in names} >= set(WORKLOADS)
    for M, K, N in SHAPES:
        assert ("matmul", f"{M} x {K} x {N}") in names


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
@pytest.mark.parametrize("wait", [0.5, 1.5, 3.0, 5.0])
def test_an_interrupt_ends_it_with_130_wherever_it_is(tmp_path, wait):
    # an interrupt before the command's own code runs is Python's to tell of
    code = textwrap.dedent("""
        from fastbp.commands.log import Log
        step = Log.step

        def begins(log, words):
            if words == "starting":
                print(1, flush=True)
            step(log, words)

        Log.step = begins
        from fastbp.commands.app import app
        app(["bench"])
    """)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    ) as process:
        assert process.stdout.readline() == "1\n"
        time.sleep(wait)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, STEP.sub("", err)) == (130, "", "fastbp: interrupted\n")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--dtype", "float16"], ["--threads", "0"]])
def test_wrong_usage_is_2(tmp_path, arguments):
    done = subprocess.run(
        [sys.executable, "-m", "fastbp", "bench", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2 and arguments[1] in done.stderr and not done.stdout


@pytest.mark.slow
def test_help_shows_an_example(tmp_path):
    assert "fastbp bench --quick" in _bench(tmp_path, "--help")
