"""Processes with little memory: in a control group of their own, or under a limit of addresses."""

import os
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

_TOP = Path("/sys/fs/cgroup")
MIB = 2**20
# the folder in which a group is made, and its file for the limit, of each version
_VERSIONS = {1: (_TOP / "memory", "memory.limit_in_bytes"), 2: (_TOP, "memory.max")}


@contextmanager
def control_group(megabytes):
    """Make a control group of so much memory; skip the test where this is not allowed."""
    version = 2 if (_TOP / "cgroup.controllers").exists() else 1
    top, limit = _VERSIONS[version]
    try:
        folder = Path(tempfile.mkdtemp(prefix="fastbp-test-", dir=top))
    except OSError as error:
        pytest.skip(f"no control group can be made: {error.strerror}")
    try:
        try:
            (folder / limit).write_text(str(megabytes * MIB))
        except OSError as error:
            pytest.skip(f"a control group takes no limit of memory: {error.strerror}")
        yield folder
    finally:
        folder.rmdir()


def run(command, group=None, addresses=None, timeout=120):
    """Run a command in a control group, or with so many MiB of addresses; return what it did."""

    def enter():
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))
        if addresses is not None:
            resource.setrlimit(resource.RLIMIT_AS, (addresses * MIB, resource.RLIM_INFINITY))

    # in an empty folder: the checkout holds the source, which hides the installed package
    with tempfile.TemporaryDirectory() as empty:
        return subprocess.run(
            command,
            cwd=empty,
            preexec_fn=enter,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def fastbp(*arguments):
    """Return the command of the command line."""
    return [sys.executable, "-m", "fastbp", *map(str, arguments)]
