"""A sample of damaged inputs, each in a process of its own; `test_damaged_input` has them all."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from command_line import in_a_process
from damage import BAD_DATA, CSV, DONE, FORMATS, TINY, USAGE, as_npz, contents, model_content
from damage_bytes import damaged
from damage_models import foreign, rewritten
from damage_tables import csv_cases

pytestmark = pytest.mark.slow
_CSV = {case.name: case.content for cases in csv_cases().values() for case in cases}
_TRAIN = ("--target", "y", *TINY, "-o", "out.safetensors")
_OBJECTS = as_npz(y=[0, 1] * 20, city=[{}] * 40)


def _train(name, file="bad.csv", **options):
    return (_CSV[name], file, ("train", file, *_TRAIN), options)


def _predict(content, file):
    return content, file, ("predict", "m.safetensors", file, "-o", "out.csv"), {}


def _model(content, *arguments):
    return content, "bad.safetensors", arguments, {}


# the content, its file, the command, and what may be other than bad data
CASES = {
    "an empty file": _train("empty"),
    "a ragged row": _train("a short row"),
    "a character that is cut": _train("a character that is cut"),
    "NUL": _train("NUL in a field"),
    "100,000 columns": _train("100,000 columns"),
    "a mark of UTF-8": _train("a mark of UTF-8", code=DONE),
    "half of a Parquet file": _predict(FORMATS["parquet"][:3000], "bad.parquet"),
    # threads of polars panic at it, which is native code's to tell
    "an Arrow file that is altered": _predict(damaged(FORMATS["arrow"], 30), "bad.arrow"),
    "NDJSON that is text": _predict(b"hello\n" * 30, "bad.ndjson"),
    "objects in an archive": _predict(_OBJECTS, "bad.npz"),
    "no table": _predict(b"\x89PNG\r\n\x1a\n" + bytes(99), "bad.xlsx"),
    "a pickle for a model": _model(
        foreign()["a pickle that executes"], "predict", "bad.safetensors", "good.csv"
    ),
    "a model that is cut": _model(model_content()[:-1], "info", "bad.safetensors"),
    "a model of another table": _model(
        rewritten(table=None), "evaluate", "bad.safetensors", "good.csv"
    ),
    "a file of options": (
        b"epochs = ",
        "bad.toml",
        ("train", "good.csv", "--config", "bad.toml", *_TRAIN),
        {"code": USAGE},
    ),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Return how each command ended, and its folder before and after; two run at a time."""

    def run(name):
        content, file, arguments, _ = CASES[name]
        folder = tmp_path_factory.mktemp("case")
        for path, data in ((file, content), ("good.csv", CSV), ("m.safetensors", model_content())):
            (folder / path).write_bytes(data)
        before = contents(folder)
        if arguments[0] == "train":
            arguments = (*arguments, "--log", "json")
        return in_a_process(*arguments, folder=folder), before, contents(folder)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CASES, pool.map(run, CASES), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_process_ends_with_a_code_and_a_line(outcomes, name):
    _, file, arguments, options = CASES[name]
    (done, before, after), code = outcomes[name], options.get("code", BAD_DATA)
    assert done.code == code, done.err
    if code == DONE:
        assert done.err == ""
        assert after.keys() - before.keys() == {"out.safetensors"}
        return
    assert after == before
    assert file in done.complaint
    if code == BAD_DATA:
        assert done.err == f"{done.complaint}\n"
        if arguments[0] == "train":
            error = json.loads(done.out.splitlines()[-1])
            assert (error["event"], error["code"]) == ("error", BAD_DATA)
            assert done.complaint == f"fastbp: {error['message']}"
