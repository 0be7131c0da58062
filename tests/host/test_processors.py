"""What is read of quotas, cores and nodes of memory, from trees of files like those of Linux."""

import itertools
import os
from functools import partial

import numba
import pytest

from fastbp.kernels.compiler import processors
from fastbp.kernels.compiler.processors import physical_processors


def tree(folder, files):
    """Write files, given by path and text, into a folder; return the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def version2(group, text, own="/job/step"):
    """Return the files of a process in the group `own`, one of whose parents has a quota."""
    return {"proc/self/cgroup": f"0::{own}\n", f"sys/fs/cgroup{group}/cpu.max": text}


def version1(mount, group, quota, own="/job/step", period="100000\n"):
    """The same of version 1."""
    folder = f"sys/fs/cgroup/{mount}{group}"
    own = f"12:cpuset:/\n4:{mount}:{own}\n1:name=systemd:/init\n"
    files = {"cpu.cfs_quota_us": quota, "cpu.cfs_period_us": period}
    return {"proc/self/cgroup": own, **{f"{folder}/{name}": text for name, text in files.items()}}


QUOTAS = {
    "none": ({}, None),
    "own group": (version2("/job/step", "150000 100000\n"), 1.5),
    "parent": (version2("/job", "400000 100000\n"), 4.0),
    "top, as a container sees it": (version2("", "50000 100000\n", own="/"), 0.5),
    "own group not visible": (version2("", "50000 100000\n", own="/docker/3f"), 0.5),
    "no quota": (version2("/job", "max 100000\n"), None),
    "another group": (version2("/other", "100000 100000\n"), None),
    "first version": (version1("cpu", "/job/step", "50000\n"), 0.5),
    "first version, parent": (version1("cpu,cpuacct", "/job", "250000\n"), 2.5),
    "first version, both names": (version1("cpuacct,cpu", "/job", "250000\n"), 2.5),
    "first version, top": (version1("cpu,cpuacct", "", "150000\n", own="/docker/3f"), 1.5),
    "first version, none": (version1("cpu", "/job", "-1\n"), None),
    "mixed": (version2("/job", "300000 100000") | version1("cpu", "/job", "200000"), 2.0),
    "period of 0": (version2("/job", "100000 0\n"), None),
    "first version, period of 0": (version1("cpu", "", "100", period="0"), None),
    "negative": (version2("/job", "-100000 100000\n"), None),
    "empty": (version2("/job", ""), None),
    "one number": (version2("/job", "100000\n"), None),
    "words": (version2("/job", "as much as you like\n"), None),
    "bytes": (version2("/job", b"\xff\xfe\x00"), None),
    "bytes of groups": ({"proc/self/cgroup": b"0::/\xff\n"}, None),
    "lines that are none": ({"proc/self/cgroup": "cpu\n:\n0\n\n::::/\n"}, None),
    "outside of the top": (version2("", "70000 100000\n", own="/../../x"), 0.7),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_the_least_quota_of_the_groups_of_the_process_is_found(tmp_path, name):
    files, expected = QUOTAS[name]
    assert processors.processors_granted(tree(tmp_path, files)) == expected


def test_the_least_of_several_quotas_counts(tmp_path):
    files = version2("/job", "300000 100000") | version2("/job/step", "200000 100000")
    assert processors.processors_granted(tree(tmp_path, files)) == 2.0


@pytest.mark.parametrize(
    ("granted", "threads"), [(None, 8), (0.01, 1), (0.5, 1), (1.5, 1), (2.99, 2), (64.0, 8)]
)
def test_a_fraction_of_a_processor_is_no_thread(monkeypatch, granted, threads):
    pretend(monkeypatch, range(8), granted)
    assert processors.available_threads() == threads
    assert processors.thread_limits()["quota"] == (
        None if granted is None else max(1, int(granted))
    )


def pretend(monkeypatch, allowed, granted=None, root=None):
    """Pretend that the process may run on these processors, and that there is such a quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(allowed), raising=False)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 1024)
    for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(processors, "processors_granted", lambda: granted)
    if root is not None:
        read = partial(physical_processors, root=root)
        monkeypatch.setattr(processors, "physical_processors", read)


def cores(siblings_of, name="thread_siblings_list"):
    """Return the files of processors with the siblings of each."""
    folder = "sys/devices/system/cpu/cpu{}/topology/{}"
    return {folder.format(number, name): text for number, text in siblings_of.items()}


# 8 processors: siblings side by side, and half of the machine apart
BESIDE = {n: f"{n - n % 2}-{n - n % 2 + 1}\n" for n in range(8)}
APART = {n: f"{n % 4},{n % 4 + 4}\n" for n in range(8)}


@pytest.mark.parametrize("name", ["thread_siblings_list", "core_cpus_list"])
@pytest.mark.parametrize(
    ("siblings", "allowed", "expected"),
    [
        (BESIDE, range(8), (0, 2, 4, 6)),
        (APART, range(8), (0, 1, 2, 3)),
        (APART, {1, 5, 6}, (1, 6)),
        (BESIDE, {3}, (3,)),
        ({}, range(3), (0, 1, 2)),
        # not true: without itself, of too many, of the whole machine, no list
        ({0: "1", 1: "0"}, {0, 1}, (0, 1)),
        (dict.fromkeys(range(64), "0-63"), range(64), tuple(range(64))),
        ({0: "0-99999999999"}, {0, 1}, (0, 1)),
        ({0: "3-1,-5", 1: "", 2: "one"}, range(3), (0, 1, 2)),
    ],
)
def test_siblings_of_a_core_are_counted_once(tmp_path, siblings, allowed, expected, name):
    root = tree(tmp_path, cores(siblings, name))
    assert physical_processors(frozenset(allowed), root) == expected


def test_packages_and_cores_tell_siblings_where_no_list_does(tmp_path):
    files = {}
    for number, (package, core) in enumerate(itertools.product("01", "0101")):
        files |= cores({number: package}, "physical_package_id")
        files |= cores({number: core}, "core_id")
    root = tree(tmp_path, files)
    assert physical_processors(frozenset(range(8)), root) == (0, 1, 4, 5)
    # a virtual machine may give none
    tree(tmp_path, cores(dict.fromkeys(range(8), "-1"), "physical_package_id"))
    again = tree(tmp_path / "again", cores(dict.fromkeys(range(4), "-1"), "physical_package_id"))
    assert physical_processors(frozenset(range(4)), again) == (0, 1, 2, 3)


def test_auto_counts_cores_within_the_affinity_and_the_quota(tmp_path, monkeypatch):
    root = tree(tmp_path, cores(APART))
    pretend(monkeypatch, range(8), root=root)
    assert (processors.available_threads(), processors.physical_threads()) == (8, 4)
    pretend(monkeypatch, {0, 4, 1}, root=root)
    assert (processors.available_threads(), processors.physical_threads()) == (3, 2)
    pretend(monkeypatch, range(8), 1.5)
    assert processors.physical_threads() == 1


def test_nodes_of_memory_have_the_processors_that_are_allowed(tmp_path):
    lists = {0: "0-1,8-9\n", 1: "2-3\n", 2: "\n", 3: "no list", 10: "4-7\n"}
    root = tree(tmp_path, {f"sys/devices/system/node/node{n}/cpulist": t for n, t in lists.items()})
    found = processors.memory_nodes(frozenset({1, 2, 3, 4, 8}), root)
    assert list(found.items()) == [("node0", 2), ("node1", 2), ("node10", 1)]
    assert processors.memory_nodes(frozenset({0}), tmp_path / "none") == {}
