"""Containers with little of everything at once: the bits of the host, or a clear error."""

import json
import shutil
import sys
from importlib.metadata import distributions

import numpy as np
import polars as pl
import pytest

if sys.platform != "linux":
    pytest.skip("containers are made of Linux's parts", allow_module_level=True)

from fastbp.kernels.compiler.cache_folder import cache_folder
from limits import control_group, fastbp, run

pytestmark = pytest.mark.slow
KERNELS = cache_folder().parent
TRAINING = ("--target", "y", "--preset", "fast", "-o", "m.safetensors")
WORK = """
import hashlib, json
import numpy as np
from fastbp import Network
from fastbp.kernels.compiler.threads import choose_threads

draw = np.random.default_rng(0)
X, Y = draw.normal(size=(2000, 20)).astype("f4"), draw.normal(size=(2000, 3)).astype("f4")
net = Network([20, 64, 3], seed=0)
net.fit(X, Y, epochs=20, n_threads="auto")
net.save("net.safetensors")
bits = net.parameters.tobytes() + Network.load("net.safetensors").predict(X).tobytes()
print(json.dumps([hashlib.sha256(bits).hexdigest(), choose_threads("auto", 1e12, 1)]))
"""
# only the folder $1 can be written, not $2 which holds the kernels; the home folder is not there,
# and the system has no library of OpenMP
CONTAINER = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount --bind "$2" "$2"
mount -o remount,bind,ro "$2"
for library in $(PATH=$PATH:/usr/sbin:/sbin ldconfig -p | sed -n 's/.*libgomp.* => //p'); do
    mount --bind /dev/null "$library"
done
mount -o remount,bind,ro /
cd "$1"
shift 2
exec env -i PATH="$PATH" HOME=/no/such/folder "$@"
"""


def command_of_work(folder):
    return [sys.executable, folder / "work.py"]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Return a folder with what an image holds: a table, the work, and its result on the host."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "work.py").write_text(WORK)
    draw = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{n}": draw.standard_normal(2000).round(6) for n in range(20)})
    frame.with_columns(y=(pl.col("x0") * 3).round(3)).write_csv(folder / "table.csv")
    # what the containers load is compiled here
    done = run(command_of_work(folder), cwd=folder, timeout=600)
    assert done.returncode == 0, done.stderr
    (folder / "host.json").write_text(done.stdout)
    return folder


@pytest.fixture
def contain(image, tmp_path):
    """Return a function that runs a command in a container; what it writes is in `tmp_path`."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")

    def contain(command, megabytes, processors, **variables):
        variables = [f"{name}={value}" for name, value in variables.items()]
        inside = ["unshare", "--mount", "sh", "-c", CONTAINER, "sh", tmp_path, KERNELS]
        inside += [*variables, *command]
        with control_group(megabytes, processors) as group:
            done = run(inside, group, timeout=600)
        if done.returncode and ("unshare: " in done.stderr or "mount: " in done.stderr):
            pytest.skip(done.stderr)
        return done

    return contain


@pytest.mark.parametrize(
    ("processors", "megabytes", "threads"), [(0.5, 256, 1), (1, 384, 1), (1.5, 512, 1)]
)
def test_a_network_gets_the_bits_of_the_host(contain, image, processors, megabytes, threads):
    done = contain(command_of_work(image), megabytes, processors, FASTBP_CACHE_DIR=KERNELS)
    assert (done.returncode, done.stderr) == (0, "")
    bits, _ = json.loads((image / "host.json").read_text())
    assert json.loads(done.stdout) == [bits, threads]


@pytest.mark.parametrize("megabytes", [256, 512])
def test_without_a_folder_for_kernels_they_are_compiled_and_that_is_said_once(
    contain, image, megabytes
):
    done = contain(command_of_work(image), megabytes, 1)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0] == json.loads((image / "host.json").read_text())[0]
    assert done.stderr.count("set FASTBP_CACHE_DIR") == 1, done.stderr


def test_the_commands_give_what_they_give_on_the_host(contain, image, tmp_path):
    train = [*fastbp("train", image / "table.csv"), *TRAINING]
    predict = fastbp("predict", "m.safetensors", image / "table.csv", "-o", "found.csv")
    host = tmp_path / "host"
    host.mkdir()
    for command in (train, predict):
        done = run(command, cwd=host, timeout=600)
        assert done.returncode == 0, done.stderr
        found = contain(command, 256, 0.5, FASTBP_CACHE_DIR=KERNELS)
        assert found.returncode == 0, found.stderr
    assert (tmp_path / "found.csv").read_bytes() == (host / "found.csv").read_bytes()


def test_doctor_names_the_limits_and_no_folder_that_is_good(contain):
    done = contain(fastbp("doctor"), 256, 0.5, FASTBP_CACHE_DIR=KERNELS)
    assert done.returncode == 0, done.stderr
    assert "a quota of 0.5" in done.stdout
    has_tbb = any(each.name == "tbb" for each in distributions())
    assert ("layer      tbb" if has_tbb else "layer is workqueue") in done.stdout
    assert "cannot be written (Read-only file system)" in done.stdout
    assert "every process compiles" not in done.stdout
