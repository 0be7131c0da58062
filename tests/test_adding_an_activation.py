"""The activation that kernels/README.md adds passes all tests that the others pass."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastbp

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "kernels" / "README.md"
if not README.is_file():
    pytest.skip("kernels/README.md is not beside the tests", allow_module_level=True)

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
    "tests/network/test_curvature_far_out.py": (),
    "tests/network/test_derivatives.py": (),
    "tests/network/test_gradients.py": (),
    "tests/network/test_monotonic.py": (),
    "tests/network/test_second_order.py": (),
    "tests/tables/test_explaining.py": ("polars", "sklearn"),
}

# a plugin that writes the names of all tests to a file, before any of them is deselected
PLUGIN = """
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    Path("collected").write_text("\\n".join(item.nodeid for item in items), encoding="utf-8")
"""


def is_installed(name):
    return bool(find_spec(name) or shutil.which(name))


def added_to(place):
    """Return the blocks of code that the README adds to a file."""
    fence = rf"^```python +{re.escape(place)}\n(.*?)^```$"
    return re.findall(fence, README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


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

    formulas, record = added_to("kernels/formulas/activations.py")
    activations = package / "kernels" / "formulas" / "activations.py"
    put_before(activations, "ACTIVATIONS = Registry(", f"{formulas}\n\n")
    put_before(activations, "    ],\n    aliases", record)
    formulas, record = added_to("kernels/formulas/curvatures.py")
    curvatures = package / "kernels" / "formulas" / "curvatures.py"
    put_before(curvatures, "#: sigma'' by the name", f"{formulas}\n\n")
    put_before(curvatures, '    "softmax": None', record)
    (pair,) = added_to("tests/support/oracle.py")
    put_before(tmp_path / "tests/support/oracle.py", '    "softmax": (softmax, softmax_j', pair)
    (tmp_path / "site" / "collected.py").write_text(PLUGIN)
    return tmp_path


@pytest.mark.slow
def test_an_activation_is_added_in_one_file_and_its_oracle(copy_with_softsign):
    folder = copy_with_softsign
    selected = "softsign or [ACTIVATIONS] or test_infinity_and_nan_go_through"
    options = ["-v", "-n0", "--assert=plain", "-p", "no:cacheprovider", "-p", "collected"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-k", selected],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder / 'site'}", "FASTBP_CACHE_DIR": f"{folder}/c"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # it has each test that mish has, an activation of the table with real outputs and no alpha
    names = (folder / "collected").read_text(encoding="utf-8").splitlines()
    expected = {re.sub(r"\bmish\b", "softsign", n) for n in names if re.search(r"\[.*\bmish\b", n)}
    # and those of one that rises
    of_signs = [n for n in names if "test_monotonic.py" in n and "[hard_tanh]" in n]
    expected |= {name.replace("[hard_tanh]", "[softsign]") for name in of_signs}
    outcomes = re.findall(r"^(\S+::.*softsign.*) (PASSED|SKIPPED)", done.stdout, re.MULTILINE)
    assert {name for name, _ in outcomes} == expected
    installed = [file for file, names in OVER_ACTIVATIONS.items() if all(map(is_installed, names))]
    passed = [name.split("::")[0] for name, outcome in outcomes if outcome == "PASSED"]
    assert set(passed) == set(installed)
    assert len(passed) >= 30  # without the optional packages; 60 with all of them
    for test in ("test_every_entry_has_an_oracle[ACTIVATIONS]", "test_infinity_and_nan_go_through"):
        assert f"{test} PASSED" in done.stdout
