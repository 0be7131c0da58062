"""Damaged checkpoints: a training goes on from one that is whole, or says why it does not."""

import shutil
from dataclasses import replace

import pytest

from damage import BAD_DATA, CSV, DONE, FAILED, GOOD, TRAIN, USAGE, Bench, as_csv
from damage_models import net_alone
from fastbp import model_file


@pytest.fixture
def bench(tmp_path, capfd, monkeypatch):
    made = Bench(tmp_path, capfd, monkeypatch)
    made.put("good.csv", CSV)
    return made


NEWEST, OLDEST = "kept/checkpoint-00000002.safetensors", "kept/checkpoint-00000001.safetensors"
RESUME = [*TRAIN, "--checkpoint", "kept", "--resume"]
_CHECKPOINTS = {}


@pytest.fixture
def resuming(bench):
    """Return a `Bench` with two checkpoints of a training that is done with its first epoch."""
    if not _CHECKPOINTS:
        outcome = bench.run(*TRAIN, "--checkpoint", "kept", "--every", "0s")
        assert outcome.code == DONE, outcome.stderr
        newest = max((bench.folder / "kept").iterdir())
        _CHECKPOINTS[0] = newest.read_bytes()
        shutil.rmtree(bench.folder / "kept")
    bench.put(NEWEST, _CHECKPOINTS[0])
    bench.put(OLDEST, _CHECKPOINTS[0])
    return bench


def _damaged(content):
    """Return damaged forms of a checkpoint."""
    return {
        "empty": b"",
        "cut": content[:-1],
        "half": content[: len(content) // 2],
        "a byte flipped": content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
        "zeros": bytes(len(content)),
        "text": b"checkpoint\n",
        "a CSV": CSV,
    }


def _resumed(bench, codes, words, arguments=RESUME):
    return bench.judge(*arguments, output="out.safetensors", codes=codes, words=words)


def test_checkpoints_as_they_are_can_be_gone_on_from(resuming):
    # without this, all that is refused below could be refused for another reason
    resuming.judge(*RESUME, codes=(DONE,), changes=("kept",))


@pytest.mark.parametrize("name", _damaged(bytes(100)))
def test_if_no_checkpoint_can_be_read_that_is_said(resuming, name):
    content = _damaged(_CHECKPOINTS[0])[name]
    for file in (NEWEST, OLDEST):
        resuming.put(file, content)
    outcome = _resumed(resuming, (BAD_DATA,), ("checkpoint-00000001",))
    assert "checkpoint-00000002" in outcome.warnings[0]


@pytest.mark.parametrize("name", _damaged(bytes(100)))
def test_a_damaged_checkpoint_is_warned_of_and_the_one_before_is_used(resuming, name):
    resuming.put(NEWEST, _damaged(_CHECKPOINTS[0])[name])
    outcome = resuming.judge(*RESUME, codes=(DONE,), changes=("kept",))
    assert "checkpoint-00000002" in outcome.warnings[0]


def _rewritten(sections=lambda s: s, tensors=lambda t: t):
    model = model_file.from_bytes(_CHECKPOINTS[0])
    model = replace(model, sections=sections(model.sections), tensors=tensors(model.tensors))
    return model_file.to_bytes(model)


def _section(name, **changes):
    return lambda sections: {**sections, name: {**sections[name], **changes}}


NONSENSE = {
    "no place in a training": lambda: _rewritten(
        lambda s: {name: value for name, value in s.items() if name != "training"}
    ),
    "no job": lambda: _rewritten(lambda s: {**s, "job": None}),
    "no table": lambda: _rewritten(lambda s: {n: v for n, v in s.items() if n != "table"}),
    "a table that is null": lambda: _rewritten(lambda s: {**s, "table": None}),
    "a job that is text": lambda: _rewritten(lambda s: {**s, "job": "train"}),
    "a job of no data": lambda: _rewritten(lambda s: {**s, "job": {"streamed": False}}),
    "options that are text": lambda: _rewritten(_section("job", options="none")),
    "an epoch below 0": lambda: _rewritten(_section("training", epoch=-1)),
    "an epoch that is text": lambda: _rewritten(_section("training", epoch="first")),
    "epochs that differ": lambda: _rewritten(_section("training", epoch=7)),
    "no key": lambda: _rewritten(_section("training", key=None)),
    "entries of nothing": lambda: _rewritten(_section("training", entries=[{}, {}], epoch=2)),
    "entries of text": lambda: _rewritten(_section("training", entries=[{"loss": "low"}])),
    "a best loss that is text": lambda: _rewritten(_section("training", best_loss="low")),
    "a best epoch that is text": lambda: _rewritten(_section("training", best_epoch="one")),
    "entries that are numbers": lambda: _rewritten(_section("training", entries=[1])),
    "no tensors": lambda: _rewritten(tensors=lambda t: {}),
    "the best of another shape": lambda: _rewritten(
        tensors=lambda t: {**t, "training.best": t["training.best"][:2]}
    ),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_a_checkpoint_that_makes_no_sense_is_refused(resuming, name):
    for file in (NEWEST, OLDEST):
        resuming.put(file, NONSENSE[name]())
    _resumed(resuming, (BAD_DATA,), ("checkpoint",))


def test_a_network_alone_is_no_checkpoint_of_a_table(resuming, tmp_path):
    for file in (NEWEST, OLDEST):
        resuming.put(file, net_alone(tmp_path))
    _resumed(resuming, (BAD_DATA,), ("kept", "checkpoint"))


CHANGED = {
    "another net": ([*RESUME, "--hidden", "3"], "hidden"),
    "another seed": ([*RESUME, "--seed", "5"], "seed"),
    "another optimizer": ([*RESUME, "--optimizer", "sgd"], "optimizer"),
    "another dtype": ([*RESUME, "--dtype", "float64"], "dtype"),
    "another batch": ([*RESUME, "--batch-size", "7"], "batch"),
    "another target": (["train", "good.csv", "--target", "city", *RESUME[4:]], "target"),
    "no folder": ([*TRAIN, "--resume"], "--checkpoint"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_training_with_other_options_does_not_go_on(resuming, name):
    arguments, word = CHANGED[name]
    _resumed(resuming, (USAGE, BAD_DATA), (word,), arguments)


@pytest.mark.parametrize("rows", [1, 60, 89])
def test_a_training_does_not_go_on_with_other_rows(resuming, rows):
    resuming.put("good.csv", as_csv(GOOD[:rows]))
    _resumed(resuming, (USAGE, BAD_DATA), ("good.csv",))


def test_other_files_among_checkpoints_do_not_matter(resuming):
    for name in ("notes.txt", "checkpoint-x.safetensors", ".checkpoint-00000009.tmp"):
        resuming.put(f"kept/{name}", b"hello")
    resuming.judge(*RESUME, codes=(DONE,), changes=("kept",))


def test_a_folder_named_as_a_checkpoint_is_passed_over(resuming):
    (resuming.folder / "kept" / "checkpoint-00000009.safetensors").mkdir()
    resuming.judge(*RESUME, codes=(DONE,), changes=("kept",))


def test_a_file_is_no_folder_of_checkpoints(bench):
    bench.put("kept", b"hello")
    _resumed(bench, (FAILED, USAGE), ("kept",))
