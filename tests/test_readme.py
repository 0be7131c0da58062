"""README.md is true: its code runs and gives what the text says, its files and commands exist."""

import re
import shutil
from importlib.metadata import metadata
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


@pytest.mark.slow
def test_an_activation_is_added_in_one_file(tmp_path, run_python):
    package = tmp_path / "fastbp"
    leave = shutil.ignore_patterns("__pycache__", "kernels")
    shutil.copytree(Path(fastbp.__file__).parent, package, ignore=leave)
    shutil.copytree(Path(fastbp.kernels.__file__).parent, package / "kernels", ignore=leave)

    formulas, record = added_to("kernels/formulas/activations.py")
    file = package / "kernels" / "formulas" / "activations.py"
    head, table = file.read_text().split("ACTIVATIONS = Registry(")
    table = table.replace("    ],\n    aliases", f"{record}    ],\n    aliases", 1)
    file.write_text(f"{head}{formulas}\n\nACTIVATIONS = Registry({table}")
    (oracle,) = added_to("tests/support/oracle.py")

    out = run_python(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import numpy as np
        from fastbp import Network, kernels
        assert kernels.__file__.startswith({str(tmp_path)!r})
        function, derivative = {{{oracle.strip()}}}["softsign"]
        Z = np.linspace(-5, 5, 50).reshape(2, 25)
        A = kernels.activation(Z, "softsign")
        print(np.abs(A - function(Z, 0)).max() < 1e-15)
        slope = kernels.activation_derivative(A, "softsign")
        print(np.abs(slope - derivative(Z, 0)).max() < 1e-15)
        X = np.random.default_rng(0).standard_normal((64, 4))
        net = Network([4, 8, 1], activation="softsign", seed=1)
        loss = net.fit(X, X[:, :1] * X[:, 1:2], epochs=50, batch_size=8)["loss"]
        print(loss[-1] < loss[0])
        """,
        FASTBP_CACHE_DIR=tmp_path / "cache",
    )
    assert out.split() == ["True"] * 3


@pytest.mark.parametrize("command", ["fastbp train digits", "python -m pytest"])
def test_the_two_commands_install_an_extra_that_exists(command):
    (line,) = [line for line in TEXT.splitlines() if f"&& {command}" in line]
    extra = re.search(r'python -m pip install "\.\[(\w+)\]"', line)[1]
    assert extra in metadata("fastbp").get_all("Provides-Extra")
