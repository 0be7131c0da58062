"""Facts about the machine from the operating system; nothing here imports Numba or a kernel."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

_COPIED_BYTES = 1 << 26  # far larger than a cache
_COPIES = 4


def processor_name() -> str:
    """Return the processor's name; the name of its architecture if it has none."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def emulator(name: str) -> str:
    """Return the emulator of the processor called `name`; "" if it is not emulated.

    Rosetta and QEMU without hardware support run machine code many times slower.
    """
    if sys.platform == "darwin":
        return "Rosetta" if _sysctl("sysctl.proc_translated") == "1" else ""
    if "VirtualApple" in name:
        return "Rosetta"
    if "QEMU TCG" in name or "QEMU Virtual CPU" in name:
        return "QEMU"
    # user-mode emulation shows the processor of the host
    of_x86 = any(line.startswith("vendor_id") for line in _lines("/proc/cpuinfo"))
    return "QEMU" if of_x86 and platform.machine().startswith(("aarch64", "arm")) else ""


def load() -> float | None:
    """Return the load average of the last minute; None where unknown."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return None


def file_system(path: str | Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Return the type of the file system that contains `path`; "" where unknown."""
    path = Path(os.path.abspath(path))
    found = ("", "")
    for line in _lines(mounts):
        _, point, kind, *_ = line.split()
        point = point.replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def copy_bandwidth(threads: int = 1) -> float:
    """Return the bytes per second read and written by copying a large array, the best of four.

    Each thread copies its part.
    """
    source = np.ones(_COPIED_BYTES // 8)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    shortest = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_COPIES):
            start = time.perf_counter()
            # NumPy releases the interpreter's lock while it copies
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))
            shortest = min(shortest, time.perf_counter() - start)
    return 2 * source.nbytes / shortest


def _lines(path: str | Path) -> list[str]:
    """Return the lines of a file; none if it does not exist."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(errors="replace").splitlines()
    return []


def _sysctl(name: str) -> str:
    with contextlib.suppress(OSError):
        done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
        return done.stdout.strip()
    return ""
