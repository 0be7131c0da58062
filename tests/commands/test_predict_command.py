"""``fastbp predict``, with models of tables."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import STEP, command, fastbp
from people_models import NEW, forward, make_models, softmax, with_grown

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such pipes and signals there")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a folder with a model for each target, named after it, and one without ids."""
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in a folder that holds new.csv."""
    monkeypatch.chdir(tmp_path)
    with_grown(NEW).write_csv("new.csv")
    return tmp_path


# ------------------------------------------------------------------------------ predictions

CLASSES = {
    "rich": ("text", ["poor", "rich"], pl.String),
    "zip": ("integer", [100, 200, 300], pl.Int64),
    "grown": ("boolean", [False, True], pl.Boolean),
}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("target", CLASSES)
def test_classes_come_with_probabilities_as_what_they_are(models, target, suffix):
    kind, classes, dtype = CLASSES[target]
    done = fastbp("predict", models / target, "new.csv", "-o", f"scored.{suffix}")
    assert (done.code, done.out, done.err) == (0, f"150 rows in scored.{suffix}\n", "")
    read = pl.read_csv if suffix == "csv" else pl.read_parquet
    scored = read(f"scored.{suffix}")
    names = [str(name).lower() for name in classes]
    assert scored.columns == ["person_id", "prediction", *(f"probability of {n}" for n in names)]
    assert scored["prediction"].dtype == dtype
    assert scored["person_id"].to_list() == NEW["person_id"].to_list()
    Z, model = forward(models / target)
    assert model.schema.target.kind == kind
    P = softmax(Z)
    np.testing.assert_allclose(scored.select(pl.col("^probability.*$")).to_numpy(), P, atol=1e-5)
    clear = np.diff(np.sort(P, axis=1)[:, -2:])[:, 0] > 1e-4
    expected = np.array(classes)[P.argmax(axis=1)]
    np.testing.assert_array_equal(scored["prediction"].to_numpy()[clear], expected[clear])
    assert len(set(expected)) > 1  # or the test would say nothing


def test_numbers_come_in_the_units_of_the_target(models):
    assert fastbp("predict", models / "income", "new.csv", "-o", "scored.csv").code == 0
    scored = pl.read_csv("scored.csv")
    assert scored.columns == ["person_id", "prediction"]
    Z, model = forward(models / "income")
    target = model.schema.target
    np.testing.assert_allclose(
        scored["prediction"], Z[:, 0] * target.scale + target.mean, rtol=1e-4
    )
    assert np.corrcoef(scored["prediction"], NEW["income"])[0, 1] > 0.8


def test_without_an_output_they_are_csv_on_stdout(models):
    done = fastbp("predict", models / "rich", "new.csv")
    fastbp("predict", models / "rich", "new.csv", "-o", "scored.csv")
    assert (done.code, done.err) == (0, "")
    assert done.out == Path("scored.csv").read_text(encoding="utf-8")
    assert fastbp("predict", models / "rich", "new.csv", "-o", "-").out == done.out


def test_a_table_may_be_parquet_a_folder_or_shuffled_and_lack_what_is_not_used(models):
    expected = fastbp("predict", models / "rich", "new.csv").out
    dates = NEW.drop("income", "rich", "country")
    dates.select(reversed(dates.columns)).write_parquet("new.parquet")
    Path("parts").mkdir()
    for n, part in enumerate(NEW.iter_slices(40)):
        part.write_csv(f"parts/{n}.csv")
    for data in ("new.parquet", "parts", "parts/*.csv"):
        assert fastbp("predict", models / "rich", data).out == expected


def test_columns_may_be_kept_beside_predictions(models):
    keep = ("--keep", "city", "--keep", "income")
    done = fastbp("predict", models / "rich", "new.csv", *keep)
    scored = pl.read_csv(io.StringIO(done.out))
    assert scored.columns[:4] == ["person_id", "city", "income", "prediction"]
    assert scored["city"].to_list() == NEW["city"].to_list()  # commas and letters survive
    assert scored["income"].to_list() == NEW["income"].to_list()
    done = fastbp("predict", models / "rich", "new.csv", "--keep", "citty")
    assert (done.code, done.out) == (3, "")
    assert "'citty'" in done.complaint and "'city'" in done.complaint


def test_a_column_that_is_kept_keeps_its_name(models):
    NEW.with_columns(prediction=pl.lit("mine")).write_csv("new.csv")
    done = fastbp("predict", models / "rich", "new.csv", "--keep", "prediction")
    scored = pl.read_csv(io.StringIO(done.out))
    assert scored.columns[1:3] == ["prediction", "prediction_"]
    assert set(scored["prediction"]) == {"mine"}


def test_rows_that_nothing_identifies_are_numbered_through_all_batches(models):
    big = pl.concat([NEW] * 1000)  # several batches
    big.write_parquet("new.parquet")
    assert fastbp("predict", models / "anonymous", "new.parquet", "-o", "scored.parquet").code == 0
    scored = pl.read_parquet("scored.parquet")
    assert scored.columns[0] == "row"
    np.testing.assert_array_equal(scored["row"], np.arange(1, len(big) + 1))
    one = fastbp("predict", models / "anonymous", "new.csv")
    first = pl.read_csv(io.StringIO(one.out))["probability of rich"].to_numpy()
    again = scored["probability of rich"].to_numpy().reshape(1000, -1)
    np.testing.assert_allclose(again, np.tile(first, (1000, 1)), rtol=1e-4)


def test_options_may_come_from_a_file(models):
    Path("job.toml").write_text('threads = 1\n[predict]\nkeep = ["city"]\noutput = "scored.csv"\n')
    done = fastbp("predict", models / "rich", "new.csv", "--config", "job.toml")
    assert done.code == 0, done.err
    assert pl.read_csv("scored.csv").columns[:2] == ["person_id", "city"]


def test_threads_change_no_bit(models):
    one, two = (fastbp("predict", models / "rich", "new.csv", "--threads", n) for n in (1, 2))
    assert one.out == two.out


def test_missing_values_are_predicted(models):
    blank = NEW.with_columns(pl.lit(None).cast(pl.Int64).alias("age"), pl.lit("").alias("city"))
    blank.write_csv("new.csv")
    done = fastbp("predict", models / "rich", "new.csv")
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == 151


def test_new_categories_are_told_once(models):
    big = pl.concat([NEW.with_columns(city=pl.lit("Bergen"))] * 1000)
    big.write_parquet("new.parquet")
    done = fastbp("predict", models / "rich", "new.parquet", "-o", "scored.csv")
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert line.startswith("fastbp: warning: new.parquet: 150000 values of column 'city'")
    done = fastbp("predict", models / "rich", "new.parquet", "-o", "scored.csv", "--log", "json")
    assert done.err == ""
    assert [event["event"] for event in done.events] == ["warning", "done"]
    assert done.events[1]["rows"] == 150_000


# ---------------------------------------------------------------------------- what goes wrong


def spoiled(name):
    """Write a table that has something wrong."""
    frame = NEW.with_columns(pl.col("age").cast(str))
    wrong = pl.int_range(pl.len()) == 99
    change = {
        "no age": lambda: frame.drop("age"),
        "a word": lambda: frame.with_columns(
            age=pl.when(wrong).then(pl.lit("old")).otherwise("age")
        ),
        "an infinity": lambda: frame.with_columns(
            age=pl.when(wrong).then(pl.lit("inf")).otherwise("age")
        ),
        "no date": lambda: frame.with_columns(joined=pl.lit("soon")),
    }[name]
    change().write_csv("new.csv")


BAD = [
    ("no age", ["new.csv", "'age'"]),
    ("a word", ["new.csv", "'age'", "'old'", "row 100"]),
    ("an infinity", ["new.csv", "'age'", "inf", "row 100"]),
    ("no date", ["new.csv", "'joined'", "'soon'", "row 1"]),
]


@pytest.mark.parametrize("output", [(), ("-o", "scored.csv"), ("-o", "scored.parquet")])
@pytest.mark.parametrize(("name", "words"), BAD, ids=[name for name, _ in BAD])
def test_a_table_that_does_not_fit_is_bad_data_and_leaves_no_file(models, name, words, output):
    spoiled(name)
    done = fastbp("predict", models / "rich", "new.csv", *output)
    assert (done.code, done.out) == (3, "")
    for word in words:
        assert word in done.complaint
    assert os.listdir() == ["new.csv"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_was_there_stays_where_a_late_row_is_wrong(models, suffix):
    rows = pl.concat([NEW] * 1000).with_columns(pl.col("age").cast(str))
    late = pl.int_range(pl.len()) == len(rows) - 2
    rows.with_columns(age=pl.when(late).then(pl.lit("old")).otherwise("age")).write_csv("late.csv")
    Path(f"scored.{suffix}").write_text("mine")
    done = fastbp("predict", models / "rich", "late.csv", "-o", f"scored.{suffix}")
    assert done.code == 3 and "row 149,999" in done.complaint
    assert Path(f"scored.{suffix}").read_text() == "mine"
    assert sorted(os.listdir()) == ["late.csv", "new.csv", f"scored.{suffix}"]


@pytest.mark.parametrize("name", ["predict", "evaluate"])
@pytest.mark.parametrize("model", ["network", "people.csv", "none", "."])
def test_what_is_no_model_of_a_table_is_bad_data(models, name, model):
    done = fastbp(name, models / model, "new.csv")
    assert (done.code, done.out) == (3, "")
    assert str(models / model) in done.complaint


@pytest.mark.parametrize("name", ["info", "report", "export"])
@pytest.mark.parametrize("model", ["people.csv", "none"])
def test_what_is_no_model_at_all_is_bad_data(models, name, model):
    output = {"info": (), "report": (), "export": ("-o", "model.py")}[name]
    done = fastbp(name, models / model, *output)
    assert (done.code, done.out) == (3, "")
    assert str(models / model) in done.complaint
    assert os.listdir() == ["new.csv"]


WRONG = [
    ("predict rich new.csv -o scored.xlsx", [".csv", ".parquet"]),
    ("predict rich new.csv -o no/scored.csv", ["--output", "folder"]),
    ("predict rich new.csv --log json", ["--log json", "-o"]),
    ("predict rich new.csv --threads 0", ["--threads", "0"]),
    ("predict rich", ["DATA"]),
    ("evaluate rich", ["DATA"]),
    ("info", ["MODEL"]),
    ("report rich -o no/report.html", ["--output", "folder"]),
    ("export rich", ["--output"]),
    ("export rich -o model.pt", [".onnx", ".c", ".py"]),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[line for line, _ in WRONG])
def test_wrong_usage_is_2_and_writes_nothing(models, line, words):
    arguments = [str(models / word) if word == "rich" else word for word in line.split()]
    done = fastbp(*arguments)
    assert done.code == 2
    for word in words:
        assert word.lower() in done.complaint.lower()
    assert os.listdir() == ["new.csv"]


# ---------------------------------------------------------------------- pipes and interrupts


@pytest.fixture
def long_table(folder):
    """Write a table whose prediction takes seconds."""
    part = pl.concat([NEW] * 2000)
    (folder / "long").mkdir()
    part.write_parquet(folder / "long" / "000.parquet")
    for n in range(1, 40):
        os.link(folder / "long" / "000.parquet", folder / "long" / f"{n:03d}.parquet")


@pytest.mark.slow
@posix
def test_a_reader_that_leaves_ends_it_quietly(models, folder, long_table):
    start = command("predict", models / "rich", "long")
    with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        head = process.stdout.readline()
        process.stdout.close()  # as `| head -1` does
        errors = STEP.sub("", process.stderr.read().decode())
        assert process.wait(timeout=60) == 141
    assert head.startswith(b"person_id,prediction") and errors == ""


@pytest.mark.slow
@posix
def test_where_stdout_is_closed_an_output_is_asked_for(models, folder):
    start = ["sh", "-c", 'exec "$@" >&-', "sh", *command("predict", models / "rich", "new.csv")]
    done = subprocess.run(start, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2
    assert STEP.sub("", done.stderr) == "fastbp: stdout is closed; give --output FILE\n"


ENDED = {
    signal.SIGINT: (130, "fastbp: interrupted\n"),
    signal.SIGTERM: (143, "fastbp: terminated\n"),
}


@pytest.mark.slow
@posix
@pytest.mark.parametrize("number", ENDED)
def test_a_signal_ends_a_pipe_that_nobody_reads_any_more(models, folder, long_table, number):
    start = command("predict", models / "rich", "long")
    with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"person_id,prediction")
        time.sleep(0.5)  # until the pipe is full
        process.send_signal(number)
        code = process.wait(timeout=60)
        assert (code, STEP.sub("", process.stderr.read().decode())) == ENDED[number]


@pytest.mark.slow
@posix
@pytest.mark.parametrize("number", ENDED)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_signal_leaves_no_file(models, folder, long_table, suffix, number):
    scratch = folder / "scratch"
    scratch.mkdir()
    # where each file has a name, which the system does not remove with the process
    before = "from fastbp.kernels.support import files; files._open_unnamed = lambda *given: None"
    start = command("predict", models / "rich", "long", "-o", f"scored.{suffix}", before=before)
    env = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(start, stderr=subprocess.PIPE, env=env, text=True) as process:
        # it has begun to write when it holds another file in this folder
        deadline = time.monotonic() + 60
        while not _written(process.pid, folder):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        begin = time.monotonic()
        process.send_signal(number)
        errors = STEP.sub("", process.communicate(timeout=60)[1])
    assert time.monotonic() - begin < 5
    assert (process.returncode, errors) == ENDED[number]
    assert sorted(os.listdir(folder)) == ["long", "new.csv", "scratch"]
    assert not list(scratch.iterdir())


def _written(pid, folder):
    """Return whether a process has written to a file in a folder."""
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target, size = os.readlink(handle), handle.stat().st_size
        except FileNotFoundError:
            continue
        if Path(target).parent == folder and size > 100_000:
            return True
    return False
