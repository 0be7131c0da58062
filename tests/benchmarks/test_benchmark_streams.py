"""The comparison of streams with memory: its arithmetic, and a small real run."""

import re

import pytest

from benchmark_modules import load

load("benchmarks")
streams = load("benchmarks.streams")


def test_ratios_and_shares_are_those_of_the_rounds():
    result = streams.Result("tabular", 1)
    result.rounds["memory"] = [(2.0, 2.0, 2.0), (4.0, 2.5, 2.5), (3.0, 2.0, 2.0)]
    result.rounds["map"] = [(4.0, 1.0, 1.5), (4.0, 1.6, 2.0), (5.0, 1.5, 2.5)]
    assert result.ratios("map") == (0.6, 0.5)
    # this thread takes half the time, and the reader 0.4 s of the memory's 2 s
    assert result.shares("map") == pytest.approx((2.0, 0.2))


@pytest.mark.slow
def test_a_small_run_prints_every_source(capsys):
    pytest.importorskip("pyarrow")
    options = ["--rows", "3000", "--epochs", "1", "--rounds", "1", "--threads", "1"]
    streams.main(["--workload", "tabular", *options])
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["workload", "threads", "source"]
    assert [line.split()[2] for line in lines] == ["memory", *streams.KINDS]
    assert all(len(re.findall(r"\d%", line)) == 4 for line in lines[1:])
    assert ["to unpack, once" in line for line in lines] == [False] * 3 + [True, False]
