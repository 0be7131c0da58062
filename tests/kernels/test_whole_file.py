"""Files that have their name when they are complete, and not before."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time

import pytest

from fastbp.kernels.support import files
from fastbp.kernels.support.files import whole_file, write_whole

from_unix = pytest.mark.skipif(files.fcntl is None, reason="Windows has no such locks")

OLD, NEW = b"old", b"new" * 1000


@pytest.fixture(params=["unnamed", "named"])
def way(request, monkeypatch):
    """Write with and without the system's files without a name."""
    if request.param == "unnamed" and not hasattr(os, "O_TMPFILE"):
        pytest.skip("the system has no files without a name")
    if request.param == "named":
        monkeypatch.setattr(files, "_open_unnamed", lambda folder, mode: None)
    return request.param


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("exists", [False, True])
def test_the_content_is_there_and_nothing_else(tmp_path, way, exists, sync):
    path = tmp_path / "file"
    if exists:
        path.write_bytes(OLD)
    write_whole(path, NEW, sync=sync)
    assert path.read_bytes() == NEW and names(tmp_path) == ["file"]


@pytest.mark.parametrize("exists", [False, True])
def test_it_has_its_name_when_it_is_complete_and_not_before(tmp_path, way, exists):
    path = tmp_path / "file"
    if exists:
        path.write_bytes(OLD)
    with whole_file(path) as file:
        file.write(NEW)
        file.flush()
        assert path.exists() == exists
        assert not exists or path.read_bytes() == OLD
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
@pytest.mark.parametrize("exists", [False, True])
def test_an_error_leaves_all_as_it_was(tmp_path, way, exists, error):
    path = tmp_path / "file"
    if exists:
        path.write_bytes(OLD)
    with pytest.raises(error, match="within"), whole_file(path) as file:
        file.write(NEW)
        raise error("within")
    assert names(tmp_path) == (["file"] if exists else [])
    assert not exists or path.read_bytes() == OLD


@pytest.mark.parametrize("step", ["fsync", "link", "replace"])
def test_a_disk_that_fails_at_any_step_leaves_all_as_it_was(tmp_path, monkeypatch, way, step):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    if (way, step) == ("named", "link"):
        pytest.skip("it makes no link")

    def fail(*arguments, **options):
        raise OSError(5, "of the disk")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="of the disk"):
        write_whole(path, NEW, sync=True)
    assert names(tmp_path) == ["file"] and path.read_bytes() == OLD


def test_of_a_link_what_it_points_to_is_written(tmp_path, way):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "file", tmp_path / "link"
    target.write_bytes(OLD)
    link.symlink_to(target)
    write_whole(link, NEW)
    assert link.is_symlink() and target.read_bytes() == NEW
    assert names(tmp_path / "far") == ["file"]


def test_another_name_of_the_file_keeps_the_old_content(tmp_path, way):
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(OLD)
    os.link(path, other)
    write_whole(path, NEW)
    assert (path.read_bytes(), other.read_bytes()) == (NEW, OLD)


@pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no such permissions")
def test_permissions_are_those_of_the_umask(tmp_path, way):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_folders_devices_and_missing_folders_are_refused(tmp_path, way):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="not a regular file"):
        write_whole(tmp_path / "folder", NEW)
    with pytest.raises(FileNotFoundError) as error:
        write_whole(tmp_path / "missing" / "file", NEW)
    assert error.value.filename == str(tmp_path / "missing" / "file")
    assert names(tmp_path) == ["folder"]


_READ_ONLY = """
import os
from pathlib import Path
from fastbp.kernels.support.files import write_whole
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    write_whole(Path({path!r}), b"new")
except PermissionError as error:
    print("refused")
"""


@pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no such permissions")
def test_a_folder_that_cannot_be_written_is_an_error(run_python, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    tmp_path.chmod(0o555)
    try:
        assert run_python(_READ_ONLY.format(path=str(path))).strip() == "refused"
    finally:
        tmp_path.chmod(0o755)
    assert path.read_bytes() == OLD and names(tmp_path) == ["file"]


_WRITES = """
import sys
from pathlib import Path
from fastbp.kernels.support.files import whole_file
path, number = Path(sys.argv[1]), 0
while True:
    number += 1
    with whole_file(path) as file:
        for _ in range(50):
            file.write(bytes([number % 251]) * 20_000)
    if number == 1:
        print("begins", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif("not hasattr(os, 'O_TMPFILE')", reason="no files without a name")
def test_a_killed_process_leaves_a_whole_file_and_at_most_a_whole_other(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(_WRITES))
    folder = tmp_path / "folder"
    folder.mkdir()
    for round_ in range(10):
        command = [sys.executable, str(script), str(folder / "file")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "begins\n"
            time.sleep(0.02 + 0.007 * round_)
            process.send_signal(signal.SIGKILL)
        # one that came between the two names of a complete file leaves the second
        for path in folder.iterdir():
            content = path.read_bytes()
            assert len(content) == 1_000_000 and len(set(content)) == 1
        assert "file" in names(folder)


_DIES = """
import os, sys
from pathlib import Path
from fastbp.kernels.support import files
files._open_unnamed = lambda folder, mode: None
with files.whole_file(Path(sys.argv[1])) as file:
    file.write(b"a part")
    file.flush()
    os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
@from_unix
def test_the_next_writer_removes_what_killed_ones_left_of_this_file_alone(tmp_path, way):
    path, others = tmp_path / "file", [".file.kept", ".files.0123456789abcdef", ".other"]
    for each in others:
        (tmp_path / each).write_bytes(OLD)
    for _ in range(2):
        # in a folder that does not hide the installed package
        subprocess.run([sys.executable, "-c", _DIES, str(path)], check=False, cwd="/")
        assert len(names(tmp_path)) == len(others) + 1  # the second is a next writer too
    write_whole(path, NEW)
    assert names(tmp_path) == sorted([*others, "file"]) and path.read_bytes() == NEW


@from_unix
def test_what_others_are_writing_is_left_alone(tmp_path, way):
    path = tmp_path / "file"
    with whole_file(path) as first, whole_file(path) as second:
        write_whole(path, OLD)
        second.write(NEW)
        first.write(NEW[:-1])
    assert path.read_bytes() == NEW[:-1] and names(tmp_path) == ["file"]


@from_unix
def test_a_file_that_is_taken_for_one_left_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_open_unnamed", lambda folder, mode: None)
    lock, taken = files.fcntl.flock, []

    def late(handle, how):
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        lock(handle, how)

    monkeypatch.setattr(files.fcntl, "flock", late)
    write_whole(tmp_path / "file", NEW)
    assert taken and (tmp_path / "file").read_bytes() == NEW and names(tmp_path) == ["file"]


def test_a_name_may_be_as_long_as_file_systems_have_them(tmp_path, way):
    for path in (tmp_path / ("n" * 255), tmp_path / ("\u00e9" * 127)):  # 255 and 254 bytes
        for content in (OLD, NEW):
            write_whole(path, content)
        assert path.read_bytes() == NEW
    assert len(names(tmp_path)) == 2
