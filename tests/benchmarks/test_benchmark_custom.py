"""The measurement of formulas of the user's own: a small real run."""

import re

import pytest

from benchmark_modules import load

load("benchmarks")
custom = load("benchmarks.custom")


@pytest.mark.slow
def test_a_small_run_prints_a_line_for_each_formula(capsys, monkeypatch):
    monkeypatch.setattr(custom, "ROWS", 1000)
    custom.main(["--rounds", "1", "--nets", "tabular"])
    told = capsys.readouterr().out
    figures = re.findall(r"^\| \w+ \| [\w .]+ \| (\d+\.\d\d) \| (\d+\.\d\d) s \|", told, re.M)
    assert len(figures) == len(custom.ACTIVATIONS) + len(custom.LOSSES)
    assert all(0 < float(speed) < 100 and float(made) < 100 for speed, made in figures)
