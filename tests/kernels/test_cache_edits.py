"""Edited sources are compiled again: in any file of any folder of kernels/."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastbp
import fastbp.kernels
from kernel_scripts import FILL

PACKAGE, KERNELS = Path(fastbp.__file__).parent, Path(fastbp.kernels.__file__).parent


@pytest.fixture
def copy(tmp_path):
    """Return the folder of a copy of the package, laid out as a wheel installs it."""
    shutil.copytree(PACKAGE, tmp_path / "fastbp", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        KERNELS,
        tmp_path / "fastbp" / "kernels",
        ignore=shutil.ignore_patterns("__pycache__"),
        dirs_exist_ok=True,
    )
    return tmp_path


def test_one_more_byte_in_any_kernel_file_means_another_cache(run_python, copy):
    folders = json.loads(
        run_python(
            """
            import importlib, json, pathlib
            import fastbp.kernels.compiler.cache_folder as cache
            kernels = pathlib.Path(cache.__file__).parent.parent
            files = sorted(kernels.rglob("*.py"))
            folders = {"unedited": str(cache.cache_folder())}
            for file in files:
                before = file.read_bytes()
                file.write_bytes(before + b"#")
                name = file.relative_to(kernels).as_posix()
                folders[name] = str(importlib.reload(cache).cache_folder())
                file.write_bytes(before)
            folders["unedited again"] = str(importlib.reload(cache).cache_folder())
            print(json.dumps(folders))
            """,
            PYTHONPATH=copy,
        )
    )
    assert folders.pop("unedited again") == folders["unedited"]
    assert {"matmul.py", "simd/tile.py", "compiler/jit.py", "net/__init__.py"} <= folders.keys()
    assert len(set(folders.values())) == len(folders)


_FILL_AND_PRINT = FILL + "print(out.max())\n"


def _halve_the_numbers(random):
    """Edit a constant that `fill_uniform` multiplies with."""
    text = random.read_text()
    assert "_UNIT = 2.0**-53" in text
    random.write_text(text.replace("_UNIT = 2.0**-53", "_UNIT = 2.0**-54"))


def test_an_edited_constant_is_compiled_anew(run_python, copy):
    env = {"PYTHONPATH": copy, "FASTBP_CACHE_DIR": copy / "cache"}
    before = float(run_python(_FILL_AND_PRINT, **env))
    _halve_the_numbers(copy / "fastbp" / "kernels" / "random.py")
    assert float(run_python(_FILL_AND_PRINT, **env)) == before / 2


# prints exp(1) and selu(1)
_ACTIVATE = """
import numpy as np
from fastbp.kernels import activation
one = np.ones((1, 1))
print(*(activation(one, name, n_threads=1).item() for name in ("exp", "selu")))
"""


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("simd/elementary.py", "return (tail + 1) *", "return (tail + 3) *", 0),
        ("formulas/activations.py", "SELU_SCALE = 1.0507009873554805", "SELU_SCALE = 2.0", 1),
    ],
)
def test_an_edit_in_a_folder_of_kernels_is_compiled_anew(run_python, copy, file, old, new, changed):
    env = {"PYTHONPATH": copy, "FASTBP_CACHE_DIR": copy / "cache"}
    before = [float(number) for number in run_python(_ACTIVATE, **env).split()]
    assert before == pytest.approx([2.718281828459045, 1.0507009873554805])
    path = copy / "fastbp" / "kernels" / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    after = [float(number) for number in run_python(_ACTIVATE, **env).split()]
    # e^x = (tail + 1) 2^n with tail = e^r - 1: twice 2^n more, n = round(1 / ln 2) = 1
    expected = [before[0] + 2 * 2.0, 2.0]
    assert after[changed] == pytest.approx(expected[changed])
    assert after[1 - changed] == before[1 - changed]


def test_a_file_moved_to_another_folder_means_another_cache(run_python, copy):
    code = "from fastbp.kernels.compiler.cache_folder import cache_folder\nprint(cache_folder())"
    kernels = copy / "fastbp" / "kernels"
    # a module that nothing imports, so that what is hashed is all that changes
    (kernels / "simd" / "unused.py").write_text("")
    folders = [run_python(code, PYTHONPATH=copy)]
    (kernels / "simd" / "unused.py").rename(kernels / "net" / "unused.py")
    folders.append(run_python(code, PYTHONPATH=copy))
    (kernels / "net" / "unused.py").unlink()
    folders.append(run_python(code, PYTHONPATH=copy))
    assert len(set(folders)) == 3


def test_an_edit_while_a_process_runs_does_not_reach_its_cache(run_python, copy):
    # the old code must not be stored as if it were that of the new sources
    env = {"PYTHONPATH": copy, "FASTBP_CACHE_DIR": copy / "cache"}
    edit = """
import fastbp.kernels.random as module
from pathlib import Path
path = Path(module.__file__)
path.write_text(path.read_text().replace("_UNIT = 2.0**-53", "_UNIT = 2.0**-54"))
"""
    old = float(run_python(edit + _FILL_AND_PRINT, **env))
    assert "_UNIT = 2.0**-54" in (copy / "fastbp" / "kernels" / "random.py").read_text()
    assert float(run_python(_FILL_AND_PRINT, **env)) == old / 2


def _wheel(folder, version):
    """Return a wheel of the package in a folder."""
    name = f"fastbp-{version}"
    info = f"{name}.dist-info"
    meta = {
        "METADATA": f"Metadata-Version: 2.1\nName: fastbp\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files = list((folder / "fastbp").rglob("*.py*"))
    record = [str(path.relative_to(folder).as_posix()) for path in files]
    record += [f"{info}/{each}" for each in (*meta, "RECORD")]
    wheel = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in files:
            archive.write(path, path.relative_to(folder).as_posix())
        for each, text in {**meta, "RECORD": "".join(f"{r},,\n" for r in record)}.items():
            archive.writestr(f"{info}/{each}", text)
    return wheel


@pytest.mark.skipif(find_spec("pip") is None, reason="no pip here")
def test_an_upgrade_by_pip_of_one_file_runs_the_new_code(run_python, copy):
    site = copy / "site"
    env = {"PYTHONPATH": site, "FASTBP_CACHE_DIR": copy / "cache"}
    printed = []
    for version in ("1.0", "1.1"):
        install = ["install", "--quiet", "--no-index", "--no-deps", "--upgrade", "--target", site]
        subprocess.run([sys.executable, "-m", "pip", *install, _wheel(copy, version)], check=True)
        printed.append(float(run_python(_FILL_AND_PRINT, **env)))
        if version == "1.0":
            _halve_the_numbers(copy / "fastbp" / "kernels" / "random.py")
    assert printed[1] == printed[0] / 2
