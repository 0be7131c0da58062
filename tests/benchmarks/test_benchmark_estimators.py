"""The comparison with scikit-learn's fits: its arithmetic, its tables, and small real runs."""

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmark_modules import FOLDER, load

load("benchmarks")
estimators = load("benchmarks.estimators")
fits = load("benchmarks.fits")
needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="the peak is read from Linux's /proc"
)


@pytest.fixture
def small(monkeypatch):
    """Make all fits small, and measure them without a rest."""
    monkeypatch.setattr(estimators, "SETTLE_SECONDS", 0)
    for name, case in fits.CASES.items():
        settings = {**case.settings, "max_iter": 2, "hidden_layer_sizes": (8,)}
        case = replace(case, rows=min(case.rows, 300), settings=settings)
        monkeypatch.setitem(fits.CASES, name, case)


def made_up(theirs=(6.0, 8.0, 9.0), own=(1.0, 2.0, 1.5), n_iter=(3, 3)):
    """Return a result of three rounds with a target of 5."""
    result = estimators.Result("text", "9 x 9 made up", "float64", "all", 5)
    for side, seconds, count in zip(fits.SIDES, (theirs, own), n_iter, strict=True):
        result.seconds[side] += seconds
        result.n_iter[side], result.loss[side] = count, 0.25
    return result


def memory(own):
    sizes = {"X": 1e6, "sklearn": 9e6, "fastbp": own, "limit": 5e6}
    return {"case": "text-memory", "dtype": "float32", **sizes}


def test_the_ratio_is_the_median_of_the_rounds():
    assert made_up().ratio == 6.0  # of 6, 4 and 6
    assert made_up().note == ""


def test_a_note_says_what_is_missed_and_which_epochs_differ():
    assert made_up(own=(2.0, 2.0, 2.0)).note == "below target"
    assert made_up(n_iter=(4, 2)).note == "n_iter_ differs: 3.00x per epoch"


def test_a_line_has_what_both_have_once():
    cells = dict(zip(estimators.HEAD, estimators.cells_of(made_up(n_iter=(4, 2))), strict=True))
    assert cells["n_iter_"] == "4 / 2"
    assert cells["loss_"] == "0.25"
    assert (cells["sklearn s"], cells["fastbp s"], cells["ratio"]) == ("8.000", "1.500", "6.00x")


def test_memory_above_the_limit_is_said():
    assert estimators.memory_line(memory(5e6)).endswith("(at most 4.8 MiB)")
    assert estimators.memory_line(memory(6e6)).endswith("(at most 4.8 MiB: above)")


def test_the_table_of_the_readme_has_a_row_per_result():
    block = estimators.readme_block([made_up()], [memory(5e6)], "some processor")
    head, _, row, empty, caption, *_ = block.splitlines()
    assert row.count("|") == head.count("|") == 8
    assert empty == ""
    assert "medians of 3 rounds" in caption
    assert "some processor" in caption


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--cases digits,no", "'no' is not in digits"),
        ("--dtypes float16", "'float16' is not in float64"),
        ("--rounds 0", "expected 1 or more"),
        ("--readme --cases text", "wants all cases"),
        ("--readme --dtypes float32", "wants all cases"),
    ],
)
def test_a_bad_command_line_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        estimators.parse(arguments.split())
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", fits.CASES)
def test_a_case_makes_the_same_data_of_the_shape_it_is_named_for(name):
    case = replace(fits.CASES[name], rows=100)
    (X, y), (again, _) = case.data("float32"), case.data("float32")
    columns = {"digits": 64, "narrow": 8, "images": 784, "text": 10_000, "lbfgs": 10}
    assert X.shape == (100, columns[name])
    assert len(y) == 100
    assert X.dtype == "float32"
    assert abs(X - again).max() == 0
    if name == "images":
        assert np.mean(X != 0) == pytest.approx(0.19, abs=0.01)
    if name == "text":
        assert X.nnz == 100 * 100
        assert X.has_canonical_format


def write_images(folder, rows):
    """Write a folder in the format of MNIST; return its images and labels."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (rows, 784)), np.arange(rows) % 10
    for name, head, values in (("images-idx3", 16, images), ("labels-idx1", 8, labels)):
        data = gzip.compress(bytes(head) + values.astype(np.uint8).tobytes())
        (folder / f"{name}-ubyte.gz").write_bytes(data)
    return images, labels


def test_images_are_read_from_a_folder(tmp_path):
    images, labels = write_images(tmp_path, 12)
    X, y = fits.read_images(tmp_path, 10)
    np.testing.assert_array_equal(X, images[:10] / 255)
    np.testing.assert_array_equal(y, labels[:10])


@pytest.mark.parametrize("threads", ["1", "all"])
def test_the_program_measures_prints_and_writes_json(small, tmp_path, capsys, threads):
    file = tmp_path / "figures.json"
    write_images(tmp_path, 300)
    command = ["--rounds=2", "--cases=lbfgs,images,text", f"--images={tmp_path}", f"--json={file}"]
    estimators.main([*command, f"--threads={threads}"])
    lines = capsys.readouterr().out.splitlines()
    cases = ["lbfgs", "lbfgs", "images", "images", "text", "text"]
    assert [line.split()[0] for line in lines] == ["case", *cases]
    assert f"300 x 784 {tmp_path.name}" in lines[3]
    written = json.loads(file.read_text())
    assert written["memory"] == []
    for entry in written["results"]:
        assert entry["threads"] == threads
        assert entry["ratio"] > 0
        assert entry["n_iter"] == {"sklearn": 2, "fastbp": 2}
        assert [len(seconds) for seconds in entry["seconds"].values()] == [2, 2]
        tolerance = 1e-9 if entry["dtype"] == "float64" else 1e-3
        assert entry["loss"]["fastbp"] == pytest.approx(entry["loss"]["sklearn"], rel=tolerance)


@needs_proc
@pytest.mark.release
def test_the_memory_of_a_sparse_fit_is_measured():
    entry = estimators.sparse_memory("float32", rows=400)
    assert entry["X"] == 400 * 100 * 8 + 401 * 4
    parameters = 4 * (10_001 * 100 + 101 * 20)
    for side in fits.SIDES:
        assert entry["X"] + 3 * parameters < entry[side] < entry["X"] + 20 * parameters
    assert entry["limit"] > 4 * parameters


@pytest.mark.release
def test_the_program_runs_by_itself(tmp_path):
    command = [sys.executable, str(FOLDER / "estimators.py"), "--rounds=1", "--cases=lbfgs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
