"""The file of a table's model: read by others, refused where it makes no sense, never executed."""

import csv
import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import sha256

import numpy as np
import polars as pl
import pytest
from msgspec import structs
from safetensors import safe_open

from fastbp import ModelFileError, Network, TableModel, model_file, train
from table_makers import TARGETS, classes_and_probabilities, people, written

every_target = pytest.mark.parametrize("target", TARGETS)


@pytest.fixture(scope="module")
def models():
    """Return a model of all rows for each kind of target."""
    return {
        target: train(people(target=target), "y", epochs=25, valid_share=0, preset="fast")
        for target in TARGETS
    }


@pytest.fixture(scope="module")
def saved(models, tmp_path_factory):
    """Return the files of the models."""
    folder = tmp_path_factory.mktemp("saved")
    for target in TARGETS:
        models[target].save(folder / f"{target}.safetensors")
    return {target: folder / f"{target}.safetensors" for target in TARGETS}


@every_target
def test_a_model_that_is_loaded_is_the_one_that_was_saved(models, saved, target):
    model, loaded = models[target], TableModel.load(saved[target])
    assert loaded.schema == model.schema
    assert loaded.record == json.loads(json.dumps(model.record))
    assert loaded.history == model.history
    assert loaded.fingerprint == model.fingerprint
    assert loaded.predict(people(90, seed=7)).equals(model.predict(people(90, seed=7)))
    assert repr(loaded) == repr(model)


def test_its_repr_says_what_it_does(models):
    assert repr(models["number"]) == (
        "TableModel(regression of 'y' from 5 columns, "
        "Network([16, 100, 1], loss='squared_error', dtype='float32'))"
    )


def test_a_network_without_a_table_is_refused_with_advice(tmp_path):
    Network([3, 4, 2]).save(tmp_path / "net.safetensors")
    with pytest.raises(ModelFileError, match=r"without a table: .*fastbp\.Network\.load"):
        TableModel.load(tmp_path / "net.safetensors")
    with pytest.raises(FileNotFoundError, match="absent"):
        TableModel.load(tmp_path / "absent.safetensors")


def test_the_fingerprint_is_of_what_is_computed(models):
    model = models["class"]
    same = TableModel(model.network, model.schema, {}, {"seconds": 3})
    assert same.fingerprint == model.fingerprint
    other = train(people(), "y", epochs=25, valid_share=0, preset="fast")
    assert other.fingerprint == model.fingerprint
    other.network.parameters[3] += 1e-6
    assert other.fingerprint != model.fingerprint
    columns = (structs.replace(model.schema.columns[0], center=40.0), *model.schema.columns[1:])
    shifted = TableModel(model.network, structs.replace(model.schema, columns=columns))
    assert shifted.fingerprint != model.fingerprint


_SCORE = """
from fastbp import TableModel
model = TableModel.load({model!r})
print(model.fingerprint)
model.predict({data!r}).write_parquet({out!r})
"""


def test_another_process_reads_the_file(models, saved, tmp_path, run_python):
    data, out = written(tmp_path, people(90, seed=7)), tmp_path / "out.parquet"
    printed = run_python(_SCORE.format(model=str(saved["class"]), data=str(data), out=str(out)))
    assert printed.strip() == models["class"].fingerprint
    assert pl.read_parquet(out).equals(models["class"].predict(people(90, seed=7)))


_AUDITED = """
import sys
from fastbp import TableModel
TableModel.load({model!r})  # imports what reading needs
events = []
sys.addaudithook(lambda event, args: events.append(event))
model = TableModel.load({model!r})
seen = set(events)
assert "open" in seen
print(sorted(seen & {{"exec", "compile", "import", "pickle.find_class", "marshal.loads",
                     "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen",
                     "ctypes.dlopen", "code.__new__"}}))
"""


def test_nothing_in_the_file_is_executed(tmp_path, run_python):
    evil = "__import__('os').system('touch executed')"
    data = {evil: np.tile([evil, "b", "{0.__class__}"], 20), "y": np.tile([1.5, 2.5, 0.5], 20)}
    path = tmp_path / "model.safetensors"
    train(data, "y", epochs=1).save(path)
    assert evil in path.read_bytes().decode(errors="ignore")
    assert run_python(_AUDITED.format(model=str(path))).strip() == "[]"


