"""The cache of kernels among many processes: damage, other users, an image, no folder."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fastbp.kernels.compiler.cache_folder import share_folder
from kernel_scripts import FILL

pytestmark = pytest.mark.slow
as_root = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give files to another user"
)
_OTHER = 4321
# prints what the kernel computed, then how many functions were compiled
_COUNTED = f"""
from numba.core import event
class Compilations(event.Listener):
    count = 0
    def on_start(self, event): Compilations.count += 1
    def on_end(self, event): pass
event.register("numba:compile", Compilations())
{FILL}
print(out.tobytes().hex(), Compilations.count)
"""


def _start(folder, code=_COUNTED, **options):
    env = {**os.environ, "FASTBP_CACHE_DIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=env,
        cwd=next(each for each in folder.parents if each.is_dir()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def _end(process):
    """Return what a process computed, whether it compiled, and what it said on stderr."""
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    result, count = out.split()
    return result, int(count) > 0, said


def _run(folder, **options):
    return _end(_start(folder, **options))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Return a cache of one kernel, and what the kernel computes."""
    folder = tmp_path_factory.mktemp("filled") / "cache"
    result, has_compiled, said = _run(folder)
    assert has_compiled and said == ""
    assert _run(folder) == (result, False, "")
    return folder, result


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file() or path.is_symlink()]


# ---------------------------------------------------------------- damage


# sixteen children that have compiled nothing of this cache yet start at once, in each round
_ROUNDS = """
import os, random, sys, traceback, numpy as np
from pathlib import Path
from numba.core import event
from fastbp.kernels.random import fill_permutation, fill_uniform

fill_permutation.serial(3, 1, 0, np.arange(5))  # what any compilation imports
root = Path(os.environ["FASTBP_CACHE_DIR"]) / "shared"
os.environ["FASTBP_CACHE_DIR"] = str(root)

class Compilations(event.Listener):
    count = 0
    def on_start(self, event): Compilations.count += 1
    def on_end(self, event): pass

event.register("numba:compile", Compilations())

def start():
    reads, writes = os.pipe()
    if child := os.fork():
        os.close(writes)
        return child, reads
    status = 1
    try:
        out = np.empty(5)
        fill_uniform.serial(3, 1, 0, out)
        os.write(writes, f"{out.tobytes().hex()} {Compilations.count > 0}".encode())
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)

def end(child, reads):
    with open(reads) as stream: said = stream.read()
    assert os.waitpid(child, 0)[1] == 0
    return said.split()

def damage(kind):
    (file,) = root.glob("*/*.bin")
    content = bytearray(file.read_bytes())
    if kind == "truncated":
        del content[random.randrange(len(content)) :]
    elif kind == "flipped":
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    elif kind == "another":
        content = bytearray(next(root.parent.glob("*/fill_permutation-*.bin")).read_bytes())
    file.write_bytes(content)
    if kind == "others can write it":
        file.chmod(0o666)
    elif kind == "pipe":
        file.unlink()
        os.mkfifo(file)
    elif kind == "removed":
        file.unlink()
        file.parent.rmdir()

random.seed(0)
results = set()
kinds = ("truncated", "flipped", "another", "others can write it", "pipe", "removed")
for number in range(7):
    ended = [end(*each) for each in [start() for _ in range(16)]]
    results |= {result for result, _ in ended}
    assert "True" in {has_compiled for _, has_compiled in ended}, number
    (file,) = (each for each in root.rglob("*") if not each.is_dir())
    assert file.suffix == ".bin"
    assert end(*start())[1] == "False"
    damage(kinds[number % 6])
print(*results)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks there")
def test_sixteen_processes_on_one_cache_are_right_whatever_happened_to_it(
    run_python, tmp_path, filled
):
    (result,) = run_python(_ROUNDS, FASTBP_CACHE_DIR=tmp_path).split()
    assert result == filled[1]


def test_sixteen_interpreters_that_start_on_an_empty_cache_are_right(tmp_path, filled):
    folder = tmp_path / "cache"
    ended = [_end(each) for each in [_start(folder) for _ in range(16)]]
    assert {(result, said) for result, _, said in ended} == {(filled[1], "")}
    assert len(_files(folder)) == 1
    assert _run(folder)[1] is False


_FIVE_HUNDRED = """
import os, random, numpy as np
from pathlib import Path
from numba import config
from numba.core.registry import cpu_target
from fastbp.kernels.compiler.cache_folder import cache_folder
from fastbp.kernels import random as kernels

