"""Damaged tables: each command ends with a code and a line that says what, where and what to do."""

import pytest

from damage import BAD_DATA, CSV, DONE, TINY, Bench, model_content
from damage_tables import ALL, binary_cases, csv_cases

FAMILIES = {**csv_cases(), **binary_cases()}
# these fail where a file is opened, which is the same for all commands
OPENED = ("foreign", "truncated")
CASES = [
    pytest.param(command, case, id=f"{family}-{case.name}-{command}")
    for family, cases in FAMILIES.items()
    for place, case in enumerate(cases)
    for command in (ALL if family not in OPENED else (ALL[place % len(ALL)],))
]


@pytest.fixture
def bench(tmp_path, capfd, monkeypatch):
    return Bench(tmp_path, capfd, monkeypatch)


def _codes(command, usable):
    if "maybe" in usable:
        return (DONE, BAD_DATA)
    return (DONE,) if command in usable else (BAD_DATA,)


@pytest.mark.parametrize(("command", "case"), CASES)
def test_a_damaged_table_ends_each_command_as_documented(bench, command, case):
    bench.put(case.file, case.content)
    bench.put("m.safetensors", model_content())
    arguments = {
        "train": ["train", case.file, "--target", "y", *TINY],
        "predict": ["predict", "m.safetensors", case.file],
        "evaluate": ["evaluate", "m.safetensors", case.file],
    }[command]
    output = {"train": "out.safetensors", "predict": "out.csv", "evaluate": None}[command]
    codes = _codes(command, case.usable)
    words = () if DONE in codes else (case.file, *case.words)
    outcome = bench.judge(*arguments, output=output, codes=codes, words=words)
    assert outcome.code == DONE or case.file in outcome.complaint


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(("of", "count"), [("Oslo", 90), ("Rome", 1)])
def test_a_category_that_is_new_is_used_with_one_warning(bench, command, of, count):
    bench.put("bad.csv", CSV.replace(of.encode(), b"Lima", count))
    bench.put("m.safetensors", model_content())
    output = "out.csv" if command == "predict" else None
    outcome = bench.judge(command, "m.safetensors", "bad.csv", output=output, codes=(DONE,))
    (warning,) = outcome.warnings
    values = min(count, CSV.count(of.encode()))
    assert f"bad.csv: {values} value" in warning
    assert "'city'" in warning


def test_there_are_over_five_hundred_damaged_tables():
    assert len({(case.file, case.content) for cases in FAMILIES.values() for case in cases}) > 250
    assert len(CASES) > 500
