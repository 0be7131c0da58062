"""Shards of a search: processes that train a part each, and what is merged of their files."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from command_line import fastbp, in_a_process
from fastbp import DataError, DivergenceError, ModelFileError, TableModel, merge_shards, train
from fastbp.commands.arrays import array_task
from fastbp.tables import search as search_module
from fastbp.tables.job import Job
from fastbp.tables.shards import Shard, a_shard

FEW = {"preset": "fast", "epochs": 3, "seed": 5, "search": 7}
COMMAND = ("train", "table.csv", "--target", "y", "--preset", "fast", "--epochs", 3, "--seed", 5)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 3))
    number = x[:, 0] - 2 * x[:, 1] * x[:, 2] + 0.1 * rng.normal(size=240)
    y = np.where(number > 0, "up", "down")
    return pl.DataFrame({**{f"x{n}": x[:, n] for n in range(3)}, "y": y})


@pytest.fixture(scope="module")
def made(frame, tmp_path_factory):
    """Return a folder with the table, and the files of the shards of two searches."""
    folder = tmp_path_factory.mktemp("shards")
    frame.write_csv(folder / "table.csv")
    for name, more in {"a": {}, "b": {"seed": 6}}.items():
        for number in (1, 2, 3):
            part = train(frame, "y", shard=f"{number}/3", **{**FEW, **more})
            part.save(folder / f"{name}{number}")
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """Run in a copy of the folder."""
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    for name in list(os.environ):
        if name.startswith(("SLURM_", "SGE_", "AWS_BATCH_", "JOB_COMPLETION_")):
            monkeypatch.delenv(name)
    return tmp_path / "work"


def without_times(value):
    """Return JSON without what differs from run to run."""
    if isinstance(value, dict):
        differ = ("seconds", "peak", "threads", "samples_per_second", "gflops", "of_peak")
        return {name: without_times(each) for name, each in value.items() if name not in differ}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def check_same(found, expected):
    assert found.network.parameters.tobytes() == expected.network.parameters.tobytes()
    assert without_times(found.record) == without_times(expected.record)
    assert without_times(found.history) == without_times(expected.history)
    assert found.schema == expected.schema


@pytest.mark.parametrize("more", [{}, {"folds": 3}, {"search": 5}], ids=["valid", "folds", "five"])
def test_merged_shards_are_the_search_of_one_process(frame, tmp_path, more):
    options = {**FEW, **more}
    paths = [tmp_path / f"part-{number}" for number in (3, 1, 2)]
    for path in paths:
        train(frame, "y", shard=f"{path.name[-1]}/3", **options).save(path)
    check_same(merge_shards(paths), train(frame, "y", **options))


def test_one_shard_of_one_is_the_whole_search(frame):
    whole = train(frame, "y", shard="1/1", **FEW)
    check_same(whole, train(frame, "y", **FEW))
    assert "shard" not in whole.record["search"]


def test_each_option_is_in_one_shard():
    for count in range(1, 9):
        parts = [Shard(number, count).part(range(8)) for number in range(1, count + 1)]
        assert sorted(place for part in parts for place in part) == list(range(8))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("by", ["valid", "folds"])
def test_a_shard_whose_options_all_fail_leaves_the_choice_to_the_others(
    frame, tmp_path, monkeypatch, by
):
    more = {"folds": 2} if by == "folds" else {}
    drawn = search_module.drawn

    def with_one_that_diverges(*given):
        first, second, third = drawn(*given)
        return [first, replace(second, learning_rate=1e30, optimizer="sgd"), third]

    monkeypatch.setattr(search_module, "drawn", with_one_that_diverges)
    options = {**FEW, "search": 3, **more}
    one = train(frame, "y", **options)
    for number in (1, 2, 3):
        train(frame, "y", shard=f"{number}/3", **options).save(tmp_path / f"{number}")
    failed = TableModel.load(tmp_path / "2").record["search"]["tried"]
    assert [each["loss"] for each in failed] == [None] and "not finite" in failed[0]["error"]
    found = merge_shards([tmp_path / f"{number}" for number in (1, 2, 3)])
    check_same(found, one)
    assert found.record["search"]["tried"][1]["error"] == failed[0]["error"]


def test_a_shard_whose_best_options_fail_at_the_end_is_not_missing(frame, tmp_path, monkeypatch):
    options = {**FEW, "search": 3, "folds": 2}
    one = train(frame, "y", **options)
    holder = one.record["search"]["chosen"] + 1
    for number in (1, 2, 3):
        with monkeypatch.context() as patch:
            if number != holder:  # its losses by folds are finite, and its last training diverges
                patch.setattr(Job, "run", _diverges)
            train(frame, "y", shard=f"{number}/3", **options).save(tmp_path / f"{number}")
    found = merge_shards([tmp_path / f"{number}" for number in (1, 2, 3)])
    check_same(found, one)


def _diverges(job, **options):
    raise DivergenceError("the loss became not finite", 0, 0)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a1", "a3"], "1 shard of 3 is missing: 2/3;"),
        (["a2"], "2 shards of 3 are missing: 1/3, 3/3;"),
        (["a1", "a2", "a1"], "'a1' and 'a1' are both shard 1"),
        (["a1", "a2", "b3"], "'b3' is of another search than 'a1': they differ in the option seed"),
        ([], "no shard is given"),
    ],
)
def test_what_is_no_whole_search_is_refused(folder, names, words):
    with pytest.raises(DataError, match=f"^{words}"):
        merge_shards(names)
    done = fastbp("merge", *names, "-o", "best")
    assert done.code == (3 if names else 2), done.err
    assert not names or words in done.err
    assert not (folder / "best").exists()


def test_a_model_that_is_no_shard_is_refused(folder, frame):
    train(frame, "y", **FEW).save("whole")
    with pytest.raises(DataError, match="'whole' is no shard of a search"):
        merge_shards(["a1", "whole"])


def test_shards_of_other_rows_are_refused(folder, frame):
    train(frame[:200], "y", shard="2/3", **FEW).save("a2")
    with pytest.raises(DataError, match=r"'a2' is of another .* 'a1': they differ in the rows"):
        merge_shards(["a1", "a2", "a3"])


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"shard": {"number": 1, "count": 3, "given": {}}}, DataError, "differ in the option"),
        ({"shard": {"number": 1, "count": 0, "given": {}}}, ModelFileError, "1/0"),
        ({"shard": {"number": 1, "count": 2, "given": {}}}, ModelFileError, "has other options"),
        ({"asked": 10**12}, ModelFileError, "has other options"),
        ({"asked": 2**63, "shard": {"number": 1, "count": 1, "given": {}}}, ModelFileError, "1/1"),
        ({"asked": 1, "shard": {"number": 1, "count": 10**7, "given": {}}}, ModelFileError, "1/10"),
        ({"asked": 9}, DataError, "differ in the number of options"),
    ],
)
def test_a_shard_whose_record_was_altered_is_refused(folder, changes, error, words):
    part = TableModel.load("a1")
    part.record["search"] |= changes
    part.save("a1")
    with pytest.raises(error, match=words):
        merge_shards(["a1", "a2", "a3"])


def test_a_shard_without_its_data_is_refused(folder):
    part = TableModel.load("a1")
    del part.record["data"]
    part.save("a1")
    with pytest.raises(DataError, match="differ in the rows"):
        merge_shards(["a1", "a2", "a3"])


def test_a_shard_may_lack_what_nothing_needs(folder):
    expected = merge_shards(["a1", "a2", "a3"])
    for name in ("a1", "a2", "a3"):
        part = TableModel.load(name)
        del part.record["steps"]
        part.save(name)
    found = merge_shards(["a1", "a2", "a3"])
    assert found.record["search"] == expected.record["search"]


@pytest.mark.parametrize(
    ("shard", "search", "words"),
    [
        ("0/3", 7, "expected a number and a count"),
        ("4/3", 7, "expected a number and a count"),
        ("three", 7, "expected a number and a count"),
        ("1/2/3", 7, "expected a number and a count"),
        ("1/9999999999", 7, "expected a number and a count"),
        ("1/3", None, "only a search has shards"),
        ("3", None, "only a search has shards"),
        ("\u00b3", 7, "expected a number and a count"),
        ("0", 7, "expected a number and a count"),
        ("8/8", 7, "expected at most 7"),
    ],
)
def test_a_wrong_shard_is_refused_before_the_table_is_read(shard, search, words):
    with pytest.raises(ValueError, match=words):
        a_shard("shard", shard, search)
    with pytest.raises(ValueError, match=words):
        train("no-such-file.csv", "y", shard=shard, search=search)
    with pytest.raises(TypeError, match="expected text"):
        train("no-such-file.csv", "y", shard=3, search=7)


def test_the_commands_give_the_model_of_one_process(folder):
    for number in (1, 2):
        done = fastbp(*COMMAND, "--search", 5, "--shard", f"{number}/2", "-o", f"part-{number}")
        assert done.code == 0, done.err
        assert f"in shard {number}/2 by validation loss" in done.out
        told = fastbp("info", f"part-{number}").out
        assert f"{4 - number} of 5 options in shard {number}/2 by validation loss, the" in told
    done = fastbp("merge", "part-1", "part-2", "-o", "best")
    assert done.code == 0, done.err
    assert "5 of 5 options by validation loss, the best:" in done.out
    assert "saved to best" in done.out
    assert fastbp(*COMMAND, "--search", 5, "-o", "one").code == 0
    check_same(TableModel.load("best"), TableModel.load("one"))


SLURM = {"SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_MAX": "14"}
SLURM |= {"SLURM_ARRAY_TASK_STEP": "2", "SLURM_ARRAY_TASK_COUNT": "3"}


def test_a_task_of_a_job_array_trains_its_shard_and_says_so(folder):
    done = in_a_process(*COMMAND, "--search", 7, "-o", "a2", folder=folder, **SLURM)
    assert done.code == 0, done.err
    assert "shard 2/3 of the search, by SLURM_ARRAY_TASK_ID; --shard 1/1 searches all" in done.err
    merged = merge_shards(["a1", "a2", "a3"])
    assert merged.record["search"]["asked"] == 7
    # not where nothing is searched, nor where the option says otherwise
    for more in ((), ("--search", 7, "--shard", "1/1")):
        done = in_a_process(*COMMAND, *more, "-o", "whole", folder=folder, **SLURM)
        assert (done.code, "shard" in done.err) == (0, False), done.err
        assert "shard" not in json.dumps(TableModel.load("whole").record.get("search"))


def test_the_count_alone_takes_the_number_of_the_task(folder):
    options = (*COMMAND, "--search", 7, "--shard", 3, "-o", "a3")
    done = in_a_process(*options, folder=folder, JOB_COMPLETION_INDEX="2")
    assert done.code == 0, done.err
    assert merge_shards(["a1", "a2", "a3"]).record["search"]["asked"] == 7
    done = fastbp(*options)
    assert (done.code, "no task of a job array" in done.err) == (2, True)


def test_a_shard_without_a_file_is_refused(folder):
    done = fastbp(*COMMAND, "--search", 5, "--shard", "1/2")
    assert (done.code, "name a file for the part" in done.err) == (2, True), done.err


def _slurm(**changes):
    return {**SLURM, **{f"SLURM_ARRAY_TASK_{name}": value for name, value in changes.items()}}


@pytest.mark.parametrize(
    ("environment", "count", "expected"),
    [
        ({}, None, (None, None, "")),
        (SLURM, None, (2, 3, "SLURM_ARRAY_TASK_ID")),
        (_slurm(ID="14"), None, (3, 3, "SLURM_ARRAY_TASK_ID")),
        (
            {"SGE_TASK_ID": "3", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "16"},
            None,
            (3, 16, "SGE_TASK_ID"),
        ),
        (
            dict.fromkeys(("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST"), "undefined"),
            None,
            (None, None, ""),
        ),
        (
            {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "4"},
            None,
            (1, 4, "AWS_BATCH_JOB_ARRAY_INDEX"),
        ),
        ({"JOB_COMPLETION_INDEX": "3"}, None, (None, None, "")),
        ({"JOB_COMPLETION_INDEX": "3"}, 8, (4, 8, "JOB_COMPLETION_INDEX")),
    ],
)
def test_the_task_of_an_array_is_known(environment, count, expected):
    assert array_task(environment, count) == expected


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        (_slurm(ID="3", MIN="3", MAX="3", COUNT="1"), None),
        (_slurm(ID="3", MIN="3", MAX="3", COUNT="1"), 16),
        (_slurm(), 16),
        ({"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "2"}, 16),
    ],
)
def test_an_array_of_the_missing_tasks_is_not_taken_for_all(environment, count):
    with pytest.raises(ValueError, match="which may be others than the shards"):
        array_task(environment, count)


@pytest.mark.parametrize("changes", [{"COUNT": "2"}, {"ID": "13"}])
def test_an_array_that_lacks_indexes_is_refused(changes):
    with pytest.raises(ValueError, match="lacks indexes from 10 to 14 by 2"):
        array_task(_slurm(**changes))
