"""An option is declared in one place: the command line, files, help, documentation, checks."""

import inspect
import json
import re
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import fastbp as library
from command_line import fastbp
from fastbp.commands.config import ConfigOption
from fastbp.commands.options import Command, Group, made, parser, with_options
from fastbp.commands.train import JobOptions
from fastbp.tables.declared import choice, descriptions, names_of, number, option, takes
from fastbp.tables.options import TrainOptions


@dataclass(frozen=True)
class Scratch(TrainOptions):
    """The options of a training, and one more.

    Parameters
    ----------
    label_smoothing : float, default 0.125
        Share of the ``target`` that
        goes to the other classes.
    """

    label_smoothing: float = option(number(least=0, below=1), 0.125, panel="Training")


app = typer.Typer(name="fastbp", cls=Group, rich_markup_mode=None, add_completion=False)


@app.command(cls=Command)
@with_options(Scratch)
def train(data: str, *, config: ConfigOption = "", **values):
    asked = made(Scratch, values)
    print(json.dumps({each.name: getattr(asked, each.name) for each in fields(asked)}))


@app.command()
def other():
    """Let there be several commands."""


@takes(Scratch)
def train_in_python(data, target, *, valid=None, **options):
    """Train.

    Parameters
    ----------
    data : path
        A table.
    **options
        Those of `Scratch`.

    Returns
    -------
    TableModel
    """
    return Scratch(target, **options)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return ``run(*arguments, toml="")``: the result of the command."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, toml=""):
        Path("job.toml").write_text(toml)
        more = ["--config", "job.toml"] if toml else []
        return CliRunner().invoke(app, ["train", "a.csv", "--target", "y", *arguments, *more])

    return run


def test_a_new_field_is_an_option_of_the_command_with_its_default(run):
    assert json.loads(run().output)["label_smoothing"] == 0.125
    given = json.loads(run("--label-smoothing", "0.5", "--hidden", "7,5").output)
    assert (given["label_smoothing"], given["hidden"]) == (0.5, [7, 5])


def test_a_new_field_is_in_its_panel_of_help(run):
    text = " ".join(run("--help").output.split())
    assert re.search(
        r" Training: .*--label-smoothing X Share of the target that goes to the other classes\. "
        r"\[default: 0\.125; at least 0 and less than 1\].* Job: ",
        text,
    )


def test_an_option_stands_once_in_a_file_whatever_its_spelling(run):
    line = "fastbp: --config job.toml: ids: the file has it already, as id\n"
    assert run(toml="id = 'a'\nids = 'b'").output == line


@pytest.mark.parametrize("key", ["label_smoothing", "label-smoothing"])
def test_a_new_field_may_stand_in_a_file(run, key):
    assert json.loads(run(toml=f"{key} = 0.25").output)["label_smoothing"] == 0.25
    both = run("--label-smoothing", "0.75", toml=f"[train]\n{key} = 0.25")
    assert json.loads(both.output)["label_smoothing"] == 0.75


def test_the_check_of_a_new_field_names_it_as_it_was_written(run):
    wanted = "expected a number of at least 0 and less than 1"
    done = run("--label-smoothing", "1")
    assert (done.exit_code, done.output) == (2, f"fastbp: --label-smoothing 1: {wanted}\n")
    done = run(toml="label_smoothing = 1")
    line = f"fastbp: --config job.toml: label_smoothing = 1: {wanted}\n"
    assert (done.exit_code, done.output) == (2, line)
    with pytest.raises(ValueError, match=f"^label_smoothing=1: {wanted}$"):
        train_in_python("a.csv", "y", label_smoothing=1)
    with pytest.raises(TypeError, match=f"^label_smoothing='a': {wanted}$"):
        train_in_python("a.csv", "y", label_smoothing="a")


