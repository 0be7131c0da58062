"""Paths that are no tables, outputs that cannot be."""

import os
import sys
from datetime import timedelta

import polars as pl
import pytest

from damage import (
    BAD_DATA,
    CSV,
    DONE,
    FAILED,
    FORMATS,
    GOOD,
    TINY,
    TRAIN,
    USAGE,
    as_csv,
    as_parquet,
    bench,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
__all__ = ["bench"]  # a fixture


def _folder(**files):
    """Return a function that makes a folder of files, and returns its name."""

    def make(bench):
        (bench.folder / "rows").mkdir()
        for name, content in files.items():
            bench.put(f"rows/{name.replace('_', '.')}", content)
        return "rows"

    return make


def _link(name, to):
    def make(bench):
        (bench.folder / name).symlink_to(to)
        return name

    return make


def _file(name):
    def make(bench):
        bench.put(name, CSV)
        return name

    return make


def _made(name, make):
    def made(bench):
        make(bench.folder / name)
        return name

    return made


PATHS = {
    "nothing": lambda bench: "absent.csv",
    "a glob of nothing": lambda bench: "absent-*.csv",
    "an empty folder": _folder(),
    "a folder named as a file": _made("rows.csv", os.mkdir),
    "a folder of other files": _folder(README_txt=b"hello"),
    "a folder of two formats": _folder(a_csv=CSV, b_parquet=FORMATS["parquet"]),
    "a folder whose columns differ": _folder(a_csv=CSV, b_csv=as_csv(GOOD.drop("city"))),
    "a folder whose types differ": _folder(
        a_parquet=as_parquet(GOOD), b_parquet=as_parquet(GOOD.with_columns(age="city"))
    ),
    "a folder with one that is cut": _folder(
        a_parquet=as_parquet(GOOD), b_parquet=as_parquet(GOOD)[:-50]
    ),
    "a folder with one that is empty": _folder(a_csv=CSV, b_csv=b""),
    "a folder with one that is ragged": _folder(a_csv=CSV, b_csv=CSV[:-20]),
    "a link to nothing": _link("link.csv", "absent.csv"),
    "a link to itself": _link("loop.csv", "loop.csv"),
    "a link to a device": _link("zero.csv", "/dev/zero"),
    "a link to a device, as Parquet": _link("zero.parquet", "/dev/zero"),
    "a link to no bytes": _link("null.ndjson", "/dev/null"),
    "a pipe": _made("pipe.csv", getattr(os, "mkfifo", None)),
    "a pipe, as Parquet": _made("pipe.parquet", getattr(os, "mkfifo", None)),
    "a pipe, as arrays": _made("pipe.npz", getattr(os, "mkfifo", None)),
    "a pipe, as NDJSON": _made("pipe.ndjson", getattr(os, "mkfifo", None)),
    "a suffix of another format": _file("good.xlsx"),
    "no suffix": _file("good"),
    "a model": lambda bench: "m.safetensors",
    "a device": lambda bench: "/dev/null",
    "a name too long": lambda bench: "x" * 300 + ".csv",
    "a path too long": lambda bench: "x/" * 3000 + "a.csv",
    "an empty name": lambda bench: "",
    "an address that nobody has": lambda bench: "http://localhost:9/good.csv",
    "an address of no kind": lambda bench: "gopher://localhost/good.csv",
    "a bracket": lambda bench: "good[.csv",
    "below a file": lambda bench: "good.csv/rows.csv",
}
UNPRINTABLE = ["a\x1b[31m.csv", "a\nb.csv", "a\udcff.csv", "a\u202e.csv", "\t.csv"]


def _with_data(command, name):
    """Return the arguments of a command that reads a table, and what it writes."""
    return {
        "train": (["train", name, "--target", "y", *TINY], "out.safetensors"),
        "validate": ([*TRAIN, "--valid", name], "out.safetensors"),
        "predict": (["predict", "m.safetensors", name], "out.csv"),
        "evaluate": (["evaluate", "m.safetensors", name], None),
    }[command]


@posix
@pytest.mark.parametrize("command", ["train", "validate", "predict", "evaluate"])
@pytest.mark.parametrize("kind", PATHS)
def test_a_path_that_is_no_table_is_named(bench, kind, command):
    name = PATHS[kind](bench)
    arguments, output = _with_data(command, name)
    usable = [("an empty name", "validate"), ("a folder whose types differ", "train")]
    # no rows to validate on are named; all numbers are text; the content says what it is
    if (kind, command) in usable or kind in ("a suffix of another format", "no suffix"):
        bench.judge(*arguments, output=output, codes=(DONE,))
    else:
        bench.judge(*arguments, output=output, words=(name[:100],))


@posix
@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
@pytest.mark.parametrize("name", UNPRINTABLE, ids=ascii)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_name_that_cannot_be_printed_is_escaped(bench, name, command, is_there):
    if is_there:
        bench.put(name, CSV)
    arguments, output = _with_data(command, name)
    bench.judge(*arguments, output=output, words=("printable", ascii(name)[1:-1].split("\\")[0]))


MODELS = {
    "nothing": lambda bench: "absent.safetensors",
    "a folder": _folder(),
    "a link to nothing": _link("link.safetensors", "absent"),
    "a link to itself": _link("loop.safetensors", "loop.safetensors"),
    "a pipe": _made("pipe.safetensors", getattr(os, "mkfifo", None)),
    "a device": lambda bench: "/dev/zero",
    "an empty name": lambda bench: "",
    "a name too long": lambda bench: "x" * 300,
    "a name with a line end": lambda bench: "a\nb",
    "a name of control characters": lambda bench: "a\x1b[31m",
    "below a file": lambda bench: "good.csv/m.safetensors",
}


@posix
@pytest.mark.parametrize("command", ["predict", "evaluate", "info", "report", "export"])
@pytest.mark.parametrize("kind", MODELS)
def test_a_path_that_is_no_model_is_named(bench, kind, command):
    name = MODELS[kind](bench)
    data = ["good.csv"] if command in ("predict", "evaluate") else []
    output = {"predict": "out.csv", "report": "out.html", "export": "out.c"}.get(command)
    shown = ascii(name)[1:-1].split("\\")[0]
    bench.judge(command, name, *data, output=output, words=(shown,))


OUTPUTS = {
    "a folder": _folder(),
    "a folder that is not there": lambda bench: "absent/out",
    "below a file": lambda bench: "good.csv/out",
    "a device": lambda bench: "/dev/null",
    "a pipe": _made("pipe", getattr(os, "mkfifo", None)),
    "a link to a folder": lambda bench: _link("out", _folder()(bench))(bench),
    "a name too long": lambda bench: "x" * 300,
    "a loop of links": _link("loop", "loop"),
    "through a loop": lambda bench: _link("loop", "loop")(bench) + "/out",
}


@posix
@pytest.mark.parametrize("command", ["train", "predict", "report", "export"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_an_output_that_cannot_be_written_is_named(bench, kind, command):
    name = OUTPUTS[kind](bench)
    arguments = {"train": TRAIN, "predict": ["predict", "m.safetensors", "good.csv"]}
    arguments = arguments.get(command, [command, "m.safetensors"])
    word = "255 bytes" if kind == "a name too long" else name
    bench.judge(*arguments, "-o", name, codes=(USAGE,), words=("--output", word))


@pytest.mark.parametrize(
    "name", ["out", "out.txt", "out.csv.gz", "out.safetensors", ".csv/", ".csv"]
)
@pytest.mark.parametrize("command", ["predict", "export"])
def test_an_output_of_another_format_is_refused(bench, name, command):
    data = ["good.csv"] if command == "predict" else []
    bench.judge(command, "m.safetensors", *data, "-o", name, codes=(USAGE,), words=(name,))


OWN = {
    "train": (["train", "good.csv", "--target", "y"], "good.csv"),
    "train, a folder": (["train", "rows", "--target", "y"], "rows/a.csv"),
    "train, its validation": ([*TRAIN, "--valid", "rows"], "rows/a.csv"),
    "train, a link": (["train", "link", "--target", "y"], "rows/a.csv"),
    "predict": (["predict", "m.safetensors", "good.csv"], "good.csv"),
    "predict, by another path": (["predict", "m.safetensors", "good.csv"], "rows/../good.csv"),
    "report": (["report", "m.safetensors"], "m.safetensors"),
}


@posix
@pytest.mark.parametrize("kind", OWN)
def test_no_command_writes_over_what_it_reads(bench, kind):
    _folder(a_csv=CSV)(bench)
    _link("link", "rows")(bench)
    arguments, output = OWN[kind]
    bench.judge(*arguments, "-o", output, codes=(USAGE,), words=(output,))


@pytest.mark.parametrize("name", ["model.csv", "model.parquet", "model.CSV.gz", "model.npz"])
def test_a_model_is_not_named_as_a_table(bench, name):
    bench.judge(*TRAIN, "-o", name, codes=(USAGE,), words=(name, "safetensors"))


KEPT = {
    "list": pl.Series([[1, 2]] * len(GOOD)),
    "bytes": pl.Series([b"a"] * len(GOOD)),
    "duration": pl.Series([timedelta(1)] * len(GOOD)),
    "struct": pl.Series([{"a": 1}] * len(GOOD)),
}


@pytest.mark.parametrize("kind", KEPT)
def test_a_column_that_csv_cannot_hold_is_named(bench, kind):
    bench.put("more.parquet", as_parquet(GOOD.with_columns(more=KEPT[kind])))
    arguments = ["predict", "m.safetensors", "more.parquet", "--keep", "more"]
    bench.judge(*arguments, output="out.csv", codes=(BAD_DATA,), words=("'more'", ".parquet"))
    bench.judge(*arguments, output="out.parquet", codes=(DONE,))


@posix
@pytest.mark.parametrize("name", ["absent.toml", ".", "/dev/zero", "good.csv/a.toml", "x" * 300])
@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_a_path_that_is_no_file_of_options_is_named(bench, name, command):
    arguments, output = _with_data(command, "good.csv")
    bench.judge(*arguments, "--config", name, output=output, codes=(USAGE,), words=(name,))


not_root = pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may do all")


@posix
@not_root
@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_a_table_that_may_not_be_read_is_named(bench, command):
    bench.put("secret.csv", CSV)
    (bench.folder / "secret.csv").chmod(0)
    arguments, output = _with_data(command, "secret.csv")
    bench.judge(*arguments, output=output, codes=(BAD_DATA,), words=("secret.csv", "permission"))


@posix
@not_root
@pytest.mark.parametrize("command", ["info", "report"])
def test_a_model_that_may_not_be_read_is_named(bench, command):
    (bench.folder / "m.safetensors").chmod(0)
    output = "out.html" if command == "report" else None
    words = ("m.safetensors", "permission")
    bench.judge(command, "m.safetensors", output=output, codes=(FAILED, BAD_DATA), words=words)


@posix
@not_root
@pytest.mark.parametrize("command", ["train", "predict"])
def test_a_folder_that_may_not_be_written_is_named(bench, command):
    (bench.folder / "fixed").mkdir(mode=0o500)
    arguments, output = _with_data(command, "good.csv")
    bench.judge(*arguments, "-o", f"fixed/{output}", codes=(USAGE,), words=("fixed",))
