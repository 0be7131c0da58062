"""The command, run as a user runs it: what all its parts share, and how it ends."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from command_line import STEP, command, in_a_process, people
from fastbp import TableModel
from fastbp.commands.app import app

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such signals and limits there")


@pytest.mark.slow
def test_digits_are_learned_and_the_model_is_saved(tmp_path):
    arguments = ("train", "digits", "--preset", "fast", "-o", "digits.safetensors")
    done = in_a_process(*arguments, folder=tmp_path)
    assert done.code == 0, done.err
    accuracy = float(re.search(r"validation: accuracy ([\d.]+)%", done.out).group(1))
    assert accuracy >= 97
    for words in ("samples/s", "GFLOP/s", "of peak", " ms", "peak", "handwritten digits"):
        assert words in done.out
    # the 3 corners that no digit reaches are left out
    assert "dropped, constant: pixel_0_0, pixel_4_0, pixel_4_7" in done.out
    model = TableModel.load(tmp_path / "digits.safetensors")
    assert [w.shape for w in model.network.weights] == [(61, 100), (100, 10)]
    assert [path.name for path in tmp_path.iterdir()] == ["digits.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "score"), [("breast-cancer", "accuracy 9"), ("diabetes", "r2 0.4")]
)
def test_the_other_data_sets_are_learned_as_well(tmp_path, name, score):
    done = in_a_process("train", name, folder=tmp_path)
    assert done.code == 0, done.err
    assert f"out of fold: {score}" in done.out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "digits", "--threads", "0"], ["threads", "0"]),
        (["train", "digits", "--epochs", "0"], ["epochs", "1"]),
        (["train", "digits", "--seed", str(2**63)], ["seed"]),
        (["train", "digits", "-o", "no/such/folder/model"], ["folder"]),
        (["train", "digits", "-o", "."], ["regular", "file"]),
        (["train", "digits", "-o", os.devnull], ["regular", "file"]),
        (["train", "digits", "-o", 300 * "m"], ["255"]),  # longer than any file system takes
        (["train"], ["argument"]),
        (["learn"], ["learn"]),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what(tmp_path, arguments, words):
    done = in_a_process(*arguments, folder=tmp_path)
    assert (done.code, done.out) == (2, "")  # nothing is trained before
    for word in words:
        assert word in done.complaint
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_data_set_that_is_misspelt_is_a_file_that_is_not_there(tmp_path):
    done = in_a_process("train", "digit", "--target", "digit", folder=tmp_path)
    assert done.code == 3 and "digit does not exist" in done.complaint
    assert in_a_process("train", "digit", folder=tmp_path).code == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "status", "words"),
    [
        ("sys.modules['typer'] = None", 2, ["fastbp[cli]"]),
        ("sys.modules['polars'] = None", 2, ["polars", "fastbp[cli]"]),
        ("sys.modules['sklearn'] = None", 2, ["sklearn", "fastbp[sklearn]"]),
        ("sys.argv += ['--learning-rate', '1e30']", 4, ["not finite"]),
    ],
    ids=["no typer", "no polars", "no scikit-learn", "divergence"],
)
def test_what_goes_wrong_has_a_status_and_a_message(tmp_path, before, status, words):
    done = in_a_process("train", "digits", "-o", "model", folder=tmp_path, before=before)
    assert done.code == status, done.err
    for word in words:
        assert word in done.complaint
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@posix
def test_a_model_that_cannot_be_saved_exits_with_1_and_says_why(tmp_path):
    # a limit for files, as of a disk that is full
    before = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    done = in_a_process(
        "train", "digits", "--epochs", 1, "-o", "model", folder=tmp_path, before=before
    )
    assert done.code == 1
    # kernels that were not in the cache cannot be kept either, which a warning says
    assert done.err.splitlines()[-1] == f"fastbp: {(tmp_path / 'model').resolve()}: File too large"
    assert "out of fold: accuracy" in done.out
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@posix
def test_a_lack_of_handles_of_files_is_not_called_damage(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "1,2\n3,5\n" * 50)
    words = ("train", "t.csv", "--target", "y", "--preset", "fast", "--epochs", 1, "-o", "m")
    codes = set()
    for count in range(5, 13):
        before = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({count}, {count}))"
        done = in_a_process(*words, folder=tmp_path, before=before)
        codes.add(done.code)
        if done.code:
            assert done.err.splitlines()[-1].endswith("Too many open files"), done.err
    assert 1 in codes and codes <= {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["0", "-1", " 0", "+0"])
def test_no_threads_for_numba_are_one_line(tmp_path, threads):
    done = in_a_process("train", "digits", "-o", "m", folder=tmp_path, NUMBA_NUM_THREADS=threads)
    assert done.code == 1
    told = f"fastbp: NUMBA_NUM_THREADS={threads}: set it to at least 1, or unset it"
    assert done.err.splitlines()[-1] == told


# ------------------------------------------------------------------------------------ signals


def _told_to_end(number, after, folder, *options, wait=0.0, **env):
    """Return status, output and errors of a long training, sent a signal `after` some output."""
    arguments = ["train", "digits", "--preset", "fast", "--epochs", "9999999", "--patience", "0"]
    arguments += ["-o", "model"]
    with subprocess.Popen(
        [sys.executable, "-u", *command(*arguments, *options)[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, **env},
    ) as process:
        try:
            output = b""
            while not re.search(after, output):
                output += process.stdout.read(1) or pytest.fail("it ended too early")
            time.sleep(wait)
            process.send_signal(number)
            rest, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, (output + rest).decode(), STEP.sub("", errors.decode())


EPOCHS = rb'"epoch": 3'  # as JSON says it: training has begun


@pytest.mark.slow
@posix
def test_an_interrupt_of_the_training_saves_it_and_exits_with_130(tmp_path):
    summary = rb"loss cross_entropy"
    status, output, errors = _told_to_end(signal.SIGINT, summary, tmp_path, wait=2)
    assert (status, errors) == (130, "fastbp: interrupted\n")
    assert ", interrupted" in output and "validation: accuracy" in output
    model = TableModel.load(tmp_path / "model")
    assert model.network.weights[0].shape == (61, 100)
    assert model.record["stopped"] == "interrupted"
    assert len(model.history["loss"]) > 1


@pytest.mark.slow
@posix
def test_an_interrupt_with_checkpoints_leaves_one_and_no_model(tmp_path):
    options = ("--checkpoint", "ck", "--log", "json")
    status, _, errors = _told_to_end(signal.SIGINT, EPOCHS, tmp_path, *options)
    assert status == 130
    assert errors == "fastbp: interrupted after a checkpoint in ck: --resume goes on\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ck"]
    assert list((tmp_path / "ck").iterdir())


@pytest.mark.slow
@posix
def test_an_interrupt_of_the_first_fit_ends_the_command_with_130(tmp_path):
    # with no kernel in the cache it takes seconds, and is sure to be met
    cache = {"FASTBP_CACHE_DIR": str(tmp_path / "cache")}
    status, output, errors = _told_to_end(
        signal.SIGINT, rb"loss cross_entropy.*\n", tmp_path, wait=1, **cache
    )
    assert (status, errors) == (130, "fastbp: interrupted\n")
    assert "epoch" not in output
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
@posix
@pytest.mark.parametrize("wait", [0.0, 2.0])
def test_a_termination_without_checkpoints_exits_with_143_and_leaves_nothing(tmp_path, wait):
    status, _, errors = _told_to_end(signal.SIGTERM, rb"loss cross_entropy", tmp_path, wait=wait)
    assert (status, errors.count("\n")) == (143, 1)
    assert "terminated" in errors and "--checkpoint" in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@posix
def test_a_termination_with_checkpoints_exits_with_75_after_one(tmp_path):
    options = ("--checkpoint", "ck", "--every", "1h", "--log", "json")
    status, _, errors = _told_to_end(signal.SIGTERM, EPOCHS, tmp_path, *options)
    assert status == 75
    assert errors == "fastbp: terminated after a checkpoint in ck: --resume goes on\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ck"]
    assert len(list((tmp_path / "ck").iterdir())) == 2  # the first, and the one of the end


@pytest.mark.slow
@posix
def test_a_signal_that_was_ignored_stays_so(tmp_path):
    people(300).write_csv(tmp_path / "people.csv")
    before = (
        "import os, signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, "
        "signal.SIGINT)]; import fastbp.tables.job as j; run = j.Job.run; "
        "j.Job.run = lambda *a, **o: ([os.kill(os.getpid(), n) for n in (2, 15)], run(*a, **o))[1]"
    )
    done = in_a_process(
        "train",
        "people.csv",
        "--target",
        "rich",
        "--epochs",
        3,
        "-o",
        "model",
        folder=tmp_path,
        before=before,
    )
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "model").exists()


# --------------------------------------------------------------------------------------- help

COMMANDS = sorted(command.callback.__name__ for command in app.registered_commands)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(tmp_path, name):
    done = in_a_process(name, "--help", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert f"Example: fastbp {name}" in done.out
    assert "Any" not in done.out


@pytest.mark.slow
def test_help_names_what_options_take_and_the_version_is_told(tmp_path):
    done = in_a_process("train", "--help", folder=tmp_path)
    for word in ("DATA", "auto|N", "FILE", "COL", "Exit codes: 0 done", "digits"):
        assert word in done.out
    assert in_a_process("--version", folder=tmp_path).out.startswith("fastbp ")


@pytest.mark.slow
def test_warmup_says_what_it_compiled_and_where(warmed, tmp_path):
    done, root = warmed.done, str(warmed.root)
    assert done.code == 0, done.err
    for word in ("compiled train x", "compiled rows_task", "0 there before", root):
        assert word in done.out
    again = in_a_process("warmup", folder=tmp_path, FASTBP_CACHE_DIR=root)
    assert again.out.startswith("0 compiled")


@pytest.mark.slow
def test_warmup_refuses_a_dtype_it_does_not_know(tmp_path):
    done = in_a_process("warmup", "--dtype", "float16", folder=tmp_path)
    assert done.code == 2 and "float32" in done.complaint
