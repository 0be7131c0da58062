"""Model files and checkpoints that chance changes: loaded exactly, or refused with one line."""

import json
import os
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from damage_bytes import damaged
from fastbp import Adam, Cosine, Ensemble, ModelFileError, Network, WarmUp, model_file
from fastbp.ensemble import networks_of
from fastbp.training.checkpoints import Checkpoints
from fastbp.training.history import History
from fastbp.training.state import SECTION, from_model

pytestmark = pytest.mark.slow
CASES = 5000
LONGEST = 600  # characters of a message
ODD = (
    None,
    True,
    -1,
    0,
    1.5,
    1e300,
    2**70,
    "",
    "x",
    "relu",
    "9" * 5000,
    [],
    [1],
    [[]],
    {},
    {"a": 1},
)
X, Y = np.ones((8, 3), np.float32), np.ones((8, 2), np.float32)


def net(seed):
    schedule = WarmUp(epochs=1, after=Cosine(epochs=3))
    return Network([3, 4, 2], optimizer=Adam(1e-2, clip_norm=1.0, schedule=schedule), seed=seed)


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Return the bytes of a network, an ensemble and a checkpoint."""
    folder = tmp_path_factory.mktemp("models")
    net(0).fit(X, Y, epochs=3, batch_size=4, checkpoints=folder / "kept")
    net(0).save(folder / "net")
    Ensemble([net(0), net(1)]).save(folder / "ensemble")
    newest = Checkpoints(folder / "kept").files()[0]
    return [path.read_bytes() for path in (folder / "net", folder / "ensemble", newest)]


def used(content):
    """Load what a file holds as far as it goes; ModelFileError if it cannot be."""
    model = model_file.from_bytes(content, "the file")
    networks = networks_of(model, "the file")
    if SECTION in model.sections:
        key = (
            model.sections[SECTION].get("key") if isinstance(model.sections[SECTION], dict) else {}
        )
        from_model(model, key if isinstance(key, dict) else {}, History(model.dtype))
    return networks


def judge(content, most):
    """Use a file; return whether it could be, and check what is said if not, and the memory."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        used(content)
        fine = True
    except (ModelFileError, ValueError) as error:
        fine, text = False, str(error)
        assert len(text) < LONGEST and "\n" not in text, text
        assert isinstance(error, ModelFileError) or "resume" in text, repr(error)
    assert tracemalloc.get_traced_memory()[1] - before < most
    return fine


def most_memory(content):
    """Return what a load may take: twice the file, its JSON as objects, and 200 kB."""
    header = int.from_bytes(content[:8], "little")
    return 2 * len(content) + 12 * min(header, len(content)) + 200_000


def changed(data, rng):
    """Return JSON data with one of its values gone, another, or twice."""
    place, parent = data, None
    while isinstance(place, dict | list) and len(place) and (parent is None or rng.random() < 0.8):
        keys = list(place) if isinstance(place, dict) else range(len(place))
        parent, key = place, keys[rng.integers(len(keys))]
        place = place[key]
    choice = rng.integers(4)
    if choice == 0:
        del parent[key]
    elif choice == 1 and isinstance(parent, list):
        parent.append(place)
    else:
        parent[key] = ODD[rng.integers(len(ODD))]
    return data


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_bytes_that_chance_damages(contents, traced):
    for seed in range(CASES):
        good = contents[seed % len(contents)]
        bad = damaged(good, seed)
        fine = judge(bad, most_memory(bad))
        assert fine == (bad == good)


def test_descriptions_that_chance_changes(contents, traced):
    fine = 0
    for seed in range(CASES):
        rng = np.random.default_rng(seed)
        good = contents[seed % len(contents)]
        tensors = dict(model_file.deserialize(good))
        length = int.from_bytes(good[:8], "little")
        header = json.loads(json.loads(good[8 : 8 + length])["__metadata__"]["fastbp"])
        for _ in range(rng.integers(1, 3)):
            header = changed(header, rng)
        if rng.random() < 0.2:
            name = sorted(tensors)[rng.integers(len(tensors))]
            tensors[name] = tensors[name].reshape(-1)[: rng.integers(4)]
        content = rewritten(json.dumps(header), tensors)
        fine += judge(content, most_memory(content))
    assert 0 < fine < CASES  # some changes leave a network that can be


def rewritten(header, tensors):
    """Return the file of a description and tensors, with the digest that suits them."""
    tensors.pop("digest", None)
    digest = model_file._digest(header, tensors)
    return model_file.serialize({**tensors, "digest": digest}, {"fastbp": header})


LOADED = """
from pathlib import Path
from fastbp import Ensemble, Network
from fastbp.training.checkpoints import Checkpoints

def kibibytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

def load(folder):
    {load}

load(Path("{folder}/small"))
Path("/proc/self/clear_refs").write_text("5")  # the peak is what is taken now
before = kibibytes("VmRSS")
load(Path("{folder}/large"))
print(kibibytes("VmHWM") - before)
"""


def saved(kind, folder, sizes):
    """Write a file of some kind for three networks, or one, of these sizes; return its bytes."""
    nets = [Network(sizes, seed=seed) for seed in range(3)]
    if kind == "checkpoint":
        ones = [np.ones((2, n), np.float32) for n in (sizes[0], sizes[-1])]
        nets[0].fit(*ones, epochs=1, checkpoints=folder)
        path = Checkpoints(folder).files()[0]
    else:
        path = folder / "it"
        folder.mkdir()
        (Ensemble(nets) if kind == "ensemble" else nets[0]).save(path)
    return path.stat().st_size


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="no peak to reset")
@pytest.mark.parametrize(
    ("kind", "load"),
    [
        ("network", 'Network.load(folder / "it")'),
        ("ensemble", 'Ensemble.load(folder / "it")'),
        ("checkpoint", "Checkpoints(folder).latest()"),
    ],
)
def test_a_load_takes_twice_the_file_and_10_mib(run_python, tmp_path, kind, load):
    saved(kind, tmp_path / "small", [3, 2])
    size = saved(kind, tmp_path / "large", [2000, 1500, 100]) // 1024
    taken = int(run_python(LOADED.format(load=load, folder=tmp_path)))
    assert size > 36 * 1024
    assert taken < 2 * size + 10 * 1024  # the system gives huge pages of 2 MiB


def test_a_file_as_it_is_has_the_same_bits(contents):
    for content in contents:
        model = model_file.from_bytes(content)
        assert model_file.to_bytes(replace(model)) == content