# ------------------------------------- a reader of the file, by the README's section alone


def read_model(path):
    """Read a model file with safetensors, JSON and NumPy; check its digest."""
    with safe_open(path, "numpy") as file:
        text = file.metadata()["fastbp"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    digest = sha256(text.encode())
    for name in sorted(tensors.keys() - {"digest"}):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(tensors[name].tobytes())
    assert digest.digest() == tensors["digest"].tobytes()
    header = json.loads(text)
    assert header["version"] == 2
    return header, tensors


def layers_of(header, tensors):
    """Return W and b of each layer."""
    flat, place, layers = tensors["parameters"], 0, []
    for layer in header["layers"]:
        shape = layer["n_in"], layer["n_out"]
        W = flat[place : place + shape[0] * shape[1]].reshape(shape)
        place += W.size
        b = flat[place : place + shape[1]] if layer["bias"] else np.zeros(shape[1])
        place += shape[1] if layer["bias"] else 0
        layers.append((W, b, layer["activation"]))
    assert place == flat.size
    return layers


def feature(column, value, missing_words):
    """Return the features of one value, text of a CSV file."""
    missing = value.strip() in missing_words
    kind = column["kind"]
    if kind == "category":
        found = [float(value == category) for category in column["categories"]]
        features = [*found, float(not (missing or any(found)))] if column["other"] else found
        if effects := column.get("effects"):
            n = len(effects["on"])
            parts = [effects["means"][k : k + n] for k in range(0, len(effects["means"]), 6 * n)]
            of = dict(zip(effects["names"], parts, strict=True))
            features += [0.0] * n if any(found) else of.get(value, [0.0] * n)
    elif kind == "boolean":
        features = [0.5 if missing else float(value.lower() == "true")]
    elif kind == "number":
        scaled = 0 if missing else (float(value) - column["mean"]) / column["scale"]
        features = [scaled / np.sqrt(1 + (scaled / column["bound"]) ** 2)]
    else:
        periods = [31556952, 604800] + [86400] * column["clock"]
        t = 0 if missing else datetime.fromisoformat(value).replace(tzinfo=timezone.utc).timestamp()
        scaled = (t - column["mean"]) / column["scale"]
        features = [scaled / np.sqrt(1 + (scaled / column["bound"]) ** 2)]
        features += [f(2 * np.pi * t / period) for period in periods for f in (np.sin, np.cos)]
        features = [0] * len(features) if missing else features
    return [*features, float(missing)] if column["missing"] else features


def activated(Z, name):
    if name == "relu":
        return np.maximum(Z, 0)
    if name == "softmax":
        powers = np.exp(Z - Z.max())
        return powers / powers.sum()
    assert name == "identity"
    return Z


def predicted_by_hand(path, table):
    """Return the prediction of each row of a CSV file, and its probabilities."""
    header, tensors = read_model(path)
    schema = header["sections"]["table"]
    for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines()):
        a = []
        for column in schema["columns"]:
            a += feature(column, row[column["name"]], schema["missing_words"])
        for W, b, activation in layers_of(header, tensors):
            a = activated(a @ W.astype(float) + b, activation)
        target = schema["target"]
        if target["task"] == "regression":
            yield a[0] * target["scale"] + target["mean"], []
        else:
            yield target["classes"][int(np.argmax(a))], a


@every_target
def test_the_file_can_be_read_with_safetensors_json_and_numpy_alone(
    models, saved, target, tmp_path
):
    new = people(90, seed=7, target=target)
    found = list(predicted_by_hand(saved[target], written(tmp_path, new)))
    prediction, probabilities = classes_and_probabilities(models[target].predict(new))
    if target == "number":
        np.testing.assert_allclose([value for value, _ in found], prediction, rtol=1e-5)
    else:
        np.testing.assert_allclose([p for _, p in found], probabilities, atol=1e-5)
        assert [value for value, _ in found] == prediction.cast(pl.String).to_list()


