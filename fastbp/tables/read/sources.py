"""The files that a table lies in: paths, folders, globs, and standard input."""

from __future__ import annotations

import sys
from glob import glob
from pathlib import Path
from urllib.parse import unquote

from ...annotations import FilePath
from ...errors import DataError
from .formats import SCANS, SUFFIXES, Part, suffix_of, suffixes_of
from .notes import step
from .readers import reported
from .remote import fetched, in_store, is_address, local_path, without_secrets
from .scratch import Scratch

STANDARD_INPUT = "-"
# of tables in a folder that holds no files of known suffixes
_OTHER_SUFFIXES = ("", ".txt", ".data", ".dat")
# what writers of folders call a key without a value
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def parts_of(path: FilePath) -> list[Part]:
    """Return the files that a path, a folder, a glob or an address names, in order."""
    if is_address(path):
        return _at_address(str(path))
    if not str(path):  # as a path it would be the folder that this runs in
        raise DataError(f"{path!r}: expected the name of a file, a folder or a glob")
    path = Path(path)
    if not str(path).isprintable():
        raise DataError(f"{str(path)!r}: expected a path of printable characters")
    with reported(path):
        if path.is_dir():
            files = _in_folder(path)
        elif path.exists() or not any(sign in str(path) for sign in "*?["):
            files = [path]
        else:
            found = map(Path, sorted(glob(str(path))))
            groups = [_in_folder(each) if _is_key(each) else [each] for each in found]
            files = [file for group in groups for file in group if file.is_file()]
    # such as .part.csv and _SUCCESS.csv, which writers leave beside the data
    files = [file for file in files if file == path or file.name[0] not in "._"]
    if not files:
        expected = ", ".join(SUFFIXES)
        raise DataError(f"{path} holds no table: expected files named {expected}")
    for file in files:
        if not file.exists():
            raise DataError(f"{file} does not exist: expected a file, a folder or a glob")
        if not file.is_file():  # a pipe would be waited for, and a device has no end
            raise DataError(f"{file} is no regular file: copy its rows to one, or pipe them to -")
    return [Part(str(file), file, _keys_of(file)) for file in files]


def _in_folder(folder):
    """Return the tables in a folder, and in those below it that are named by a key and a value."""
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    present = [entry for entry in entries if entry.name[0] not in "._" and entry.is_file()]
    files = [entry for entry in present if suffix_of(entry)]
    files = files or [entry for entry in present if entry.suffix.lower() in _OTHER_SUFFIXES]
    for entry in entries:
        if _is_key(entry):
            files += _in_folder(entry)
    return files


def _is_key(folder):
    return "=" in folder.name[1:] and folder.name[0] not in "._" and folder.is_dir()


def _keys_of(file):
    """Return the columns in the names of the folders of a file, as text: ``region=north``."""
    pairs = (part.partition("=") for part in file.parent.parts if "=" in part[1:])
    values = {unquote(key): unquote(value) for key, _, value in pairs}
    return {key: None if value == _NO_VALUE else value for key, value in values.items()}


def _at_address(address):
    """Return the file at an address: as it is scanned there, or in a scratch file."""
    if (local := local_path(address)) is not None:
        return parts_of(local)
    name = without_secrets(address)
    if not name.isprintable():
        raise DataError(f"{name!r}: expected an address of printable characters")
    suffix, packing = suffixes_of(name)
    scan = SCANS.get(SUFFIXES.get(suffix, "")) if not packing else None
    if scan is not None and (found := in_store(address, scan)) is not None:
        return [Part(name, scan=found)]
    scratch = fetched(address)
    return [Part(name, scratch.path, kept=(scratch,))]


def standard_input() -> Part:
    """Return what standard input holds, in a scratch file."""
    name = "standard input"
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise DataError(f"{name} is closed: give the name of a file")
    step("reading", name, "to its end")
    with reported(name):
        scratch = Scratch().fill(stream)
    return Part(name, scratch.path, kept=(scratch,))
