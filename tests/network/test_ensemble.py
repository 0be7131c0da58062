"""The `Ensemble`: the mean of its members, and one file for all of them."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from fastbp import Adam, Dense, Ensemble, ModelFileError, Network, TableModel, model_file
from fastbp.ensemble import ensemble_of, members_of

rng = np.random.default_rng(1)
X, LABELS = rng.normal(size=(60, 5)), rng.integers(0, 3, 60)
LOSSES = {"cross_entropy": 3, "binary_cross_entropy": 2, "squared_error": 1, "poisson": 1}


def nets(loss="cross_entropy", dtype="float32", n_out=3):
    """Return networks of two shapes, the first trained for a while."""
    options = {"loss": loss, "dtype": dtype}
    made = [Network([5, 7, n_out], seed=seed, optimizer=Adam(3e-3), **options) for seed in (1, 2)]
    made.append(Network(inputs=5, layers=[Dense(4, "gelu"), Dense(n_out)], seed=3, **options))
    if loss == "cross_entropy":
        made[0].fit(X, LABELS, epochs=2)
    return made


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
def test_its_outputs_are_the_mean_of_the_members_and_its_spread_their_deviation(loss, dtype):
    members = nets(loss, dtype, LOSSES[loss])
    ensemble = Ensemble(members)
    outputs = np.array([member.forward(X) for member in members]).astype(float)
    eps = np.finfo(dtype).eps
    mean, spread = ensemble.mean_and_spread(X)
    assert ensemble.forward(X).tobytes() == mean.tobytes()
    assert ensemble.spread(X).tobytes() == spread.tobytes()
    assert mean.dtype == spread.dtype == ensemble.dtype == dtype
    np.testing.assert_allclose(mean, outputs.mean(axis=0), rtol=2 * eps, atol=eps)
    np.testing.assert_allclose(spread, outputs.std(axis=0), rtol=2 * eps, atol=eps)
    if loss == "cross_entropy":
        assert (ensemble.predict(X) == outputs.mean(axis=0).argmax(axis=1)).all()
    elif loss == "binary_cross_entropy":
        assert (ensemble.predict(X) == (outputs.mean(axis=0) > 0.5)).all()
    else:
        assert ensemble.predict(X).tobytes() == mean[:, 0].tobytes()


@pytest.mark.parametrize("weight", [None, rng.uniform(0, 2, 60)], ids=["alike", "weighted"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_its_loss_and_metric_are_those_of_the_mean(weight, dtype):
    ensemble = Ensemble(nets(dtype=dtype))
    P = ensemble.forward(X).astype(float)
    found = ensemble.evaluate(X, LABELS, weight)
    losses = -np.log(P[np.arange(60), LABELS])
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    assert found["loss"] == pytest.approx(np.average(losses, weights=weight), rel=tolerance)
    right = P.argmax(axis=1) == LABELS
    assert found["accuracy"] == pytest.approx(np.average(right, weights=weight), rel=1e-6)
    numbers = Ensemble(nets("huber", dtype, n_out=1))
    y = rng.normal(size=60)
    error = np.abs(numbers.forward(X)[:, 0].astype(float) - y)
    losses = np.where(error <= 1, error**2 / 2, error - 0.5)
    found = numbers.evaluate(X, y, weight)
    assert found["loss"] == pytest.approx(np.average(losses, weights=weight), rel=10 * tolerance)
    total = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)
    r2 = 1 - np.average(error**2, weights=weight) / total
    assert found["r2"] == pytest.approx(r2, rel=1e-5)


@pytest.mark.parametrize("levels", [0.3, (0.1, 0.9)])
def test_copies_of_a_network_have_its_loss_at_every_level(levels):
    y = rng.normal(size=(60, 2))
    net = Network([5, 4, 2], loss="quantile", loss_parameter=levels, seed=1)
    twins = Ensemble([net, Network.from_model(net.to_model())])
    assert twins.evaluate(X, y) == pytest.approx(net.evaluate(X, y), rel=1e-6)


def test_copies_of_a_network_have_its_outputs_and_no_spread():
    net = nets()[0]
    twins = Ensemble([net, Network.from_model(net.to_model())])
    assert twins.forward(X).tobytes() == net.forward(X).tobytes()
    assert not twins.spread(X).any()


def test_it_says_what_it_is():
    members = nets()
    ensemble = Ensemble(iter(members))
    assert ensemble.members == tuple(ensemble) == tuple(members) and len(ensemble) == 3
    assert repr(ensemble) == f"Ensemble(3 members, the first {members[0]!r})"
    assert ensemble.summary().count("parameters, float32") == 3
    assert Ensemble(members[:2]).summary().startswith("2 networks, each:\nlayer")
    assert ensemble.parameters.size == sum(member.parameters.size for member in members)
    assert ensemble_of(members[:1]) is members[0] and members_of(members[0]) == (members[0],)


OTHERS = {
    "inputs": lambda: Network([4, 3], loss="cross_entropy"),
    "outputs": lambda: Network([5, 2], loss="cross_entropy"),
    "loss": lambda: Network([5, 3], output_activation="softmax"),
    "dtype": lambda: Network([5, 3], loss="cross_entropy", dtype="float64"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_networks_that_do_not_go_together_are_refused(what):
    with pytest.raises(ValueError, match=rf"members\[1\] has {what} "):
        Ensemble([nets()[0], OTHERS[what]()])


def test_what_is_no_ensemble_is_refused():
    net = nets()[0]
    for members in ([], [net]):
        with pytest.raises(ValueError, match=f"members: {len(members)} given"):
            Ensemble(members)
    with pytest.raises(TypeError, match=r"members\[1\]=3: expected a fastbp.Network"):
        Ensemble([net, 3])
    with pytest.raises(ValueError, match="X has 4 columns but the network has 5 inputs"):
        Ensemble(nets()).forward(X[:, :4])


# ---------------------------------------------------------------------------- the file


@pytest.fixture
def path(tmp_path):
    place = tmp_path / "three.safetensors"
    Ensemble(nets()).save(place)
    return place


def test_a_loaded_ensemble_is_the_one_that_was_saved(path):
    ensemble = Ensemble(nets())
    loaded = Ensemble.load(path)
    assert loaded.forward(X).tobytes() == ensemble.forward(X).tobytes()
    for mine, theirs in zip(loaded, ensemble, strict=True):
        assert mine.parameters.tobytes() == theirs.parameters.tobytes()
        assert mine.engine.moments.tobytes() == theirs.engine.moments.tobytes()
        assert (mine.seed, mine.steps, mine.epochs) == (theirs.seed, theirs.steps, theirs.epochs)
        assert mine.layers == theirs.layers and repr(mine.optimizer) == repr(theirs.optimizer)
    # a member goes on training with its bits
    first, twin = loaded.members[0], ensemble.members[0]
    first.fit(X, LABELS, epochs=1)
    twin.fit(X, LABELS, epochs=1)
    assert first.parameters.tobytes() == twin.parameters.tobytes()


def test_the_file_is_read_as_the_readme_says(path):
    content = path.read_bytes()
    tensors, header = load(content), _header(content)
    assert header["version"] == 3 and sorted(tensors) == ["digest", "moments", "parameters"]
    place = 0
    for own, net in zip(header["members"], nets(), strict=True):
        data = {**header, **own}
        assert (data["seed"], data["steps"]) == (net.seed, net.steps)
        size = sum((layer["n_in"] + 1) * layer["n_out"] for layer in data["layers"])
        assert (tensors["parameters"][place : place + size] == net.parameters).all()
        both = tensors["moments"][:, place : place + size]
        assert both.tobytes() == net.engine.moments.tobytes()
        place += size
    assert place == tensors["parameters"].size
    assert header["members"][0] == {} and set(header["members"][1]) == {"seed", "steps", "epochs"}


def test_the_file_of_one_network_is_as_before(tmp_path):
    net = nets()[0]
    net.save(tmp_path / "one")
    content = (tmp_path / "one").read_bytes()
    header = _header(content)
    assert header["version"] == 2 and "members" not in header
    assert list(header)[-4:] == ["seed", "steps", "epochs", "sections"]
    with pytest.raises(ModelFileError, match=r"one network: load it with fastbp\.Network\.load"):
        Ensemble.load(tmp_path / "one")


def test_a_reader_of_one_network_says_what_the_file_is(path):
    with pytest.raises(ModelFileError, match=r"three.* ensemble of 3 networks: .*Ensemble\.load"):
        Network.load(path)
    with pytest.raises(ModelFileError, match=r"without a table: load it with fastbp\.Ensemble"):
        TableModel.load(path)


def test_a_training_does_not_resume_from_an_ensemble(path, tmp_path):
    net = nets()[0]
    kept = tmp_path / "kept"
    net.fit(X, LABELS, epochs=1, checkpoints=kept)
    (newest,) = sorted(kept.iterdir())[-1:]
    model = model_file.load(newest)
    model_file.save(newest, replace(model, more=(model,)))
    with pytest.raises(ModelFileError, match="several networks"):
        net.fit(X, LABELS, epochs=1, checkpoints=kept, resume=True)


def _header(content):
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["fastbp"])


def _rewritten(content, change):
    """Return the file with a changed description, and the digest that suits it."""
    header, tensors = _header(content), load(content)
    header = change(header) or header
    text = json.dumps(header)
    del tensors["digest"]
    digest = model_file._digest(text, tensors)
    return save({**tensors, "digest": digest}, {"fastbp": text})


def _set(value):
    return lambda header: header.update(members=value)


def _member(**changes):
    return lambda header: header["members"][1].update(changes)


ODD = {
    "no members": lambda header: header.pop("members") and None,
    "members that are null": _set(None),
    "members that are a number": _set(3),
    "no member in the list": _set([]),
    "one member": _set([{}]),
    "too few members": _set([{}, {}]),
    "too many members": lambda header: header["members"].append({}),
    "very many members": lambda header: header["members"].extend([{}] * 1_000_000),
    "a member that is text": _set([{}, "a", {}]),
    "a member that is null": _set([{}, None, {}]),
    "layers of a member that are text": _member(layers="none"),
    "no layers of a member": _member(layers=[]),
    "another size of a member": _member(
        layers=[{"n_in": 5, "n_out": 3, "activation": "softmax", "alpha": 0.0, "bias": True,
                 "initializer": "zeros", "drop": 0.0}]
    ),
    "a size beyond memory": _member(
        layers=[{"n_in": 10**12, "n_out": 10**12, "activation": "softmax", "alpha": 0.0,
                 "bias": True, "initializer": "zeros", "drop": 0.0}]
    ),
    "another dtype of a member": _member(dtype="float64"),
    "an unknown dtype of a member": _member(dtype="int8"),
    "another loss of a member": _member(loss="squared_error"),
    "an unknown loss of a member": _member(loss="none"),
    "a seed below 0": _member(seed=-1),
    "steps that are text": _member(steps="3"),
    "an unknown optimizer": _member(optimizer={"name": "none"}),
    "the version of one network": lambda header: header.update(version=2),
    "a version to come": lambda header: header.update(version=4),
    "sections that are a list": lambda header: header.update(sections=[]),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_description_that_makes_no_sense_is_refused(path, name):
    content = path.read_bytes()
    path.write_bytes(_rewritten(content, ODD[name]))
    with pytest.raises(ModelFileError, match="three"):
        Ensemble.load(path)
    with pytest.raises(ModelFileError, match="three"):
        Network.load(path)
    path.write_bytes(_rewritten(content, lambda header: None))
    assert len(Ensemble.load(path)) == 3


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match="three"):
        Ensemble.load(path)


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_is_seen(path, seed):
    content, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(bytes(content))
    with pytest.raises(ModelFileError, match="three"):
        Ensemble.load(path)
