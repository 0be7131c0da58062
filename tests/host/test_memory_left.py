"""How much memory is left: by the system, by control groups, and by the limits of the process."""

import json
import os
from pathlib import Path

import pytest

from fastbp.memory import SMALL, bytes_shown, free_memory, require_memory

SECOND = ("memory.max", "memory.current")
FIRST = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")

has_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="what is taken is read from Linux's /proc"
)


def _written(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def _free(folder, files, **options):
    """Return the free memory of a machine with these files of /sys/fs/cgroup and of /proc."""
    groups = {n: text for n, text in files.items() if not n.startswith("proc/")}
    _written(folder / "sys/fs/cgroup", groups)
    _written(folder, {n: text for n, text in files.items() if n not in groups})
    return free_memory(folder, **options)


def test_where_nothing_is_known_nothing_is_said(tmp_path):
    assert _free(tmp_path, {}) is None


def test_what_the_system_has_available_is_free(tmp_path):
    files = {"proc/meminfo": "MemTotal: 90 kB\nMemAvailable:  50 kB\nSwapFree: 7 kB\n"}
    assert _free(tmp_path, files) == 50 * 1024
    assert _free(tmp_path, files, swap=True) == 57 * 1024


@pytest.mark.parametrize(("mode", "expected"), [("0", 50), ("1", 50), ("2", 30)])
def test_a_system_that_promises_no_more_than_it_has_leaves_what_it_has_not_promised(
    tmp_path, mode, expected
):
    info = "MemAvailable: 50 kB\nCommitLimit: 100 kB\nCommitted_AS: 70 kB\n"
    files = {"proc/meminfo": info, "proc/sys/vm/overcommit_memory": f"{mode}\n"}
    assert _free(tmp_path, files) == expected * 1024


@pytest.mark.parametrize(("limit", "used"), [SECOND, FIRST])
def test_the_memory_a_control_group_leaves_is_the_limit(tmp_path, limit, used):
    assert _free(tmp_path, {limit: "5000\n", used: "2000\n"}) == 3000
    assert _free(tmp_path, {limit: "max\n"}) is None


def test_a_group_is_slowed_before_it_is_full_and_that_is_a_limit_of_what_is_kept(tmp_path):
    files = {"memory.max": "5000\n", "memory.high": "3000\n", "memory.current": "1000\n"}
    assert _free(tmp_path, files) == 2000
    assert _free(tmp_path, files, swap=True) == 4000  # of what can be had at all


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used"),
    [
        ("0::/job/step", "job/step", *SECOND),
        ("0::/job/step", "job", *SECOND),
        ("0::/job/step", "unified/job", *SECOND),
        ("4:memory:/job/step", "memory/job/step", *map(os.path.basename, FIRST)),
        ("4:cpu,memory:/job/step", "memory/job", *map(os.path.basename, FIRST)),
        ("4:cpu,memory:/job/step", "cpu,memory/job", *map(os.path.basename, FIRST)),
    ],
)
def test_the_memory_that_a_group_of_this_process_leaves_is_the_limit(
    tmp_path, line, folder, limit, used
):
    files = {f"{folder}/{limit}": "5000\n", f"{folder}/{used}": "1000\n"}
    files["proc/self/cgroup"] = f"1:x:/\n{line}\n"
    assert _free(tmp_path, files) == 4000


@pytest.mark.parametrize(
    ("limit", "used", "prefix", "mapped"),
    [(*SECOND, "", "file_mapped"), (*FIRST, "total_", "mapped_file")],
)
def test_what_a_control_group_keeps_of_files_counts_as_free(tmp_path, limit, used, prefix, mapped):
    files = {limit: "5000\n", used: "4000\n"}
    stat = str(Path(limit).with_name("memory.stat"))
    files[stat] = f"anon 700\n{prefix}inactive_file 1500\n"
    assert _free(tmp_path, files) == 5000 - (4000 - 1500)
    # a file that was read twice is active, and no less free; the code that is mapped is not
    files[stat] += f"{prefix}active_file 900\n{prefix}{mapped} 600\n"
    assert _free(tmp_path, files) == 5000 - (4000 - 1500 - 300)


SWAP_SECOND = ("memory.swap.max", "memory.swap.current")
SWAP_FIRST = ("memory/memory.memsw.limit_in_bytes", "memory/memory.memsw.usage_in_bytes")


@pytest.mark.parametrize(
    ("names", "swap", "limits", "expected"),
    [
        (SECOND, SWAP_SECOND, ("0", "0"), 3000),
        (SECOND, SWAP_SECOND, ("900", "200"), 3700),
        (SECOND, SWAP_SECOND, ("max", "200"), 3000 + 4096),  # all of the system's
        # of version 1, the limit is that of both
        (FIRST, SWAP_FIRST, ("5000", "2000"), 3000),
        (FIRST, SWAP_FIRST, ("6000", "2100"), 3900),
    ],
)
def test_a_group_may_take_swap_space_up_to_its_own_limit(tmp_path, names, swap, limits, expected):
    files = dict(zip((*names, *swap), ("5000", "2000", *limits), strict=True))
    files["proc/meminfo"] = "MemAvailable: 90 kB\nSwapFree: 4 kB\n"
    assert _free(tmp_path, files) == 3000
    assert _free(tmp_path, files, swap=True) == expected


@has_proc
@pytest.mark.parametrize(
    ("name", "shell", "line"),
    [("RLIMIT_AS", "ulimit -v", "VmSize"), ("RLIMIT_DATA", "ulimit -d", "VmData")],
)
def test_a_limit_of_the_process_is_read_and_named(run_python, name, shell, line):
    code = f"""
    import json, resource
    from pathlib import Path
    from fastbp.memory import free_memory, require_memory

    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    taken = 1024 * int(status["{line}"].split()[0])
    resource.setrlimit(resource.{name}, (taken + 2**28, resource.RLIM_INFINITY))
    message = ""
    try:
        require_memory(2**29, "it", "take less")
    except MemoryError as error:
        message = str(error)
    print(json.dumps([free_memory(), message]))
    """
    free, message = json.loads(run_python(code))
    assert 2**28 - 2**24 < free <= 2**28
    assert message.startswith(f"it needs about 512 MiB, and `{shell}`, ")
    assert message.endswith(": take less")


@has_proc
def test_what_fits_is_never_refused_and_what_cannot_fit_is(monkeypatch):
    require_memory(SMALL - 1, "it", "")
    require_memory(free_memory() // 2, "it", "")
    beyond = 2**50
    with pytest.raises(MemoryError, match=r"^it needs about 1,024 TiB, and .* leaves"):
        require_memory(beyond, "it", "take less")
    monkeypatch.setenv("FASTBP_CHECK_MEMORY", "0")
    require_memory(beyond, "it", "")


@pytest.mark.parametrize(
    ("count", "shown"), [(1, "1 byte"), (12, "12 bytes"), (3482, "3.4 KiB"), (56 * 2**20, "56 MiB")]
)
def test_bytes_are_shown_in_the_largest_unit(count, shown):
    assert bytes_shown(count) == shown
