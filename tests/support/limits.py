"""Processes with little: in a control group of their own, or under a limit of addresses."""

import os
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

_TOP = Path("/sys/fs/cgroup")
_IS_SECOND = (_TOP / "cgroup.controllers").exists()
_PERIOD = 100_000  # us, of a quota
MIB = 2**20


@contextmanager
def control_group(megabytes=None, processors=None):
    """Make a control group of so much memory and so many processors; return its folders.

    The test is skipped where this is not allowed.
    """
    limit, quota = megabytes and megabytes * MIB, processors and int(processors * _PERIOD)
    if _IS_SECOND:
        limits = [(_TOP, "memory.max", limit), (_TOP, "cpu.max", quota and f"{quota} {_PERIOD}")]
    else:
        memory, cpu = (_TOP / controller for controller in ("memory", "cpu"))
        limits = [(memory, "memory.limit_in_bytes", limit), (cpu, "cpu.cfs_quota_us", quota)]
    folders = {}
    try:
        for top, file, value in limits:
            if value is None:
                continue
            try:
                if top not in folders:
                    folders[top] = Path(tempfile.mkdtemp(prefix="fastbp-test-", dir=top))
                (folders[top] / file).write_text(str(value))
            except OSError as error:
                pytest.skip(f"no control group has {file}={value}: {error.strerror}")
        yield list(folders.values())
    finally:
        for folder in folders.values():
            folder.rmdir()


def run(command, group=(), addresses=None, timeout=600, **more):
    """Run a command in a control group, or with so many MiB of addresses; return what it did."""

    def enter():
        for folder in group:
            (folder / "cgroup.procs").write_text(str(os.getpid()))
        if addresses is not None:
            resource.setrlimit(resource.RLIMIT_AS, (addresses * MIB, resource.RLIM_INFINITY))

    # in an empty folder: the checkout holds the source, which hides the installed package
    with tempfile.TemporaryDirectory() as empty:
        return subprocess.run(
            command,
            **{"cwd": empty} | more,
            preexec_fn=enter,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def fastbp(*arguments):
    """Return the command of the command line."""
    return [sys.executable, "-m", "fastbp", *map(str, arguments)]