def test_other_categories_and_times_of_day_are_read_by_hand_too(tmp_path):
    rng = np.random.default_rng(2)
    rows = 800
    names = np.array([f"town {n}" for n in range(100)])
    weights = 1 / np.arange(1, 101)
    minutes = np.datetime64("2021-05-01T00:00", "m") + rng.integers(0, 500_000, rows)
    frame = pl.DataFrame(
        {
            "town": rng.choice(names, rows, p=weights / weights.sum()),
            "at": [None if n % 9 == 0 else str(t) for n, t in enumerate(minutes)],
            "y": rng.choice(["a", "b", "c"], rows),
        }
    )
    model = train(frame, "y", epochs=5, hidden=(12, 7), max_categories=64, preset="fast")
    town, at = model.schema.columns
    assert town.other
    assert at.clock
    assert at.missing
    model.save(tmp_path / "model.safetensors")
    new = frame[:60].with_columns(
        town=pl.when(pl.int_range(60) % 5 == 0).then(pl.lit("Atlantis")).otherwise("town")
    )
    table = written(tmp_path, new)
    found = list(predicted_by_hand(tmp_path / "model.safetensors", table))
    _, probabilities = classes_and_probabilities(model.predict(table))
    np.testing.assert_allclose([p for _, p in found], probabilities, atol=1e-5)


def test_history_and_record_are_in_the_file(models, saved):
    sections = read_model(saved["flag"])[0]["sections"]
    assert sections["history"] == models["flag"].history
    assert sections["record"]["data"]["rows"] == 200
    given = {"target": "y", "epochs": 25, "valid_share": 0.0, "preset": "fast"}
    preset = {"hidden": [100], "ramps": 0, "ensemble": 1, "ensemble_by": "seeds", "dropout": 0.0}
    preset |= {"schedule": "constant", "patience": 10}
    assert sections["record"]["options"] == given | preset


# ------------------------------------------------------------------------- altered sections


def _altered(table, change):
    table = json.loads(json.dumps(table))
    change(table)
    return table


ALTERED = {
    "no columns": lambda t: t.update(columns=[]),
    "a column less": lambda t: t["columns"].pop(),
    "a column of nothing": lambda t: t["columns"][0].pop("kind"),
    "another kind": lambda t: t["columns"][0].update(kind="date"),
    "a category less": lambda t: t["columns"][1]["categories"].pop(),
    "a scale of 0": lambda t: t["columns"][0].update(scale=0.0),
    "a class less": lambda t: (t["target"]["classes"].pop(), t["target"]["counts"].pop()),
    "a class more": lambda t: (t["target"]["classes"].append("z"), t["target"]["counts"].append(1)),
    "no target": lambda t: t.pop("target"),
    "a target of another task": lambda t: t["target"].update(
        task="regression", kind="number", classes=[], counts=[]
    ),
    "words that are numbers": lambda t: t.update(missing_words=[1]),
    "an unknown part": lambda t: t.update(more=1),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_section_that_makes_no_sense_is_refused(saved, tmp_path, name):
    model = model_file.load(saved["class"])
    table = _altered(model.sections["table"], ALTERED[name])
    path = tmp_path / "altered.safetensors"
    model_file.save(path, replace(model, sections={**model.sections, "table": table}))
    with pytest.raises(ModelFileError, match=re.escape(str(path))) as caught:
        TableModel.load(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["table", "history", "record"])
@pytest.mark.parametrize("value", [None, 3, [], "x"])
def test_a_section_of_another_type_is_refused(saved, tmp_path, name, value):
    model = model_file.load(saved["class"])
    path = tmp_path / "altered.safetensors"
    model_file.save(path, replace(model, sections={**model.sections, name: value}))
    with pytest.raises(ModelFileError, match=re.escape(str(path))):
        TableModel.load(path)


def test_a_byte_that_was_altered_is_noticed(saved, tmp_path):
    content = bytearray(saved["class"].read_bytes())
    place = content.index(b"K\\\\u00f6ln")
    content[place : place + 1] = b"X"
    (tmp_path / "altered.safetensors").write_bytes(content)
    with pytest.raises(ModelFileError, match="altered"):
        TableModel.load(tmp_path / "altered.safetensors")
