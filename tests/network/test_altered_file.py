"""Model files that are damaged, foreign or nonsense: `ModelFileError`, and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from fastbp import Adam, Cosine, ModelFileError, Network, model_file


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Return the content of the file of a small trained network."""
    rng = np.random.default_rng(8)
    net = Network([4, 5, 3], "tanh", "cross_entropy", Adam(schedule=Cosine(7)))
    net.fit(rng.normal(size=(30, 4)), rng.integers(0, 3, 30), epochs=2, batch_size=8)
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    net.save(path)
    return path.read_bytes()


@pytest.fixture
def read(tmp_path):
    """Return a function that loads content from a file."""

    def load(content):
        (tmp_path / "m.safetensors").write_bytes(content)
        return Network.load(tmp_path / "m.safetensors")

    return load


def changed(content, place, value):
    return content[:place] + bytes([value]) + content[place + 1 :]


def header_end(content):
    return 8 + int.from_bytes(content[:8], "little")


def is_read(read, content):
    """Return whether content is read as if nothing were wrong with it."""
    try:
        read(content)
    except ModelFileError as error:
        assert "m.safetensors" in str(error)
        return False
    return True


def survivors(read, contents):
    """Return the names of those of the named contents that are read."""
    return [name for name, content in contents if is_read(read, content)]


def test_the_content_as_it_is_loads(read, content):
    # without this, whatever the other tests write could be refused for another reason
    assert read(content).loss == "cross_entropy"


def test_any_flipped_bit_of_the_header_is_seen(read, content):
    flips = (
        ((place, bit), changed(content, place, content[place] ^ 1 << bit))
        for place in range(header_end(content))
        for bit in range(8)
    )
    assert survivors(read, flips) == []


def test_any_other_letter_in_the_header_is_seen(read, content):
    # F32 with another letter is a dtype of the same size; other digits are other shapes
    letters = (
        (content[place - 20 : place + 8], changed(content, place, ord(letter)))
        for place in range(8, header_end(content))
        for letter in "IUC019{"
        if content[place] != ord(letter)
    )
    assert survivors(read, letters) == []


def test_a_change_of_any_tensor_byte_is_seen(read, content):
    places = range(header_end(content), len(content))
    changes = ((place, changed(content, place, content[place] ^ 1)) for place in places)
    assert survivors(read, changes) == []


def test_truncation_at_any_length_is_seen(read, content):
    assert survivors(read, ((n, content[:n]) for n in range(len(content)))) == []


def test_more_bytes_at_the_end_are_seen(read, content):
    extras = [b"\0", b"\0" * 64, content]
    assert survivors(read, ((extra, content + extra) for extra in extras)) == []


@pytest.mark.parametrize(
    "junk",
    [b"", b"{}", b"\0" * 8, b"\xff" * 100, b"PK\x03\x04" * 50, b"\x80\x04]\x94." * 20],
    ids=["empty", "JSON", "no header", "all ones", "zip", "pickle"],
)
def test_what_is_no_safetensors_file_is_refused(read, junk):
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        read(junk)


@pytest.mark.parametrize("metadata", [None, {"fastbp": "{}"}, {"fastbp": "5"}, {"format": "pt"}])
@pytest.mark.parametrize("names", [(), ("parameters",), ("parameters", "moments"), ("weight",)])
def test_a_safetensors_file_of_another_program_is_refused(read, metadata, names):
    content = serialize({name: np.zeros(3, np.float32) for name in names}, metadata)
    with pytest.raises(ModelFileError):
        read(content)


def test_a_safetensors_file_whose_metadata_is_null_is_refused(read):
    header = b'{"__metadata__":null}'
    with pytest.raises(ModelFileError, match="not one that fastbp wrote"):
        read(len(header).to_bytes(8, "little") + header)


def described(content, text):
    """Return content with `text` for its description, and the digest that suits it."""
    tensors = deserialize(content)
    return serialize({**tensors, "digest": model_file._digest(text, tensors)}, {"fastbp": text})


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "9" * 5_000], ids=["empty", "cut", "deep", "long"]
)
def test_a_description_that_cannot_be_parsed_is_refused(read, content, text):
    with pytest.raises(ModelFileError):
        read(described(content, text))


