"""README.md is true: its code runs and gives what the text says, its files and commands exist."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastbp

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
if not README.is_file():
    pytest.skip("README.md is not beside the tests", allow_module_level=True)

TEXT = README.read_text(encoding="utf-8")
# (file that the code belongs to, or "" for code to run; code)
BLOCKS = re.findall(r"^```python *(\S*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def added_to(file):
    return [code for place, code in BLOCKS if place == file]


@pytest.fixture(scope="module")
def after_running(tmp_path_factory):
    """Run the README's code in order in an empty folder; return its names and the folder."""
    folder = tmp_path_factory.mktemp("readme")
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for place, code in BLOCKS:
            if not place:
                exec(compile(code, str(README), "exec"), names)
    return names, folder


def test_the_first_example_has_ten_lines():
    assert len(added_to("")[0].splitlines()) <= 10


def test_the_first_example_reaches_the_accuracy_of_the_text(after_running):
    names, _ = after_running
    promised = re.search(r"accuracy is ([\d.]+) or better", TEXT)
    assert names["accuracy"] >= float(promised[1]) >= 0.95
    assert len(names["history"]) == 40
    assert "of peak" in repr(names["history"])


def test_the_passes_give_what_the_comments_say(after_running):
    names, folder = after_running
    np, net, same = names["np"], names["net"], names["same"]
    assert names["outputs"].shape == (len(names["X_test"]), 10)
    assert np.allclose(names["outputs"].sum(axis=1), 1, atol=1e-5)
    assert [g.shape for g in names["grads"].weights] == [w.shape for w in net.weights]
    assert [g.shape for g in names["grads"].biases] == [b.shape for b in net.biases]
    assert (folder / "digits.safetensors").is_file()
    assert same.parameters.tobytes() == net.parameters.tobytes()


def test_the_long_form_learns(after_running):
    names, _ = after_running
    assert names["deep"].evaluate(names["X_test"], names["y_test"])["accuracy"] > 0.9


def test_a_table_is_learned_saved_and_scored(after_running):
    names, _folder = after_running
    assert names["scored"].columns == [
        "row",
        "prediction",
        "probability of no",
        "probability of yes",
    ]
    assert len(names["scored"]) == 400
    assert names["scores"]["accuracy"] > 0.95  # the city and the age tell all
    assert len(names["model"].history["loss"]) <= 30
    assert len(names["display"].figure_.axes) >= 1


def test_a_source_is_trained_on_with_checkpoints(after_running):
    names, folder = after_running
    history = names["streamed"]
    assert len(history) == 5 and history["loss"][-1] < history["loss"][0]
    assert 1 <= len(list((folder / "ckpt").iterdir())) <= 2


def test_exports_compute_what_the_network_does(after_running):
    names, folder = after_running
    np, net, X = names["np"], names["net"], names["X_test"].astype("float32")
    expected = net.forward(X)
    assert np.allclose(names["theirs"].predict_proba(X), expected, atol=1e-6)
    assert np.allclose(names["ours"].forward(X), expected, atol=1e-6)
    module = {}
    exec((folder / "net.py").read_text(), module)
    assert np.allclose(module["predict"](X), expected, atol=1e-6)
    assert "void net_predict(const float *x, float *out)" in (folder / "net.c").read_text()
    assert names["tensors"]["0.weight"].shape == (100, 64)


def test_every_exit_code_is_documented():
    from fastbp.commands.exits import Code

    table = re.findall(r"^\| (\d+) \| ", TEXT, re.MULTILINE)
    assert set(map(int, table)) == {int(code) for code in Code}


def test_the_estimators_learn(after_running):
    names, _ = after_running
    assert names["score"] > 0.9
    clf, X_test, y_test = names["clf"], names["X_test"], names["y_test"]
    assert clf.score(X_test, y_test) > 0.9
    assert len(clf.validation_loss_curve_) == clf.n_iter_
    assert names["slopes"].shape == (len(X_test), 10, 64)


