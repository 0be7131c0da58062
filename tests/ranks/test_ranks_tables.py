"""A table on the ranks of mpiexec: the schema, the split and the scores of one process."""

import json
import os
import shutil

import numpy as np
import polars as pl
import pytest

from fastbp import TableModel
from fastbp.tables.shares import Shares, _Sums
from fastbp.tables.split import Split
from mpi_ranks import ended, lines, needs_mpi, run_ranks, started

ROWS = 1200
CUTS = (0, 10, 300, 310, 555, 800, 801, ROWS)  # seven uneven files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of tables: seven files, seven of which one lacks a column, and three rows."""
    folder, draw = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    number = draw.normal(size=ROWS)
    frame = pl.DataFrame(
        {
            "number": number,
            "word": draw.choice(["red", "green", "blue"], ROWS),
            "many": [f"{n}th" for n in draw.integers(0, 90, ROWS)],
            "day": [f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}" for n in range(ROWS)],
            "weight": draw.integers(1, 4, ROWS),
            "group": draw.integers(0, 60, ROWS),
            "kind": np.where(number + draw.normal(size=ROWS) > 0, "yes", "no"),
            "amount": number * 3 + draw.normal(size=ROWS) + 10,
        }
    )
    rows = pl.int_range(pl.len())
    for n, name in enumerate(("number", "word", "amount"), 10):  # some are missing
        frame = frame.with_columns(pl.when(rows % n != 3).then(name).alias(name))
    for name in ("whole", "lacking"):
        (folder / name).mkdir()
        for n in range(7):
            part = frame[CUTS[n] : CUTS[n + 1]]
            part = part.drop("word") if (name, n) == ("lacking", 3) else part
            part.write_csv(folder / name / f"part-{n}.csv")
    frame[:3].write_csv(folder / "three.csv")
    return folder


# trained alone, on 4 and on 3 ranks; `facts` of the models must agree
CASES = """
import json, sys
import numpy as np
from mpi4py import MPI
import fastbp

world = MPI.COMM_WORLD
common = {"seed": 3, "epochs": 4, "preset": "fast", "dtype": "float64", "n_threads": 1}
CASES = {
    "classes": {"target": "kind", "drop": ["amount"], "ramps": 16, "class_weight": "balanced"},
    "weights": {"target": "amount", "drop": ["kind"], "weight": "weight", "group": "group"},
    "two targets": {"target": ["number", "amount"], "max_categories": 5, "valid_share": 0.3},
    # some ranks have no column to look at
    "one input": {"target": "kind", "drop": ["amount", "word", "day", "many", "weight", "group"]},
}

def facts(model):
    record = model.record
    scores = {name: value for each in record["metrics"].values() for name, value in each.items()}
    history = {name: model.history[name] for name in ("loss", "val_loss")}
    counts = {name: record["data"][name] for name in ("rows", "train", "valid", "no_target")}
    numbers = [record["temperature"], *(part.within(0.9) for part in model.residuals)]
    return {
        "schema": model.schema.to_data(), "counts": counts, "scores": scores, "history": history,
        "numbers": numbers, "weights": np.abs(model.network.parameters).sum(),
        "digest": record["data"]["digest"], "steps": record["steps"],
    }

def near(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(near(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(near, one, other))
    if isinstance(one, float):
        return abs(one - other) <= 1e-10 * max(1, abs(one))
    return one == other
"""


