"""What the operating system says of the machine: nothing here imports Numba or a kernel."""

import contextlib
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

_COPIED_BYTES = 1 << 26  # an array far larger than a cache
_COPIES = 4


def processor_name():
    """Return what the processor calls itself; the name of its architecture where it does not."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def emulator(name):
    """Return what emulates the processor called `name`, or "" if it runs by itself.

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


def load():
    """Return how many processes wanted a processor in the last minute; None where unknown."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return None


def quota_of_first_version(root=Path("/sys/fs/cgroup")):
    """Return the processors that control groups of version 1 grant, or None for all."""
    with contextlib.suppress(OSError, ValueError):
        quota = int((root / "cpu/cpu.cfs_quota_us").read_text())
        period = int((root / "cpu/cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    return None


def free_memory(root=Path("/sys/fs/cgroup"), groups="/proc/self/cgroup"):
    """Return the bytes that can still be allocated; None where unknown.

    The least of what the kernel calls available and what the control group, and each that it
    is in, leaves, where pages of files that nobody has read of late count as free.
    """
    lines = (line.split() for line in _lines("/proc/meminfo"))
    free = [int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:"]
    for folder, (limit, used, cached) in _memory_groups(root, groups):
        with contextlib.suppress(OSError, ValueError):  # "max" is no limit
            allowed = int((folder / limit).read_text())
            taken = int((folder / used).read_text())
            pairs = (line.split() for line in _lines(folder / "memory.stat"))
            taken -= sum(int(count) for name, count in pairs if name == cached)
            free.append(max(0, allowed - taken))
    return min(free, default=None)


def _memory_groups(root, groups):
    """Yield the folders of the control groups that this process is in, and the names in them."""
    names = {
        root: ("memory.max", "memory.current", "inactive_file"),
        root / "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }
    inside = {top: Path("/") for top in names}
    for line in _lines(groups):
        number, _, rest = line.partition(":")
        kinds, _, group = rest.partition(":")
        if number == "0" or "memory" in kinds.split(","):
            inside[root if number == "0" else root / "memory"] = Path(group.strip())
    for top, group in inside.items():
        for each in (group, *group.parents):
            yield top / str(each).lstrip("/"), names[top]


def file_system(path, mounts=Path("/proc/mounts")):
    """Return the type of the file system that `path` is or would be on; "" where unknown."""
    path, found = Path(os.path.abspath(path)), ("", "")
    for line in _lines(mounts):
        _, point, kind, *_ = line.split()
        point = point.replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def copy_bandwidth(threads=1):
    """Return the bytes a second that copying large arrays reads and writes, the best of a few.

    Parameters
    ----------
    threads : int
        How many copy at once, each its part.
    """
    source = np.ones(_COPIED_BYTES // 8)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    shortest = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_COPIES):
            start = time.perf_counter()
            # NumPy copies without the interpreter's lock
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))
            shortest = min(shortest, time.perf_counter() - start)
    return 2 * source.nbytes / shortest


def _lines(path):
    """Return the lines of a file that the system may not have."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(errors="replace").splitlines()
    return []


def _sysctl(name):
    with contextlib.suppress(OSError):
        done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
        return done.stdout.strip()
    return ""
