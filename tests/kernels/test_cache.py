"""The disk cache of kernels: few compilations, none twice, and never an error."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fastbp
from fastbp.kernels.compiler.cache_folder import cache_folder
from kernel_scripts import COUNT, FILL

# trains two nets that share nothing but the dtype
_TWO_NETS = """
import numpy as np
from fastbp import Dense, Dropout, Network, RMSprop, SGD, Step

def train(dtype, threads):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4))
    labels, numbers = rng.integers(0, 3, 50), rng.normal(size=(50, 2))
    small = Network([4, 7, 3], "tanh", "cross_entropy", SGD(0.1, momentum=0.9), dtype=dtype)
    layers = [Dropout(0.1), Dense(33, "gelu"), Dropout(0.2), Dense(5, "selu", bias=False)]
    large = Network(
        inputs=4, layers=[*layers, Dense(9, "elu"), Dense(2)], loss="huber", dtype=dtype,
        optimizer=RMSprop(clip_norm=1.0, l1=1e-3, schedule=Step()),
    )
    for net, y in ((small, labels), (large, numbers)):
        options = {"n_threads": threads}
        net.fit(
            X, y, epochs=2, batch_size=16 if net is small else 50, validation_data=(X, y),
            sample_weight=None if net is small else np.ones(50), **options,
        )
        net.update(net.backward(X, y, **options)[1], epoch=0, **options)
        net.evaluate(X, y, **options)
"""
# the lines of a function that is too long to be inlined
_LONG = "        x = abs(x * x - 1.0) / 3.0\n" * 60


def test_one_signature_of_every_kernel_for_each_dtype(run_python):
    code = """
    import importlib, json, pkgutil
    import fastbp.kernels
    from fastbp.kernels.compiler.jit import Kernel

    def kernels():
        for module in pkgutil.walk_packages(fastbp.kernels.__path__, "fastbp.kernels."):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, Kernel): yield value

    def signatures():
        return {
            f"{kernel.function.__module__}.{kernel.__name__}.{kind}": len(twin.signatures)
            for kernel in kernels()
            for kind in ("serial", "parallel") if (twin := vars(kernel).get(kind))
        }

    found = []
    for dtype in ("float32", "float64"):
        for threads in (1, 2): train(dtype, threads)
        found.append(signatures())
    print(json.dumps(found))
    """
    one, two = json.loads(run_python(_TWO_NETS + textwrap.dedent(code), NUMBA_NUM_THREADS=2))
    assert {"train.serial", "infer.serial"} <= {".".join(name.rsplit(".", 2)[1:]) for name in one}
    assert {name: count for name, count in one.items() if count > 1} == {}
    assert {name: count for name, count in two.items() if count > 2} == {}


def test_after_a_warm_up_nothing_is_left_to_compile(run_python, warmed, tmp_path):
    (folder,) = warmed.root.iterdir()
    kept = len(list(folder.glob("*.bin")))
    assert warmed.compiled > 0  # the listener hears
    assert f"{kept} compiled, 0 there before, in {folder}" in warmed.done.out and kept > 10
    code = """
    from fastbp import warm_up
    train("float32", 1)
    train("float32", 2)
    assert Compilations.count == 0
    report = warm_up()
    assert Compilations.count == 0
    print(len(report.compiled), report.kept, report.folder)
    """
    env = {"FASTBP_CACHE_DIR": warmed.root, "NUMBA_NUM_THREADS": 2}
    said = run_python(COUNT + _TWO_NETS + textwrap.dedent(code), **env)
    assert said.split() == ["0", str(kept), str(folder)]


def test_loading_kernels_imports_nothing_that_only_compiling_needs(run_python, warmed):
    # Numba imports scipy.linalg, 90 ms, before it compiles
    code = """
    import sys
    train("float32", 1)
    assert "scipy.linalg" not in sys.modules
    assert "numba.np.arraymath" not in sys.modules

    from numba import njit
    @njit
    def product(a, b): return np.dot(a, b) + np.sqrt(a).sum()
    a = np.arange(4.0).reshape(2, 2)
    expected = a @ a + np.sqrt(a).sum()
    print(np.abs(product(a, a) - expected).max())
    """
    code = _TWO_NETS + textwrap.dedent(code)
    assert float(run_python(code, FASTBP_CACHE_DIR=warmed.root)) < 1e-12


def test_the_loops_around_the_tile_have_one_signature(warmed):
    # literal and variable integers from different callers once tripled the compile time
    loops = warmed.loops
    assert len(loops["gemm"]) == 1
    for name, signatures in loops.items():
        # a count of None, for whole vectors without a mask, is a kind of its own by design
        masked = [signature for signature in signatures if "none" not in signature]
        whole = [signature for signature in signatures if "none" in signature]
        assert len(masked) <= 1 and len(whole) <= 1, (name, signatures)


def test_the_cache_holds_whole_files_only(warmed):
    files = [path for path in warmed.root.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if path.suffix != ".bin"] == []


def test_twins_of_a_factory_from_two_processes_stay_apart(run_python, tmp_path):
    # each process compiles its kernel first, so both hold a function of one name and number
    kernels = f"""
import os
from fastbp.kernels.compiler.jit import inner, kernel

def giving(number):
    @inner
    def give(x):
{_LONG}
        return x * 0.0 + number
    return give

