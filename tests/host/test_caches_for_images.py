"""A cache made for a level of processors: for the image of a container that runs anywhere."""

import json
import os
import platform
import shutil
import stat
import subprocess
import sys

import pytest

from command_line import in_a_process
from fastbp import warm_up
from fastbp.kernels.compiler.cache_folder import DIGEST
from fastbp.kernels.compiler.target import LEVELS, missing_features
from kernel_scripts import FILL

_LEVEL, _LANES = "x86-64-v3", 8
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        platform.machine().lower() not in ("x86_64", "amd64")
        or bool(missing_features(LEVELS[_LEVEL])),
        reason="the levels are those of x86-64",
    ),
]
# counts what Numba compiles, and keeps what the cache says
_WATCH = """
import hashlib, json, logging
import numpy as np
from numba import float32
from numba.core import event

class Compilations(event.Listener):
    count = 0
    def on_start(self, event): Compilations.count += 1
    def on_end(self, event): pass

said = []
logging.getLogger("fastbp.cache").addFilter(lambda record: said.append(record.getMessage()))
event.register("numba:compile", Compilations())
from fastbp import Network, fit_many
from fastbp.kernels.simd.vector import lanes

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(300, 9)), rng.normal(size=(300, 3))
bits = hashlib.sha256()
"""
_TRAIN = """
for threads in (1, 2):
    net = Network([9, 33, 3], "gelu", seed=1)
    net.fit(X, Y, epochs=2, batch_size=50, n_threads=threads)
    for _ in fit_many([net, Network([9, 33, 3])], X, Y, epochs=1, n_threads=1):
        pass
    bits.update(net.parameters.tobytes() + net.predict(X, n_threads=threads).tobytes())
"""
_INFER = """
net = Network([9, 33, 3], "tanh", seed=1)
bits.update(net.predict(X, n_threads=1).tobytes())
"""
# what was compiled, how wide vectors are, the bits of the results, and what was said
_TELL = """
print(json.dumps([Compilations.count, lanes(float32), bits.hexdigest(), said]))
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Return a folder that the command filled for the level, and its folder of kernels."""
    folder = tmp_path_factory.mktemp("image")
    before = os.umask(0o077)
    try:
        done = in_a_process("warmup", "--cpu", _LEVEL, "--to", "in/image", folder=folder)
    finally:
        os.umask(before)
    assert done.code == 0, done.err
    assert str(folder / "in" / "image" / DIGEST) in done.out
    return folder / "in" / "image"


@pytest.fixture
def use(run_python):
    """Return ``use(folder, code, **env)``: what a process with that cache does."""

    def used(folder, code, **env):
        env = {"NUMBA_NUM_THREADS": 2, "NUMBA_CPU_NAME": None, "NUMBA_CPU_FEATURES": None, **env}
        return json.loads(run_python(_WATCH + code + _TELL, FASTBP_CACHE_DIR=folder, **env))

    return used


def test_all_users_can_read_it_whatever_the_umask_was(image):
    inside = [image, image.parent, *image.rglob("*")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in inside if path.is_dir()}
    assert modes == {0o755}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in inside if not path.is_dir()}
    assert modes == {0o644}


def test_a_process_loads_it_and_compiles_nothing(use, image):
    before = {path: path.stat().st_mtime_ns for path in image.rglob("*.bin")}
    compiled, lanes, _, said = use(image, _TRAIN)
    assert (compiled, lanes, said) == (0, _LANES, [])
    assert {path: path.stat().st_mtime_ns for path in image.rglob("*.bin")} == before


def test_it_computes_the_bits_of_the_level(use, image):
    # where all that a process does is of the level, it would compile what the image holds
    of_level = {"NUMBA_CPU_NAME": _LEVEL, "NUMBA_CPU_FEATURES": LEVELS[_LEVEL]}
    compiled, lanes, bits, _ = use(image, _TRAIN, **of_level)
    assert (compiled, lanes) == (0, _LANES)
    assert bits == use(image, _TRAIN)[2]


