"""What tests of ``fastbp train`` share: its usual arguments, and the model that it saves."""

from pathlib import Path

from command_line import fastbp, people
from fastbp import TableModel

ROWS, HELD = 400, 80
PEOPLE = people(ROWS)
BASE = ("train", "people.csv", "--target", "rich", "--drop", "income")
BASE = (*BASE, "--preset", "fast", "--epochs", 3)
# age and whether it is missing, zip, 4 cities, a date with year and week, member and missing
FEATURES = 2 + 1 + 4 + 5 + 2


def enter(folder, monkeypatch):
    """Change to a folder, and put people.csv there."""
    monkeypatch.chdir(folder)
    PEOPLE.write_csv("people.csv")
    return folder


def without_target():
    """Return `BASE` but for the option of the target."""
    return (*BASE[:2], *BASE[4:])


def trained(*options, base=BASE):
    done = fastbp(*base, "-o", "model", *options)
    assert (done.code, done.err) == (0, "")
    return TableModel.load("model")


def names(model):
    return [column.name for column in model.schema.columns]


def numbers_of(place):
    return sorted(int(path.stem.removeprefix("checkpoint-")) for path in Path(place).iterdir())