def test_schedules_too_deep_for_the_stack_are_refused(read, content):
    # the depth at which the parser is content and what builds the schedules is not
    header = json.loads(model_file._metadata(content)["fastbp"])
    header["optimizer"]["schedule"] = "here"
    before, after = json.dumps(header).split('"here"')
    warm_up = '{"name": "warm_up", "after": '
    for depth in range(800, 1000):
        schedule = warm_up * depth + '{"name": "constant"}' + "}" * depth
        is_read(read, described(content, before + schedule + after))


def test_another_version_is_named(read, monkeypatch, content):
    ours, model = model_file.OF_SEVERAL, model_file.from_bytes(content)
    monkeypatch.setattr(model_file, "FORMAT_VERSION", ours + 1)
    newer = model_file.to_bytes(model)
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match=f"version {ours + 1}.*versions 2 and {ours}"):
        read(newer)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        Network.load(tmp_path / "missing.safetensors")
    with pytest.raises((FileNotFoundError, ModelFileError), match=tmp_path.name):
        Network.load(tmp_path)


# what can be written but describes no network: kernels trust their plan, so that a
# layer which does not fit the one before would read memory of others
def _layer(place, **changes):
    def change(model):
        specs = list(model.specs)
        specs[place] = replace(specs[place], **changes)
        return {"specs": tuple(specs)}

    return change


def _as(dtype):
    return lambda model: {
        "dtype": dtype,
        "params": model.params.astype(dtype),
        "moments": model.moments.astype(dtype),
    }


def _no_layer(model):
    return {"specs": (), "params": model.params[:0], "moments": model.moments[:0]}


# W(2) with 6 rows for the 5 outputs before it, and as many parameters as that takes
def _rows_that_do_not_fit(model):
    size = 4 * 5 + 5 + 6 * 3 + 3
    sizes = {"params": np.zeros(size, np.float32), "moments": np.zeros(2 * size, np.float32)}
    return {**_layer(1, n_in=6)(model), **sizes}


NONSENSE = {
    "no layer": _no_layer,
    "layers that do not fit": _rows_that_do_not_fit,
    "a negative size": _layer(0, n_in=-4),
    "a size that is text": _layer(0, n_in="4"),
    "a size that is no whole number": _layer(0, n_in=4.0),
    "an unknown activation": _layer(0, activation="relux"),
    "softmax in between": _layer(0, activation="softmax"),
    "an output that does not suit the loss": _layer(1, activation="relu"),
    "an alpha that is text": _layer(0, alpha="much"),
    "a dropout of more than 1": _layer(0, dropout=1.5),
    "a negative dropout": _layer(0, dropout=-0.5),
    "dropout behind the last layer": _layer(1, dropout=0.5),
    "an unknown initializer": _layer(0, initializer="he_uniformly"),
    "a bias that is text": _layer(0, bias="yes"),
    "signs of the first layer alone": _layer(0, signs=(1, 0, 0, 0)),
    "signs that are text": _layer(0, signs="rise"),
    "an input dropout of 2": lambda model: {"input_drop": 2.0},
    "float16": _as("float16"),
    "integers": _as("int32"),
    "float64 in name only": lambda model: {"dtype": "float64"},
    "an unknown dtype": lambda model: {"dtype": "float33"},
    "an unknown loss": lambda model: {"loss": "cross"},
    "a loss parameter that is text": lambda model: {"loss_parameter": "much"},
    "a loss parameter too large for a float": lambda model: {"loss_parameter": 10**400},
    "loss parameters of a loss that has one": lambda model: {"loss_parameter": [0.5, 0.5]},
    "negative steps": lambda model: {"steps": -1},
    "steps that are text": lambda model: {"steps": "many"},
    "negative epochs": lambda model: {"epochs": -1},
    "epochs that are text": lambda model: {"epochs": "many"},
    "a negative seed": lambda model: {"seed": -1},
    "a seed beyond 63 bits": lambda model: {"seed": 2**63},
    "too few parameters": lambda model: {"params": model.params[:-1]},
    "too many moments": lambda model: {
        "moments": np.r_[model.moments.ravel(), 0, 0].astype(np.float32)
    },
}


@pytest.mark.parametrize("change", NONSENSE.values(), ids=NONSENSE)
def test_a_description_of_no_network_is_refused(read, content, change):
    model = model_file.from_bytes(content)
    with pytest.raises(ModelFileError):
        read(model_file.to_bytes(replace(model, **change(model))))