def test_what_it_lacks_is_compiled_for_the_level(use, image, tmp_path):
    folder = shutil.copytree(image, tmp_path / "copy")
    *loaded, bits, _ = use(folder, _INFER)
    assert loaded == [0, _LANES]
    (lacking,) = folder.rglob("activate_tanh-*.bin")
    lacking.unlink()
    compiled, lanes, same, said = use(folder, _INFER)
    assert compiled > 0 and (lanes, same, said) == (_LANES, bits, [])
    # where the folder can be written, it is kept under another name
    assert use(folder, _INFER) == [0, _LANES, bits, []]
    assert not lacking.exists()


def test_a_process_on_a_lesser_processor_says_why_it_compiles(run_python, use, image, tmp_path):
    folder = shutil.copytree(image, tmp_path / "copy")
    code = """
    from fastbp.kernels.compiler.target import Target, host, set_level_of_cache
    set_level_of_cache(Target(host().triple, "x86-64-v9", "+sse2,+teleport"))
    """
    run_python(code, FASTBP_CACHE_DIR=folder)
    compiled, lanes, _, (said,) = use(folder, FILL)
    assert compiled > 0 and lanes >= _LANES
    assert "x86-64-v9" in said and "lacks teleport" in said
    assert use(folder, FILL)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--cpu", "x86-64-v3"), "--to"),
        (("--cpu", "x86-64-v9", "--to", "x"), "x86-64-v3"),
        (("--to", "file"), "file"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(tmp_path, arguments, words):
    (tmp_path / "file").touch()
    done = in_a_process("warmup", *arguments, folder=tmp_path)
    assert done.code == 2 and words in done.complaint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no modes of others")
def test_a_folder_that_no_process_would_trust_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(ValueError, match=r"0777.*no process would trust it"):
        warm_up(to=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_level_needs_a_folder():
    with pytest.raises(ValueError, match=r"x86-64-v3.*to="):
        warm_up(cpu="x86-64-v3")


def test_an_unknown_dtype_is_refused_in_the_other_process_too(tmp_path):
    with pytest.raises(ValueError, match="float16"):
        warm_up(["float16"], to=tmp_path / "cache")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits of files")
@pytest.mark.parametrize("to", [True, False])
def test_a_folder_that_cannot_hold_all_kernels_is_not_called_filled(tmp_path, to):
    # a full disk takes small files and no large ones, as this limit does
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    run = "from fastbp import warm_up"
    words = f"to={str(tmp_path / 'cache')!r}" if to else ""
    # once more: what was told before is still so
    code = f"{limit}; {run}; warm_up([], {words}); r = warm_up([]); print(r.kept, r.unkept)"
    env = {**os.environ, "FASTBP_CACHE_DIR": str(tmp_path / "cache")}
    told = {"env": env, "capture_output": True, "text": True, "cwd": tmp_path}
    done = subprocess.run([sys.executable, "-c", code], **told)
    if to:
        assert done.returncode == 1 and "OSError: to=" in done.stderr
        assert "cache' is not complete: " in done.stderr and "File too large" in done.stderr
    else:
        assert done.returncode == 0 and "File too large" in done.stdout
        assert done.stderr.count("every process compiles kernels") == 1


def test_pruning_is_said(image, tmp_path):
    folder = shutil.copytree(image, tmp_path / "cache")
    old = folder / f"{1:020x}"
    old.mkdir()
    (old / f"kernel-{1:020x}.bin").touch()
    os.utime(old, (0, 0))
    cache = {"FASTBP_CACHE_DIR": str(folder)}
    assert in_a_process("warmup", folder=tmp_path, **cache).code == 0
    assert old.exists()
    done = in_a_process("warmup", "--prune", folder=tmp_path, **cache)
    assert done.code == 0 and not old.exists()
    assert f"removed {old}" in done.out


def test_a_new_version_prunes_and_says_so(run_python, tmp_path):
    old = tmp_path / f"{1:020x}"
    old.mkdir()
    (old / f"kernel-{1:020x}.bin").touch()
    os.utime(old, (0, 0))
    telling = """
import logging, sys
logging.getLogger("fastbp").setLevel(logging.INFO)
logging.getLogger("fastbp.cache").addHandler(logging.StreamHandler(sys.stdout))
"""
    assert "removed 1 folder" in run_python(telling + FILL, FASTBP_CACHE_DIR=tmp_path)
    assert not old.exists()