def test_a_new_field_is_in_the_signature_and_the_documentation_of_a_function():
    parameters = inspect.signature(train_in_python).parameters
    assert list(parameters)[:3] == ["data", "target", "valid"]
    assert (parameters["label_smoothing"].default, parameters["seed"].default) == (0.125, 0)
    assert "options" not in parameters
    text = inspect.getdoc(train_in_python)
    assert "**options" not in text and "Those of" not in text
    assert re.search(r"    A table\.\n(.*\n)+label_smoothing : float.*\n(.*\n)+\nReturns\n-", text)
    assert text.count("\nepochs : int, optional\n    Passes over the data") == 1
    assert text.index("\nepochs :") < text.index("\nlabel_smoothing :")


def test_the_function_of_python_documents_every_option():
    text = inspect.getdoc(library.train)
    for each in fields(TrainOptions):
        assert len(re.findall(rf"^{each.name} : ", text, re.MULTILINE)) == 1
        assert inspect.signature(library.train).parameters[each.name]


@pytest.mark.parametrize("cls", [TrainOptions, JobOptions])
def test_every_field_is_described_in_order_and_is_in_help(cls):
    words, text = descriptions(cls), " ".join(fastbp("train", "--help").out.split())
    assert list(words) == [each.name for each in fields(cls)]
    for each in fields(cls):
        name = max(names_of(each), key=len).replace("/", " / ")
        shown = f"{name} {each.metadata['kind'].metavar}".strip()
        assert f" {shown} {words[each.name].replace('``', '')}" in text


def test_the_panels_of_help():
    headings = re.findall(r"^(\w+):$", fastbp("train", "--help").out, re.MULTILINE)
    assert headings == ["Arguments", "Data", "Network", "Training", "Job", "Reading", "Options"]


def test_the_layers_in_a_file_may_be_an_array(run):
    assert json.loads(run(toml="hidden = [9, 8]").output)["hidden"] == [9, 8]
    assert json.loads(run(toml="hidden = []").output)["hidden"] == []
    assert json.loads(run(toml="hidden = 9").output)["hidden"] == [9]
    assert "hidden = [9, 0]: expected units" in run(toml="hidden = [9, 0]").output


def test_words_for_missing_values_are_added_to_the_default_ones(run):
    found = json.loads(run("--missing", "nix", toml="").output)["missing"]
    assert found[-1] == "nix" and {"", "NA", "?"} < set(found)
    assert json.loads(run(toml="missing = 'nix'").output)["missing"] == found


WRONG_USAGE = [
    ([], "missing argument 'DATA...'. See fastbp train --help"),
    (["a", "--epochs"], "option '--epochs' requires an argument"),
    (["a", "--epochz", "3"], "no such option: --epochz"),
    (["a", "--target", "y", "--epochs", "1.5"], "--epochs 1.5: expected a whole number of at "),
    (["a", "--target", "y", "--seed", "9" * 30], "--seed 9999"),
    (["a", "--target", "y", "--optimizer", "adma"], "--optimizer adma: did you mean 'adam'? "),
    (["a", "--target", "y", "--dtype", "float16"], "--dtype float16: expected one of float32, "),
    (["a", "--target", "y", "--task", "-"], "--task -: expected one of "),
    (["a", "--target", "y", "--log", "xml"], "--log xml: expected one of text, json"),
    (["a", "--target", "y", "-o", "m.csv"], "--output 'm.csv': that is the name of a table"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG_USAGE, ids=[w for _, w in WRONG_USAGE])
def test_wrong_usage_is_one_line_in_one_style(arguments, words):
    done = fastbp("train", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"fastbp: {words}")


def test_without_a_command_help_is_shown():
    done = fastbp()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: ") and "Commands:" in done.err


def test_an_empty_text_gives_no_value_to_an_option_that_needs_none():
    kind = choice("a", "b")
    assert parser(kind, is_optional=True)("") is None
    with pytest.raises(typer.BadParameter, match="expected one of a, b"):
        parser(kind)("")