def test_the_kernel_gives_the_product(after_running):
    names, _ = after_running
    assert names["np"].allclose(names["Z"], names["A"] @ names["W"], atol=1e-3)


def test_the_files_named_exist():
    links = re.findall(r"\]\((?!http)([^)]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_every_public_kernel_is_in_the_table():
    named = set(re.findall(r"`(\w+)`", TEXT)) | {"measure_peak"}
    assert set(fastbp.kernels.__all__) <= named


# ----------------------------------------------------------------- adding an activation

# the test files that are parametrized over the activations, and the packages and programs that
# they need
OVER_ACTIVATIONS = {
    "tests/benchmarks/test_benchmarks.py": (),
    "tests/estimators/test_estimator_onnx.py": ("skl2onnx", "onnxruntime"),
    "tests/exports/test_export_c.py": ("gcc",),
    "tests/exports/test_export_numpy.py": (),
    "tests/exports/test_export_onnx.py": ("onnx", "onnxruntime", "polars"),
    "tests/exports/test_export_torch.py": ("torch",),
    "tests/kernels/test_elementary.py": (),
    "tests/kernels/test_registries.py": (),
    "tests/network/test_gradients.py": (),
}


def is_installed(name):
    return bool(find_spec(name) or shutil.which(name))


def blocks_for(file):
    """The code that README.md or kernels/README.md says to add to a file."""
    texts = [path.read_text() for path in (README, ROOT / "kernels/README.md") if path.is_file()]
    fence = rf"^```python +{re.escape(file)}\n(.*?)^```$"
    return [code for text in texts for code in re.findall(fence, text, re.MULTILINE | re.DOTALL)]


def put_before(file, place, code):
    """Put code before a text that occurs once in a file."""
    head, tail = file.read_text().split(place)
    file.write_text(f"{head}{code}{place}{tail}")


@pytest.fixture
def copy_with_softsign(tmp_path):
    """A copy of the tests and, in site/, of the package, with the activation of the README."""
    package = tmp_path / "site" / "fastbp"
    for source, target in [
        (Path(fastbp.__file__).parent, package),
        (Path(fastbp.kernels.__file__).parent, package / "kernels"),
        (ROOT / "tests", tmp_path / "tests"),
        (ROOT / "benchmarks", tmp_path / "benchmarks"),
    ]:
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    formulas, record = blocks_for("kernels/formulas/activations.py")
    activations = package / "kernels" / "formulas" / "activations.py"
    put_before(activations, "ACTIVATIONS = Registry(", f"{formulas}\n\n")
    put_before(activations, "    ],\n    aliases", record)
    (pair,) = blocks_for("tests/support/oracle.py")
    put_before(tmp_path / "tests/support/oracle.py", '    "softmax": (softmax, softmax_j', pair)
    return tmp_path


@pytest.mark.slow
def test_an_activation_is_added_in_one_file_and_its_oracle(copy_with_softsign):
    folder = copy_with_softsign
    selected = "softsign or ACTIVATIONS or test_infinity_and_nan_go_through"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-n0", "-p", "no:cacheprovider", "-k", selected],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder / 'site'}", "FASTBP_CACHE_DIR": f"{folder}/c"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"^(\S+)::.*softsign.* PASSED", done.stdout, re.MULTILINE)
    run = [file for file, names in OVER_ACTIVATIONS.items() if all(map(is_installed, names))]
    assert set(passed) == set(run)
    for test in ("test_every_entry_has_an_oracle[ACTIVATIONS]", "test_infinity_and_nan_go_through"):
        assert f"{test} PASSED" in done.stdout


@pytest.mark.parametrize("command", ["fastbp train digits", "python -m pytest"])
def test_the_two_commands_install_an_extra_that_exists(command):
    (line,) = [line for line in TEXT.splitlines() if f"&& {command}" in line]
    extra = re.search(r'python -m pip install "\.\[(\w+)\]"', line)[1]
    assert extra in metadata("fastbp").get_all("Provides-Extra")
