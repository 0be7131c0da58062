"""Options from a TOML file: what wins, and what is refused."""

import json
from enum import Enum
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from fastbp.commands.config import ConfigOption


class Kind(str, Enum):
    fast = "fast"
    small = "small"


def _threads(text: str) -> int | str:
    if text != "auto" and not text.isdecimal():
        raise typer.BadParameter("expected auto, or a number")
    return text if text == "auto" else int(text)


app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def train(
    data: str,
    target: Annotated[str, typer.Option()] = "",
    epochs: Annotated[int, typer.Option(min=1)] = 40,
    batch_size: int = 32,
    rate: float = 0.5,
    drop: Annotated[list[str], typer.Option()] = [],  # noqa: B006 - Typer copies it
    hidden_layers: Annotated[list[int], typer.Option("--hidden")] = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    shuffle: bool = True,
    kind: Kind = Kind.fast,
    threads: Annotated[Any, typer.Option(parser=_threads)] = "auto",
    config: ConfigOption = "",
):
    print(json.dumps(locals()))


@app.command()
def predict(
    model: str,
    data: str,
    output: Annotated[str, typer.Option("-o", "--output")] = "",
    config: ConfigOption = "",
):
    print(json.dumps(locals()))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return ``run(text, *arguments)``: the result of a command whose config file is `text`."""
    monkeypatch.chdir(tmp_path)

    def run(text, *arguments):
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "job.toml").write_bytes(content)
        return CliRunner().invoke(app, [*arguments, "--config", "job.toml"])

    return run


def _values(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


EVERYTHING = """
data = "a.csv"
target = "y"
epochs = 7
batch-size = 8
rate = 1e-3
drop = ["a", "b"]
hidden = [3, 4]
dry_run = true
shuffle = false
kind = "small"
threads = 2
"""


def test_a_file_may_hold_any_option_and_argument(run):
    assert _values(run(EVERYTHING, "train")) == {
        "data": "a.csv",
        "target": "y",
        "epochs": 7,
        "batch_size": 8,
        "rate": 0.001,
        "drop": ["a", "b"],
        "hidden_layers": [3, 4],
        "dry_run": True,
        "shuffle": False,
        "kind": "small",
        "threads": 2,
        "config": "job.toml",
    }


def test_the_command_line_wins_over_the_file(run):
    given = ["train", "b.csv", "--epochs", "9", "--drop", "c", "--shuffle", "--kind", "fast"]
    values = _values(run(EVERYTHING, *given))
    expected = {"data": "b.csv", "epochs": 9, "drop": ["c"], "shuffle": True, "kind": "fast"}
    assert {name: values[name] for name in expected} == expected
    assert values["batch_size"] == 8  # of the file still


def test_it_wins_wherever_it_stands(run):
    assert _values(run("data = 'a'\nepochs = 7", "train"))["epochs"] == 7
    first = CliRunner().invoke(app, ["train", "--config", "job.toml", "--epochs", "3", "z"])
    last = CliRunner().invoke(app, ["train", "z", "--epochs", "3", "--config", "job.toml"])
    assert _values(first)["epochs"] == _values(last)["epochs"] == 3
    assert _values(first)["data"] == _values(last)["data"] == "z"


def test_a_table_is_for_its_command_and_wins_over_what_all_share(run):
    text = "data = 'a'\n[train]\ndata = 'b'\nepochs = 3\n[predict]\nmodel = 'm'\noutput = 'o'"
    values = _values(run(text, "train"))
    assert (values["data"], values["epochs"]) == ("b", 3)
    values = _values(run(text, "predict"))
    assert (values["model"], values["data"], values["output"]) == ("m", "a", "o")


def test_what_another_command_takes_is_passed_over(run):
    values = _values(run("epochs = 3\noutput = 'o'", "predict", "m", "d"))
    assert (values["model"], values["data"], values["output"]) == ("m", "d", "o")


def test_one_value_is_a_list_of_one_and_a_number_is_a_text(run):
    values = _values(run("data = 'a'\ndrop = 'x'\ntarget = 3\nhidden = 5", "train"))
    assert (values["drop"], values["target"], values["hidden_layers"]) == (["x"], "3", [5])


def test_without_a_file_the_defaults_hold():
    values = _values(CliRunner().invoke(app, ["train", "a"]))
    assert (values["epochs"], values["drop"], values["config"]) == (40, [], "")


def test_what_is_missing_in_both_is_still_asked_for(run):
    result = run("epochs = 3", "train")
    assert result.exit_code == 2 and "missing argument" in result.output.lower()


REFUSED = [
    ("epohcs = 3", ["epohcs", "did you mean epochs?"]),
    ("batch_sise = 3", ["batch_sise", "did you mean batch-size?"]),
    ("[trian]\nepochs = 3", ["trian", "did you mean train?"]),
    ("[predict]\noutptu = 'o'", ["[predict] outptu", "did you mean output?"]),
    ("[train]\noutput = 'o'", ["[train] output"]),
    ("config = 'other.toml'", ["config", "no such option"]),
    ("batch-size = 1\nbatch_size = 2", ["batch_size", "batch-size"]),
    ("epochs = 'ten'", ["epochs", "'ten'"]),
    ("epochs = 1.5", ["epochs", "1.5"]),
    ("epochs = 0", ["epochs", "0", "1"]),
    ("epochs = true", ["epochs", "true or false"]),
    ("epochs = [1, 2]", ["epochs", "an array"]),
    ("[train]\nhidden = [3, 'x']", ["[train] hidden", "'x'"]),
    ("drop = [['a']]", ["drop", "an array"]),
    ("target = 2024-01-01", ["target", "a date"]),
    ("target = {a = 1}", ["target", "a table"]),
    ("shuffle = 1", ["shuffle", "true or false"]),
    ("dry-run = 'yes'", ["dry-run", "true or false"]),
    ("kind = 'slow'", ["kind", "slow", "fast"]),
    ("threads = 'all'", ["threads", "all", "expected auto"]),
    ("epochs = 3\nrate =\n", ["not TOML", "line 2"]),
    ("a = 1\na = 2", ["not TOML"]),
    (b"target = 'a'\ntarget = '\xff'", ["not UTF-8", "line 2"]),
    ("# " + "x" * 2**20, ["1 MiB"]),
    ("drop = " + 9999 * "[", ["job.toml"]),
]


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[str(text)[:30] for text, _ in REFUSED])
def test_a_wrong_file_is_wrong_usage_and_says_where_and_what(run, text, words):
    result = run(text, "train", "a.csv")
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error")]
    for word in ["job.toml", "--config", *words]:
        assert word in line


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_a_file_that_cannot_be_read_is_wrong_usage(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["train", "a", "--config", name])
    assert result.exit_code == 2
    assert f"{name}: " in result.output and "Traceback" not in result.output