two, three = giving(2.0), giving(3.0)

@kernel
def give_two(x): return two(x)

@kernel
def give_three(x): return three(x)

print([{{"2": give_two, "3": give_three}}[name].serial(1.0) for name in os.environ["NAMES"]])
"""
    env = {"FASTBP_CACHE_DIR": tmp_path}
    assert run_python(kernels, NAMES="2", **env).strip() == "[2.0]"
    assert run_python(kernels, NAMES="3", **env).strip() == "[3.0]"
    assert run_python(kernels, NAMES="23", **env).strip() == "[2.0, 3.0]"


def test_a_warm_up_without_a_place_for_the_cache_says_so(run_python, tmp_path):
    (tmp_path / "file").write_text("")
    code = "from fastbp import warm_up\nprint(warm_up([]).kept)"  # of no dtype: what all need
    assert run_python(code, FASTBP_CACHE_DIR=tmp_path / "file" / "cache").strip() == "0"


# ---------------------------------------------------------------- damage


def _of_another_program(content):
    return hashlib.sha256(b"junk").digest() + b"junk"


DAMAGE = {
    "empty": lambda content: b"",
    "garbage": lambda content: b"\x80garbage" * 50,
    "cut in half": lambda content: content[: len(content) // 2],
    "last byte changed": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "checksum of something else": _of_another_program,
}


@pytest.fixture(scope="module")
def filled(run_python, tmp_path_factory):
    """Return a cache that holds one small kernel."""
    folder = tmp_path_factory.mktemp("filled")
    run_python(FILL, FASTBP_CACHE_DIR=folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_means_compiling_again(run_python, filled, tmp_path, damage):
    shutil.copytree(filled, tmp_path / "cache")
    (file,) = tmp_path.rglob("*.bin")
    file.write_bytes(damage(file.read_bytes()))
    fill = COUNT + FILL + "print(Compilations.count)\n"
    assert int(run_python(fill, FASTBP_CACHE_DIR=tmp_path / "cache")) > 0
    # the damage was repaired
    assert int(run_python(fill, FASTBP_CACHE_DIR=tmp_path / "cache")) == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


def test_a_folder_in_the_place_of_a_file_is_no_error(run_python, filled, tmp_path):
    shutil.copytree(filled, tmp_path / "cache")
    (file,) = tmp_path.rglob("*.bin")
    file.unlink()
    file.mkdir()
    run_python(FILL, FASTBP_CACHE_DIR=tmp_path / "cache")
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_without_a_place_for_the_cache_kernels_compile(run_python, tmp_path):
    # a path below a regular file can be made by nobody, not even by root
    file = tmp_path / "file"
    file.write_text("")
    run_python(FILL, FASTBP_CACHE_DIR=file / "cache")
    assert file.read_text() == ""


_NO_CACHE_SET = dict.fromkeys(
    ["FASTBP_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"]
)


def test_without_home_kernels_compile(run_python):
    run_python(FILL, **_NO_CACHE_SET)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no password database")
def test_a_user_without_home_and_name_gets_no_folder_called_tilde(run_python):
    # as in a container that runs under a number which no one entered in /etc/passwd
    code = """
    import os, pwd
    def unknown(uid): raise KeyError(uid)
    pwd.getpwuid = unknown
    """
    listing = "import os\nassert os.listdir() == [], os.listdir()\n"
    run_python(textwrap.dedent(code) + FILL + listing, **_NO_CACHE_SET)


def test_two_processes_that_compile_at_once_leave_one_good_file(run_python, tmp_path):
    env = {**os.environ, "FASTBP_CACHE_DIR": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", FILL], env=env, cwd=tmp_path) for _ in "12"]
    assert [process.wait() for process in both] == [0, 0]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    count = run_python(COUNT + FILL + "print(Compilations.count)", FASTBP_CACHE_DIR=tmp_path)
    assert int(count) == 0


def test_which_variable_names_the_folder(monkeypatch, tmp_path):
    for name, below in (("XDG_CACHE_HOME", "fastbp"), ("NUMBA_CACHE_DIR", "fastbp")):
        monkeypatch.delenv("FASTBP_CACHE_DIR", raising=False)
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
        monkeypatch.setenv(name, str(tmp_path / name))
        assert cache_folder().parent == tmp_path / name / below
    # fastbp's own goes before Numba's
    monkeypatch.setenv("FASTBP_CACHE_DIR", str(tmp_path / "own"))
    assert cache_folder().parent == tmp_path / "own"


def test_without_a_compiler_the_import_says_why(run_python):
    code = """
    try:
        import fastbp.kernels
    except ImportError as error:
        print(error)
    """
    assert "unset NUMBA_DISABLE_JIT" in run_python(code, NUMBA_DISABLE_JIT=1)


def test_the_sources_without_kernels_say_how_to_install(run_python, tmp_path):
    package = Path(fastbp.__file__).parent
    shutil.copytree(package, tmp_path / "fastbp", ignore=shutil.ignore_patterns("kernels"))
    code = """
    import sys
    # no finder of an editable install
    sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
    try:
        import fastbp
    except ImportError as error:
        print(error)
    """
    answer = run_python(code, PYTHONPATH=tmp_path)
    assert str(tmp_path / "fastbp") in answer and "pip install -e ." in answer
