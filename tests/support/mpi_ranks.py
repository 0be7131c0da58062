"""Programs on several ranks, each a process that mpiexec starts."""

import os
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

# beside this Python, where the wheel of Open MPI puts it; else that of the system
_BESIDE = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(_BESIDE) if _BESIDE.exists() else shutil.which("mpiexec")
# root may start it, and more ranks than processors; who waits lets others run
ENV = {
    **dict.fromkeys(
        [f"{who}_ALLOW_RUN_AS_ROOT{more}" for who in ("OMPI", "PRTE") for more in ("", "_CONFIRM")],
        "1",
    ),
    "PRTE_MCA_rmaps_default_mapping_policy": ":OVERSUBSCRIBE",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "PYTHONUNBUFFERED": "",  # lines of two ranks would mix
}

needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or find_spec("mpi4py") is None, reason="needs mpi4py and mpiexec"
)


def started(count, program, folder, **env):
    """Start a program, a list, on so many ranks in a folder; return the process of mpiexec."""
    path = os.pathsep.join([str(Path(MPIEXEC).parent), os.environ.get("PATH", os.defpath)])
    return subprocess.Popen(
        [MPIEXEC, "-n", str(count), sys.executable, *map(str, program)],
        cwd=folder,
        env={**os.environ, **ENV, "PATH": path, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # all its processes are of one group
    )


def ended(process, timeout=300):
    """Wait for the end of mpiexec; return its exit code, output and errors."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
    return process.returncode, out, err


def run_ranks(count, code, folder, **env):
    """Run a script on so many ranks; return its output. A rank that fails fails the test."""
    script = Path(folder) / "script.py"
    script.write_text(textwrap.dedent(code))
    return run_program(count, [script], folder, **env)


def run_program(count, program, folder, **env):
    """Run a program, a list, on so many ranks, as `run_ranks` does."""
    status, out, err = ended(started(count, program, folder, **env))
    assert status == 0, f"exit status {status}\n{out}\n{err}"
    return out


def lines(errors):
    """Return what fastbp said on stderr, but for the steps it began."""
    said = [line for line in errors.splitlines() if line.startswith("fastbp: ")]
    steps = (
        "starting",
        "looking",
        "compiling",
        "encoding",
        "training, ",
        "scoring",
        "counting",
        "finding",
        "loading",
        "measuring",
        "reading",
    )
    return [line for line in said if not line.removeprefix("fastbp: ").startswith(steps)]
