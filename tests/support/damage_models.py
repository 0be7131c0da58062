"""Damaged model files: what is wrong with each, and the commands that can use it all the same."""

import gzip
import io
import json
import os
import pickle
import zipfile
from dataclasses import replace

import numpy as np
from safetensors.numpy import save as serialize

from damage import CSV, FORMATS, as_npz, model_content
from fastbp import Network, model_file

SHARES = (0.001, 0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.999)


class _Trap:
    """A pickle of it makes a file where it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def _packed(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def _with_header(text, tensors=b""):
    header = text.encode() if isinstance(text, str) else text
    return len(header).to_bytes(8, "little") + header + tensors


def foreign():
    """Return what is no model file, by what it is."""
    good = model_content()
    zeros = {"weight": np.zeros((3, 4), np.float32)}
    bomb = _packed("archive/data.pkl", b"\0" * 10_000_000)
    return {
        "nothing": b"",
        "one byte": b"\0",
        "seven bytes": good[:7],
        "eight bytes": good[:8],
        "zeros": bytes(4096),
        "ones": b"\xff" * 4096,
        "a CSV": CSV,
        "a Parquet file": FORMATS["parquet"],
        "an Arrow file": FORMATS["arrow"],
        "an archive of NumPy": as_npz(a=np.zeros(3)),
        "a pickle": pickle.dumps(zeros),
        "a pickle that executes": pickle.dumps(_Trap()),
        "a file of PyTorch that executes": _packed("archive/data.pkl", pickle.dumps(_Trap())),
        "a bomb of zeros": bomb,
        "a packed model": gzip.compress(good),
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
        "a page": b"<html><body>404 Not Found</body></html>",
        "a pointer of git LFS": b"version https://git-lfs.github.com/spec/v1\nsize 12345\n",
        "tensors of another program": serialize(zeros),
        "tensors in the format of PyTorch": serialize(zeros, {"format": "pt"}),
        "an empty description": serialize(zeros, {"fastbp": "{}"}),
        "a header of length 0": bytes(8) + good[8:],
        "a header beyond the file": (2**40).to_bytes(8, "little") + good[8:],
        "a header of 2**63": (2**63).to_bytes(8, "little") + good[8:],
        "a header of 2**64 - 1": b"\xff" * 8 + good[8:],
        "a header one byte too short": _other_length(good, -1),
        "a header one byte too long": _other_length(good, 1),
        "a header that is no JSON": _with_header("x" * 1000),
        "a deep header": _with_header("[" * 200_000),
        "a header of deep objects": _with_header('{"a":' * 100_000),
        "a number of 10,000 digits": _with_header(f'{{"__metadata__":{"9" * 10_000}}}'),
        "a tensor beyond the file": _with_header(
            '{"parameters":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'
        ),
        "a shape that overflows": _with_header(
            '{"parameters":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'
        ),
        "UTF-16 in front": b"\xff\xfe" + good,
        "line ends changed": good.replace(b"\n", b"\r\n") + b"\r\n",
        "read as text": good.decode("utf-8", "replace").encode(),
        "two models": good + good,
        "a byte more": good + b"\0",
        "without its first byte": good[1:],
        "without a byte in the middle": good[: len(good) // 2] + good[len(good) // 2 + 1 :],
        **{f"{share:.1%} of it": good[: int(share * len(good))] for share in SHARES},
    }


def _other_length(content, by):
    length = int.from_bytes(content[:8], "little") + by
    return length.to_bytes(8, "little") + content[8:]


def rewritten(**sections):
    """Return the good model with other sections, and the digest that suits them.

    A function is given the section and returns what stands in its place; None takes it away.
    """
    model = model_file.from_bytes(model_content())
    changed = dict(model.sections)
    for name, change in sections.items():
        section = json.loads(json.dumps(changed.pop(name)))
        if change is not None:
            changed[name] = change(section) if callable(change) else change
    return model_file.to_bytes(replace(model, sections=changed))


def _set(*path, value):
    """Return a change of JSON: another value at a path."""

    def change(data):
        place = data
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return data

    return change


def _without(*path):
    def change(data):
        place = data
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]
        return data

    return change


def nonsense():
    """Return models whose table is nonsense, by what it says; their digests are right."""
    changes = {
        "no columns": _set("columns", value=[]),
        "columns that are text": _set("columns", value="age"),
        "columns that are numbers": _set("columns", value=[1, 2]),
        "a column less": lambda data: data | {"columns": data["columns"][1:]},
        "a column twice": lambda data: data | {"columns": data["columns"] * 2},
        "a kind unknown": _set("columns", 0, "kind", value="vector"),
        "a scale of 0": _set("columns", 0, "scale", value=0.0),
        "a scale below 0": _set("columns", 0, "scale", value=-1.0),
        "a mean that is text": _set("columns", 0, "mean", value="much"),
        "a mean beyond floats": _set("columns", 0, "mean", value=10**400),
        "a name that is a number": _set("columns", 0, "name", value=5),
        "categories out of order": _set("columns", 1, "categories", value=["b", "a"]),
        "a field unknown": _set("columns", 0, "code", value="import os"),
        "a field missing": _without("columns", 0, "kind"),
        "no target": _without("target"),
        "a target that is text": _set("target", value="y"),
        "a task unknown": _set("target", "task", value="ranking"),
        "one class": _set("target", "classes", value=["rich"]),
        "a class more": lambda data: (
            data | {"target": data["target"] | {"classes": ["a", "b", "c"], "counts": [1, 1, 1]}}
        ),
        "a regression": lambda data: (
            data
            | {
                "target": data["target"]
                | {"task": "regression", "kind": "number", "classes": [], "counts": []}
            }
        ),
        "counts below 0": _set("target", "counts", value=[-1, 5]),
        "ids that are a number": _set("ids", value=7),
        "words that are numbers": _set("missing_words", value=[1]),
        "a list": lambda data: [data],
        "null": lambda data: None,
        "text": lambda data: "a table",
    }
    return {f"a table with {what}": rewritten(table=change) for what, change in changes.items()}


def odd_records():
    """Return models whose record or history is odd: predicting needs neither."""
    records = {
        "a list": [1],
        "text": "record",
        "null": None,
        "a number": 5,
        "nothing": {},
        "only a version": {"fastbp": "1"},
        "data that is text": {"data": "people.csv"},
        "data without rows": {"data": {"name": "people.csv"}},
        "versions that are a list": {"fastbp": "1", "versions": [1]},
        "metrics that are a list": {"metrics": [1]},
        "scores that are text": {"metrics": {"valid": {"accuracy": "high", "rows": 3}}},
        "scores without rows": {"metrics": {"valid": {"accuracy": 0.5}}},
        "seconds that are text": {"seconds": "long", "peak": "high"},
        "a confusion of another shape": {"confusion": [[1, 2, 3]]},
        "a confusion that is text": {"confusion": "total"},
        "residuals that are a number": {"residuals": 5},
        "residuals without a histogram": {"residuals": {"actual": [1], "predicted": [1, 2]}},
    }
    histories = {
        "a list": [1],
        "null": None,
        "text in it": {"loss": "low"},
        "text for numbers": {"loss": ["low"], "seconds": ["long"]},
        "lengths that differ": {"loss": [1.0, 2.0], "val_loss": [1.0]},
        "one that is deep": {"loss": [[1.0]]},
        "a number": {"loss": 3},
    }
    made = {f"a record: {what}": rewritten(record=record) for what, record in records.items()}
    made |= {f"a history: {what}": rewritten(history=lists) for what, lists in histories.items()}
    model = model_file.from_bytes(model_content())
    model.params[3] = np.nan
    return made | {"parameters that are NaN": model_file.to_bytes(model)}


def net_alone(folder):
    """Return the bytes of a network without a table."""
    path = folder / "net.safetensors"
    Network([3, 2, 1]).save(path)
    content = path.read_bytes()
    path.unlink()
    return content