@needs_mpi
@pytest.mark.slow
def test_ranks_find_what_one_process_finds(folder, tmp_path):
    out = run_ranks(
        4,
        f"PATH = {str(folder / 'whole')!r}\n"
        + CASES
        + """
three = world.Split(world.rank < 3)
for name, case in CASES.items():
    options = {**common, **case}
    found = facts(fastbp.train(PATH, comm=world, **options))
    every = world.allgather(found)
    assert all(each == every[0] for each in every), (name, "ranks differ")
    if world.rank < 3:
        again = facts(fastbp.train(PATH, comm=three, **options))
        assert again.pop("digest") == found.pop("digest"), name
    if world.rank == 0:
        alone = facts(fastbp.train(PATH, **options))
        del alone["digest"]
        for fact in alone:
            assert near(alone[fact], found[fact]), (name, fact, alone[fact], found[fact])
            assert near(alone[fact], again[fact]), (name, fact, alone[fact], again[fact])
        print(name, alone["counts"]["train"])
for name, value in {"search": 2, "ensemble": 3, "time_budget": 9.0}.items():
    try:
        fastbp.train(PATH, "kind", comm=world, epochs=2, **{name: value})
    except ValueError as error:
        assert f"{name}={value}: 4 ranks train one network" in str(error), error
    else:
        raise AssertionError(name)
# ranks with other tables
paths = [PATH + "/part-[1-6].csv", PATH]
try:
    fastbp.train(paths[world.rank % 2], "kind", comm=world, **common)
except ValueError as error:
    assert "number of rows" in str(error) and "ranks 0 and 2" in str(error), error
    assert len(set(world.allgather(str(error)))) == 1
else:
    raise AssertionError("they were not told")
# ranks with other options, one that resumes, and one without the file
def refused(path=PATH, **options):
    try:
        fastbp.train(path, "kind", comm=world, **{**common, **options})
    except (ValueError, fastbp.errors.DataError) as error:
        assert len(set(world.allgather(str(error)))) == 1
        return str(error)
    raise AssertionError("they were not told")

def on(rank, then, otherwise):
    return then if world.rank == rank else otherwise

said = refused(max_categories=on(1, 3, 4))
assert said == "max_categories differs between the ranks: it is 4 on ranks 0, 2 and 3, 3 on rank 1"
assert refused(drop=on(2, ("word",), ())).startswith("drop differs between the ranks: it is () on")
part = PATH + "/part-1.csv"
said = refused(valid=on(0, part, PATH + "/part-2.csv"))
assert said.startswith("the number of rows of valid differs between the ranks: it is 290 on rank 0")
said = refused(valid=on(3, None, part))
assert "of valid differs between" in said and said.endswith(" 1 and 2, None on rank 3"), said
folder = f"kept-{world.rank}"  # a folder of each, as on machines of their own
fastbp.train(PATH, "kind", comm=world, checkpoints=folder, **common)
assert refused(checkpoints=folder, resume=True).startswith("resume differs between the ranks:")
said = refused(on(3, "nothing.csv", PATH))
assert said.startswith("rank 3 of 4: nothing.csv does not exist"), said
""",
        tmp_path,
    )
    assert [line.rsplit(" ", 1)[0] for line in out.splitlines()] == [
        "classes",
        "weights",
        "two targets",
        "one input",
    ]


# rank 1 looks at another number of columns than the others, or fails where they agree
SHARES = """
from mpi4py import MPI
from fastbp.errors import DataError
from fastbp.ranks.comm import as_ranks
ranks = as_ranks(MPI.COMM_WORLD)
names = [f"x{n}" for n in range(7)]
every = ranks.merged({name: (ranks.number, len(name)) for name in ranks.own(names)})
assert sorted(every) == names and set(every.values()) == {(n, 2) for n in range(ranks.count)}

def told(function):
    try:
        return str(function())
    except (DataError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"

def before(fails):
    if ranks.number in fails:
        raise DataError("no good")
    ranks.all(1)
    return "all"

def between(fails):
    ranks.all(1)
    return before(fails)

def nested(fails):
    return ranks.together(lambda: between(fails))

for function in (before, between, nested):
    for fails in ([], [1], [0, 2], [0, 1, 2]):
        said = ranks.all(told(lambda: ranks.together(lambda: function(fails))))
        assert len(set(said)) == 1, said
        if ranks.number == 0:
            print(function.__name__, said[0])
"""


@needs_mpi
@pytest.mark.slow
def test_a_rank_that_fails_where_the_others_agree_is_told_to_all(tmp_path):
    said = [
        "all",
        "DataError: rank 1 of 3: no good",
        "DataError: ranks 0 and 2 of 3: no good",
        "DataError: no good",
    ]
    out = run_ranks(3, SHARES, tmp_path)
    expected = [f"{name} {each}" for name in ("before", "between", "nested") for each in said]
    assert out.splitlines() == expected


def command(folder, count, *words):
    """Run ``fastbp train`` on ranks; return the code and the output of mpiexec, and its errors."""
    line = ["-m", "fastbp", "train", *map(str, words), "--distributed", "--seed", "3"]
    return ended(started(count, line, folder), timeout=600)


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "words", "code", "message"),
    [
        (4, ("lacking", "--target", "kind"), 3, "lacking/part-3.csv has no column 'word', which"),
        (4, ("three.csv", "--target", "kind", "--preset", "fast"), 3, "no row for some of 4 ranks"),
        (2, ("whole", "--target", "kind"), 2, "--ensemble 5: 2 ranks train one network: give"),
        (
            3,
            ("whole", "--target", "kind", "--numeric", "word"),
            3,
            "values are not numbers, such as",
        ),
        (2, ("nothing.csv", "--target", "kind"), 3, "nothing.csv does not exist: expected a file"),
        (2, ("whole", "--sync", "never"), 2, "--sync never: expected one of step, local, auto"),
        (
            2,
            ("-", "--target", "kind"),
            2,
            "-: the processes of mpiexec do not share standard input",
        ),
        (
            2,
            ("whole", "--target", "kind", "--valid", "-"),
            2,
            "do not share standard input; give a",
        ),
        (4, ("whole", "--epoch", "3"), 2, "no such option: --epoch"),
    ],
)
def test_what_is_refused_is_said_once_and_ends_all(folder, count, words, code, message):
    status, output, errors = command(folder, count, *words)
    assert status == code, errors
    (line,) = lines(errors)
    assert message in line and not output


TERMINATED = """
import os, signal, sys
from fastbp.cli import main
from fastbp.training.loop import Loop

judged = Loop._judged

def slowly(self):
    if os.environ["OMPI_COMM_WORLD_RANK"] == "1" and self.state.epoch == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    return judged(self)

Loop._judged = slowly
main()
"""


