"""The measurement of many networks: its simulation by hand, and a small real run."""

import re

import pytest

from benchmark_modules import load

load("benchmarks")
many = load("benchmarks.many")


@pytest.mark.parametrize(
    ("count", "inside", "held", "threads", "expected"),
    [
        (4, 1.0, 0.0, 2, 2.0),  # two at a time
        (3, 1.0, 0.0, 2, 1.5),  # one thread has two of the three
        (5, 0.0, 1.0, 8, 1.0),  # the interpreter alone
        (3, 2.0, 1.0, 3, 9 / 5),  # begun at 0, 1 and 2, and done at 3, 4 and 5
        (1000, 3.0, 1.0, 64, 4000 / 1003),  # no more than one can begin in a second
    ],
)
def test_speed_ups_are_those_counted_by_hand(count, inside, held, threads, expected):
    assert many.simulated(count, inside, held, threads) == pytest.approx(expected)


@pytest.mark.slow
def test_a_small_run_prints_every_figure(capsys, monkeypatch):
    monkeypatch.setattr(many, "find_spec", lambda name: None)  # without peers
    monkeypatch.setattr(many, "ROWS", 300)
    many.main(["--nets", "20", "--rounds", "1"])
    told = capsys.readouterr().out
    assert "fit_many is 1.00 times as fast" in told and "8 networks take" in told
    assert len(re.findall(r"us compiled, .* us Python", told)) == 2
    assert told.count("simulated, not measured") == 2 and "20 networks: peak memory" in told
