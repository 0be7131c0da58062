"""Whom the cache of kernels trusts, where it is, what a file of it is, and what is pruned."""

import os
import re
import stat
import sys
import time
from pathlib import Path

import pytest

from fastbp.kernels.compiler.cache_file import read_sealed, write_sealed
from fastbp.kernels.compiler.cache_folder import DIGEST, find_place, make_folder
from fastbp.kernels.compiler.cache_prune import folders_of_kernels, note_use, prune

on_posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no owner to compare")
_PAYLOAD = bytes(range(256)) * 20
_DAY = 86400


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a folder that the variable names; the user's own cache is beside it."""
    for name in ("NUMBA_CACHE_DIR", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("FASTBP_CACHE_DIR", str(tmp_path / "shared"))
    (tmp_path / "shared" / DIGEST).mkdir(parents=True, mode=0o755)
    for folder in (tmp_path / "shared", tmp_path / "shared" / DIGEST):
        folder.chmod(0o755)
    return tmp_path / "shared"


@pytest.fixture
def others(monkeypatch):
    """Let all that is on the disk belong to another user than this one, who is not root."""
    owner = os.geteuid()
    if owner == 0:
        # root's files are trusted: give what is made to a user in the tests themselves
        def give(path):
            os.chown(path, 4321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

        def give(path):
            assert path.stat().st_uid == owner

    return give


# ---------------------------------------------------------------- where


def test_a_folder_of_this_user_is_taken(root):
    place = find_place()
    assert (place.folder, place.refused) == (root / DIGEST, "")


@on_posix
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
@pytest.mark.parametrize("below", ["", DIGEST])
def test_a_folder_that_others_can_write_is_not_taken(root, mode, below):
    (root / below).chmod(mode)
    place = find_place()
    assert place.folder == root.parent / "user" / "fastbp" / DIGEST
    assert str(root / below) in place.refused and f"{mode:04o}" in place.refused


@on_posix
@pytest.mark.parametrize("below", ["", DIGEST])
def test_a_folder_of_another_user_is_not_taken(root, others, below):
    others(root / below)
    place = find_place()
    # where the tests do not run as root, the user's own folder is another's too, and not there yet
    assert place.folder == root.parent / "user" / "fastbp" / DIGEST
    assert "belongs to user" in place.refused


@on_posix
def test_where_both_are_refused_there_is_no_place(root):
    own = root.parent / "user" / "fastbp"
    (own / DIGEST).mkdir(parents=True)
    for folder in (root, own / DIGEST):
        folder.chmod(0o777)
    place = find_place()
    assert place.folder is None
    assert str(root) in place.refused and str(own) in place.refused


@on_posix
def test_a_folder_such_as_tmp_is_taken_for_what_this_user_has_in_it(root):
    if os.geteuid() != 0:
        pytest.skip("such a folder belongs to root")
    root.chmod(0o1777)
    assert find_place().folder == root / DIGEST
    (root / DIGEST).chmod(0o1777)
    assert find_place().folder != root / DIGEST


@on_posix
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_or_a_link_in_the_place_of_the_folder_is_refused(root, kind):
    (root / DIGEST).rmdir()
    if kind == "file":
        (root / DIGEST).touch(0o644)
    else:
        (root / "elsewhere").mkdir()
        (root / DIGEST).symlink_to(root / "elsewhere")
    assert "is not a folder" in find_place().refused


def test_a_system_without_owners_takes_any_folder(root, monkeypatch):
    monkeypatch.delattr(os, "geteuid", raising=False)
    root.chmod(0o777)
    assert find_place().folder == root / DIGEST


def test_relative_homes_are_ignored_and_paths_of_variables_are_made_absolute(
    root, monkeypatch, tmp_path
):
    monkeypatch.setenv("FASTBP_CACHE_DIR", "relative")
    named = find_place().folder
    monkeypatch.chdir(tmp_path)
    assert named.is_absolute() and find_place().folder == named
    monkeypatch.setenv("FASTBP_CACHE_DIR", ".")
    assert find_place().folder.parent == named.parent.parent
    monkeypatch.setenv("HOME", str(tmp_path))
    if sys.platform != "win32":
        monkeypatch.setenv("FASTBP_CACHE_DIR", "~/below")
        assert find_place().folder == tmp_path / "below" / DIGEST
    monkeypatch.delenv("FASTBP_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert find_place().folder.is_relative_to(tmp_path)
    monkeypatch.setenv("HOME", "relative")
    assert "relative" not in str(find_place().folder)


@on_posix
def test_a_home_folder_that_is_not_there_is_said(root, monkeypatch):
    monkeypatch.setenv("FASTBP_CACHE_DIR", "~nobody-of-this-name/cache")
    place = find_place()
    assert place.folder == root.parent / "user" / "fastbp" / DIGEST
    assert place.refused == "~nobody-of-this-name/cache names no home folder"


NO_HOME = "there is no home folder"


@on_posix
@pytest.mark.parametrize("home", [None, "relative"])
@pytest.mark.parametrize(("named", "why"), [("", NO_HOME), ("~/cache", f"~/cache .*; {NO_HOME}")])
def test_a_user_without_a_home_folder_is_told_so(root, monkeypatch, home, named, why):
    def unknown(user):
        raise KeyError(user)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    if home:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("FASTBP_CACHE_DIR", named)
    place = find_place()
    assert place.folder is None
    assert re.fullmatch(why, place.none)


@on_posix
def test_a_home_folder_whose_cache_is_not_trusted_is_there(root, monkeypatch, others):
    own = root.parent / "user" / "fastbp"
    for folder in (root, own):
        folder.mkdir(parents=True, exist_ok=True)
        others(folder)
    place = find_place()
    assert place.folder is None and NO_HOME not in place.none
    assert place.none == place.refused and str(root) in place.none and str(own) in place.none


@on_posix
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_what_is_made_is_for_this_user_alone(tmp_path, umask):
    before = os.umask(umask)
    try:
        assert make_folder(tmp_path / "a" / "b")
        assert not make_folder(tmp_path / "a" / "b")
        write_sealed(tmp_path / "a" / "b" / "f", "key", _PAYLOAD)
    finally:
        os.umask(before)
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "f"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700, 0o700, 0o600]


# ---------------------------------------------------------------- a file


@pytest.fixture
def file(tmp_path):
    """Return a sealed file."""
    path = tmp_path / "file.bin"
    write_sealed(path, "key", _PAYLOAD)
    assert read_sealed(path, "key") == _PAYLOAD
    return path


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def _make_huge(path):
    with path.open("r+b") as stream:
        stream.truncate(1 << 40)


def _make_folder(path):
    path.unlink()
    path.mkdir()


def _make_pipe(path):
    path.unlink()
    os.mkfifo(path)


def _link(path):
    path.rename(path.with_name("other"))
    path.symlink_to(path.with_name("other"))


def _link_to_device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


DAMAGE = {
    "nothing there": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "a byte less": _cut,
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a bit flipped": _flip,
    "a terabyte, sparse": _make_huge,
    "a folder": _make_folder,
    "a pipe": _make_pipe,
    "a link": _link,
    "a link to a device": _link_to_device,
    "others can write it": lambda path: path.chmod(0o622),
    "others can write the folder": lambda path: path.parent.chmod(0o777),
}


@on_posix
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_not_read(file, damage):
    damage(file)
    assert read_sealed(file, "key") is None


@on_posix
@pytest.mark.parametrize("name", ["file", "folder"])
def test_a_file_of_another_user_is_not_read(file, others, name):
    others(file if name == "file" else file.parent)
    assert read_sealed(file, "key") is None


def test_a_file_under_the_name_of_another_is_not_read(file):
    assert read_sealed(file, "another key") is None


@on_posix
@pytest.mark.parametrize("name", ["a pipe", "a link", "a link to a device", "a bit flipped"])
def test_writing_replaces_what_is_there_and_follows_no_link(file, name):
    DAMAGE[name](file)
    write_sealed(file, "key", b"new")
    assert read_sealed(file, "key") == b"new"
    assert stat.S_ISREG(file.lstat().st_mode)
    if name == "a link":
        assert read_sealed(file.with_name("other"), "key") == _PAYLOAD


def test_where_files_need_names_as_on_nfs_they_are_replaced_whole(file, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    replaced = []

    def replace(source, target):
        replaced.append((Path(source).stat().st_size, read_sealed(target, "key")))
        os.rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "link", None)  # no hard links, no locks
    write_sealed(file, "key", b"new")
    # the new file was complete while the old one was still there
    assert replaced == [(file.stat().st_size, _PAYLOAD)]
    assert read_sealed(file, "key") == b"new"
    assert list(file.parent.iterdir()) == [file]


# ---------------------------------------------------------------- pruning


def _folder(root, number, days, files=("kernel-0123456789abcdef0123.bin",)):
    """Make a folder that was used some days ago."""
    folder = root / f"{number:020x}"
    folder.mkdir()
    for name in files:
        (folder / name).write_bytes(b"code")
    then = time.time() - days * _DAY
    os.utime(folder, (then, then))
    return folder


def test_the_three_newest_that_were_used_in_90_days_are_kept(root):
    (root / DIGEST / "kernel-0123456789abcdef0123.bin").touch()
    used = [_folder(root, n, days) for n, days in enumerate((1, 89, 80, 2, 200))]
    assert set(prune(root)) == {used[1], used[2], used[4]}
    assert set(root.iterdir()) == {root / DIGEST, used[0], used[3]}


def test_what_was_not_used_for_90_days_goes_where_there_are_few(root):
    old, recent = _folder(root, 1, 91), _folder(root, 2, 89)
    assert prune(root) == [old]
    assert recent.is_dir()


def test_nothing_of_another_program_is_removed(root):
    for number, files in enumerate([("README",), (), ("kernel-0123456789abcdef0123.bin", "data")]):
        _folder(root, number, 500, files)
    (root / "kernels").mkdir()
    (root / f"{7:020x}").write_text("a file")
    (root / f"{8:020x}").symlink_to(root / "kernels")
    before = set(root.rglob("*"))
    assert prune(root) == folders_of_kernels(root) == []
    assert set(root.rglob("*")) == before


def test_what_a_killed_process_left_is_removed_with_the_folder(root):
    name = "kernel-0123456789abcdef0123.bin"
    old = _folder(root, 1, 500, (name, f".{name}.0123456789abcdef", "processor"))
    assert prune(root) == [old]


def test_use_is_noted_at_most_once_a_day(root):
    for days, is_noted in ((0.5, False), (2, True), (-2, True)):
        then = time.time() - days * _DAY
        os.utime(root, (then, then))
        note_use(root)
        assert (abs(root.stat().st_mtime - then) > 1) == is_noted
    note_use(root / "missing")


def test_the_users_own_folder_that_the_umask_opened_is_made_private(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("FASTBP_CACHE_DIR", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "fastbp"
    root.mkdir()
    root.chmod(0o775)
    found = find_place()
    assert found.folder.parent == root and not found.refused
    assert root.stat().st_mode & 0o777 == 0o700
