"""Scratch files: rows that polars cannot read where they lie, unpacked or written anew."""

import bz2
import gzip
import lzma
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO
from weakref import finalize

from ...errors import DataError
from ...memory import bytes_shown
from ..wording import listed, shown
from .notes import step

# the same module, a part of Python since 3.14
zstd: Any = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
_BLOCK = 1 << 20
_MOST_UNNAMED = 200
_DESCRIPTORS = Path("/proc/self/fd")


class Scratch:
    """A temporary file, there as long as this object: write to `file`, then read `path`.

    Where the system allows it the file has no name, so that it disappears with the process. Such
    a file must be kept open, so that only the first few are.
    """

    _unnamed = 0

    def __init__(self) -> None:
        is_unnamed = _DESCRIPTORS.is_dir() and Scratch._unnamed < _MOST_UNNAMED
        self.file: Any
        if is_unnamed:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115
            self.path = _DESCRIPTORS / str(self.file.fileno())
        else:
            self.file = tempfile.NamedTemporaryFile(delete=False)  # noqa: SIM115
            self.path = Path(self.file.name)
        Scratch._unnamed += is_unnamed
        finalize(self, _remove, self.file, None if is_unnamed else self.path)

    def written(self) -> "Scratch":
        """Return this when all is written."""
        self.file.flush()
        if self.path.parent != _DESCRIPTORS:
            self.file.close()
        return self

    def fill(self, stream: BinaryIO) -> "Scratch":
        """Copy all bytes of a stream; return this."""
        shutil.copyfileobj(stream, self.file, _BLOCK)
        return self.written()


def _remove(file, path):
    file.close()
    if path is None:
        Scratch._unnamed -= 1
    else:
        path.unlink(missing_ok=True)


def _member(path):
    """Return the stream of the one file in an archive; DataError if there are several."""
    archive = zipfile.ZipFile(path)
    # macOS adds files of its own
    files = [m for m in archive.infolist() if not (m.is_dir() or m.filename.startswith("__MACOSX"))]
    if len(files) != 1:
        names = listed(member.filename for member in files)
        raise DataError(
            f"it is a zip archive of {len(files):,} files{': ' * bool(files)}{names}: expected "
            "one table; unpack it"
        )
    if files[0].flag_bits & 1:
        raise DataError(
            f"it is a zip archive, and {shown(files[0].filename)} is encrypted: unpack it"
        )
    return archive.open(files[0])


# how packed files begin, and what opens them
_PACKED: tuple[tuple[str, re.Pattern[bytes], Callable[[Path], Any]], ...] = (
    ("gzip", re.compile(rb"\x1f\x8b"), gzip.open),
    ("zstd", re.compile(rb"\x28\xb5\x2f\xfd"), zstd.open),
    ("bzip2", re.compile(rb"BZh[1-9]1AY&SY|BZh[1-9]\x17rE8P\x90"), bz2.open),
    ("xz", re.compile(rb"\xfd7zXZ\0"), lzma.open),
    ("zip", re.compile(rb"PK\x03\x04|PK\x05\x06"), _member),
)


def packing_of(head: bytes) -> str | None:
    """Return how a file that begins with `head` is packed, or None."""
    return next((name for name, start, _ in _PACKED if start.match(head)), None)


def unpacked(name: object, path: Path, packing: str) -> Scratch:
    """Return the content of a packed file in a scratch file; DataError if it is no one table."""
    opened = next(opens for known, _, opens in _PACKED if known == packing)
    step("unpacking", name, bytes_shown(os.path.getsize(path)))
    try:
        with opened(path) as stream:
            return Scratch().fill(stream)
    except (DataError, zstd.ZstdError) as error:
        raise DataError(f"{name}: {error}") from error