filled = {
    "fill_uniform": (kernels.fill_uniform.serial, (3, 1, 0, np.empty(5))),
    "fill_permutation": (kernels.fill_permutation.serial, (3, 1, 0, np.arange(5))),
    "draw_uniform": (kernels.draw_uniform.serial, (3, 1, 1.0, np.empty(5))),
}
for kernel, arguments in filled.values(): kernel(*arguments)
folder, context = cache_folder(), cpu_target.target_context
files = {name: next(folder.glob(f"{name}-*.bin")) for name in filled}
good = {name: path.read_bytes() for name, path in files.items()}
random.seed(1)

def cut(content): return content[: random.randrange(len(content))]
def flip(content):
    changed = bytearray(content)
    changed[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return bytes(changed)
def zero(content):
    start = random.randrange(len(content) - 8)
    return content[:start] + bytes(max(1, 8)) + content[start + 8 :] + b"!"
def longer(content): return content + random.randbytes(random.randrange(1, 99))
def noise(content): return random.randbytes(random.randrange(3 * len(content)))

damages, refused = (cut, flip, zero, longer, noise), 0
for number in range(500):
    name = list(filled)[number % 3]
    kernel, arguments = filled[name]
    other = list(filled)[(number + 1 + number % 2) % 3]
    damage = damages[number // 3 % 5] if number % 6 else (lambda content: good[other])
    files[name].write_bytes(damage(good[name]))
    (signature,) = kernel.signatures
    assert kernel._cache.load_overload(signature, context) is None, (number, name)
    refused += 1
    files[name].write_bytes(good[name])
for kernel, _ in filled.values():
    assert kernel._cache.load_overload(kernel.signatures[0], context) is not None
print(refused)
"""


def test_five_hundred_damaged_or_swapped_files_are_refused(run_python, tmp_path):
    assert run_python(_FIVE_HUNDRED, FASTBP_CACHE_DIR=tmp_path).split() == ["500"]


# a pickle that says so where it is unpickled, sealed as an earlier version would or not at all
_PLANTED = """
import hashlib, os, pickle, sys
class Boom:
    def __reduce__(self): return os.system, ("touch pwned",)
code = pickle.dumps(Boom())
for path in __import__("pathlib").Path(sys.argv[1]).glob("*/*.bin"):
    path.write_bytes({"sealed": hashlib.sha256(code).digest() + code, "bare": code}[sys.argv[2]])
"""


@pytest.mark.parametrize("kind", ["sealed", "bare"])
def test_no_pickle_is_unpickled(filled, tmp_path, kind):
    folder = _copy(filled[0], tmp_path)
    subprocess.run([sys.executable, "-c", _PLANTED, str(folder), kind], check=True)
    assert _run(folder) == (filled[1], True, "")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "variables",
    [{"NUMBA_CPU_NAME": "generic"}, {"NUMBA_OPT": "1"}, {"NUMBA_BOUNDSCHECK": "1"}],
    ids=" ".join,
)
def test_code_for_another_processor_or_of_other_settings_is_not_used(
    filled, tmp_path, monkeypatch, variables
):
    folder = _copy(filled[0], tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _run(folder) == (filled[1], True, "")
    assert _run(folder) == (filled[1], False, "")
    assert len(_files(folder)) == 2


# ---------------------------------------------------------------- other users


def _copy(folder, to):
    """Copy a cache, with its modes."""
    subprocess.run(["cp", "-a", str(folder), str(to / "cache")], check=True)
    return to / "cache"


@as_root
@pytest.mark.parametrize("what", ["all", "folder", "file"])
def test_root_runs_no_code_of_another_user(filled, tmp_path, monkeypatch, what):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    folder = _copy(filled[0], tmp_path)
    (file,) = _files(folder)
    given = {"all": (folder, *folder.rglob("*")), "folder": [file.parent], "file": [file]}
    for path in given[what]:
        os.chown(path, _OTHER, _OTHER)
    result, has_compiled, said = _run(folder)
    assert (result, has_compiled) == (filled[1], True)
    if what == "file":  # it is replaced
        assert said == "" and file.stat().st_uid == 0
    else:
        assert said.count("\n") == 1 and f"belongs to user {_OTHER}" in said
        assert str(tmp_path / "own" / "fastbp") in said
    assert _run(folder)[1] is False


@as_root
def test_a_folder_that_any_user_can_write_is_said_and_not_used(filled, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    folder = _copy(filled[0], tmp_path)
    folder.chmod(0o777)
    before = [path.stat().st_mtime_ns for path in _files(folder)]
    _, has_compiled, said = _run(folder)
    assert has_compiled and said.count("\n") == 1 and "0777" in said
    assert [path.stat().st_mtime_ns for path in _files(folder)] == before
    assert len(_files(tmp_path / "own")) == 1


# imports all that compiling takes, then becomes another user; what Python imports may be root's
_AS_ANOTHER = f"""
import os, numpy as np
folder = os.environ["FASTBP_CACHE_DIR"]
os.environ["FASTBP_CACHE_DIR"] = f"{{folder}}-{{os.getpid()}}"  # which is empty
from fastbp.kernels.random import fill_permutation
fill_permutation.serial(3, 1, 0, np.arange(5))
os.environ["FASTBP_CACHE_DIR"] = folder
os.setgroups([])
os.setgid({_OTHER})
os.setuid({_OTHER})
{_COUNTED}
"""


@as_root
def test_a_cache_of_root_is_read_by_a_user_who_cannot_write_it(filled):
    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # those of pytest are private
        os.chmod(place, 0o755)
        folder = _copy(filled[0], Path(place))
        share_folder(next(folder.iterdir()))
        folder.chmod(0o755)
        assert _end(_start(folder, _AS_ANOTHER)) == (filled[1], False, "")
        # of a private one nothing can be read, which is said once
        folder.chmod(0o700)
        result, has_compiled, said = _end(_start(folder, _AS_ANOTHER))
        assert (result, has_compiled) == (filled[1], True)
        assert said.count("\n") == 1 and "Permission denied" in said


# ---------------------------------------------------------------- nowhere to write


def test_a_cache_that_cannot_be_written_is_said_once(tmp_path):
    (tmp_path / "file").touch()
    two = _COUNTED.replace("print", "fill_uniform.serial(3, 1, 0, np.empty(5, 'f4'))\nprint")
    _, has_compiled, said = _end(_start(tmp_path / "file" / "cache", two))
    assert has_compiled and said.count("\n") == 1, said
    assert "cannot be written (Not a directory); set FASTBP_CACHE_DIR" in said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no password database")
def test_without_a_home_folder_it_is_said_once(run_python):
    unset = ("FASTBP_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME")
    code = f"""
import logging, os, pwd
def unknown(uid): raise KeyError(uid)
pwd.getpwuid = unknown
said = []
logging.getLogger("fastbp.cache").addFilter(lambda record: said.append(record.getMessage()))
{FILL}
print(said)
"""
    said = run_python(code, **dict.fromkeys(unset))
    assert said.count("there is no home folder; set FASTBP_CACHE_DIR") == 1


# ---------------------------------------------------------------- network file systems


def _mounted(kind, options, source, target):
    """Mount a file system, or return why this cannot be done."""
    target.mkdir()
    command = ["mount", "-t", kind, "-o", options, str(source), str(target)]
    with contextlib.suppress(FileNotFoundError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return "" if done.returncode == 0 else done.stderr.strip()
    return "no mount command"


@as_root
def test_a_cache_on_a_network_file_system_is_filled_once(tmp_path):
    place = tmp_path / "network"
    (tmp_path / "exported").mkdir()
    export = f"127.0.0.1:{tmp_path / 'exported'}"
    if why := _mounted("nfs", "nolock,soft,timeo=20,retrans=1", export, place):
        pytest.skip(f"no server of NFS here: {why}")
    try:
        processes = [_start(place / "cache") for _ in range(4)]
        assert len({_end(each)[0] for each in processes}) == 1
        assert _run(place / "cache")[1] is False
        assert [path.suffix for path in _files(place)] == [".bin"]
    finally:
        subprocess.run(["umount", str(place)], check=True)