@needs_mpi
@pytest.mark.slow
def test_sigterm_of_one_rank_ends_all_with_its_code(folder, tmp_path):
    (tmp_path / "script.py").write_text(TERMINATED)
    words = ("train", folder / "whole", "--target", "kind", "--preset", "fast", "--distributed")
    program = [tmp_path / "script.py", *words, "--epochs", 1000, "-o", tmp_path / "model"]
    status, _, errors = ended(started(2, program, tmp_path))
    assert status == 143
    (line,) = lines(errors)
    assert line == (
        "fastbp: rank 1 of 2: terminated, and nothing was kept: give it --checkpoint DIR"
    )
    assert "Traceback" not in errors and not (tmp_path / "model").exists()


@needs_mpi
@pytest.mark.slow
def test_the_command_averages_local_steps_where_it_is_asked_to(folder, tmp_path):
    found = {}
    for sync in ("local", "step"):
        path = tmp_path / f"{sync}.safetensors"
        words = ("--target", "amount", "--preset", "fast", "--sync", sync, "-o", path)
        status, output, errors = command(folder, 2, "whole", *words, "--log", "json")
        assert status == 0, errors
        (end,) = [e for e in map(json.loads, output.splitlines()) if e["event"] == "done"]
        found[sync] = end["metrics"]["valid"]["rmse"], path.read_bytes()
    assert found["local"][1] != found["step"][1]
    # the amounts deviate by 3.2, of which number explains all but 1
    assert found["local"][0] < 1.6 and found["step"][0] < 1.6


@needs_mpi
@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [(2, 3), (3, 1), (1, 2)])
def test_a_training_goes_on_with_another_number_of_ranks(folder, tmp_path, first, then):
    words = (folder / "whole", "--target", "kind", "--preset", "fast", "--dtype", "float64")
    names = {"through": (), "begun": ("--checkpoint", tmp_path / "kept", "--max-time", "1ms")}
    for name, more in names.items():
        status, _, errors = command(
            tmp_path, first, *words, "--epochs", 6, *more, "-o", tmp_path / name
        )
        assert status == 0, errors
    assert os.listdir(tmp_path / "kept")
    more = ("--checkpoint", tmp_path / "kept", "--resume", "-o", tmp_path / "ended")
    shutil.copytree(folder / "whole", tmp_path / "whole")
    part = tmp_path / "whole" / "part-6.csv"
    pl.read_csv(part).with_columns(number=-pl.col("number")).write_csv(part)
    status, _, errors = command(tmp_path, then, "whole", *words[1:], "--epochs", 6, *more)
    assert status == 3 and errors.count("does not hold the rows that the training") == 1
    status, output, errors = command(tmp_path, then, *words, "--epochs", 6, *more, "--log", "json")
    assert status == 0, errors
    events = [json.loads(line) for line in output.splitlines()]  # of rank 0 alone
    assert [event["event"] for event in events].count("saved") == 1
    through, ended = (
        TableModel.load(tmp_path / name).record["metrics"]["valid"] for name in ("through", "ended")
    )
    assert ended == pytest.approx(through, rel=1e-10) and len(through) > 4


class Part:
    """A rank as `Shares` needs it."""

    def __init__(self, number, count):
        self.number, self.count = number, count


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shares_are_all_rows_in_their_order(count):
    draw = np.random.default_rng(0)
    trains = draw.random(100) < 0.7
    split = Split(trains, ~trains & (draw.random(100) < 0.5))
    for name in ("trains", "validates"):
        whole = np.flatnonzero(getattr(split, name))
        own = [Shares(Part(n, count)).own(split) for n in range(count)]
        parts = [np.flatnonzero(getattr(each, name)) for each in own]
        assert np.concatenate(parts).tolist() == whole.tolist()
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_hash_of_shares_is_that_of_the_rows_in_their_places():
    draw = np.random.default_rng(0)
    X, y, weight = draw.normal(size=(40, 3)).astype("f4"), draw.integers(0, 2, 40), draw.random(40)

    def hashed(X, *cuts, weight=weight):
        told, places = [], np.arange(40)
        for first, end in zip((0, *cuts), (*cuts, 40), strict=True):
            sums = _Sums()
            for begin in range(first, end, 7):  # frame by frame
                part = slice(begin, min(begin + 7, end))
                sums.add(places[part], X[part], y[part], weight if weight is None else weight[part])
                sums.hold(places[part], X[part], y[part], None)
            told.append(sums.end(()))
        return _Sums.joined(told)

    one = hashed(X)
    assert hashed(X, 11) == hashed(X, 1, 20, 39) == one
    swapped, changed = X[[1, 0, *range(2, 40)]], X.copy()
    changed[39, 2] = np.nextafter(changed[39, 2], 9)
    assert len({one, hashed(swapped), hashed(changed), hashed(X, weight=None)}) == 4
