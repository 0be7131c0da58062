"""The disk cache of compiled kernels.

Numba's own cache checks one file per function, so that stale machine code would run after an
edit of a callee or an upgrade. Here the folder's name is a digest of all kernel sources, with
their paths, and of the versions of numba, llvmlite and Python; the file's name is a digest of the
function, its signature, its options and the processor. Files are written atomically and have a
checksum. If anything is wrong with the cache, the kernel is compiled again, without an error.
"""

import contextlib
import hashlib
import logging
import os
import pickle
import sys
import time
from pathlib import Path

import llvmlite
import numba
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from ..support.files import write_whole

_CHECKSUM_BYTES = 32
# told of what begins and may take long, at the level of information
_steps = logging.getLogger("fastbp.steps")
_RARELY = 0.1  # seconds between two times of telling


def cache_folder():
    """Return the folder of compiled kernels for these sources and versions.

    Its parent is ``FASTBP_CACHE_DIR``, else ``NUMBA_CACHE_DIR/fastbp``, else
    ``fastbp`` in the user's cache folder.

    Returns
    -------
    pathlib.Path
        The folder; it may not exist yet, or not be writable.
    """
    if folder := os.environ.get("FASTBP_CACHE_DIR"):
        parent = Path(folder)
    elif folder := os.environ.get("NUMBA_CACHE_DIR"):
        parent = Path(folder) / "fastbp"
    else:
        parent = _user_cache() / "fastbp"
    return parent / _DIGEST


def _user_cache():
    if folder := os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA"):
        return Path(folder)
    home = os.path.expanduser("~")
    if home == "~":  # no home folder: this path cannot be a folder, so nothing is cached
        return Path(os.devnull)
    return Path(home) / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _digest_of_sources():
    versions = (numba.__version__, llvmlite.__version__, sys.version)
    digest = hashlib.sha256(repr(versions).encode())
    kernels = Path(__file__).parent.parent
    for path in sorted(kernels.rglob("*.py")):
        digest.update(path.relative_to(kernels).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:20]


# of the sources as they are imported, not as they may be edited later
_DIGEST = _digest_of_sources()
# the exceptions of reading a damaged pickle
_UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)


class _Telling:
    """Tells that kernels are compiled, now and then: none is in the cache, or some are not."""

    def __init__(self):
        self._how_long = ""
        self._last = -_RARELY

    def __call__(self, folder):
        now = time.monotonic()
        self._how_long = self._how_long or ("some seconds" if folder.is_dir() else "about 8 s")
        if now - self._last >= _RARELY:
            self._last = now
            _steps.info("compiling kernels, once: %s", self._how_long)


_tell_of_compiling = _Telling()


class DiskCache:
    """The compiled signatures of one dispatcher, with the methods that Numba calls.

    Parameters
    ----------
    name : str
        Identifies the function among all kernels.
    options : dict
        The options of its decorator: other options are other machine code.
    """

    def __init__(self, name, options):
        self._name = name
        self._options = sorted(options.items())
        self.cache_path = str(cache_folder())

    def load_overload(self, signature, target_context):
        """Return the compiled `signature`, or None if it is not in the cache.

        Loaded code calls Numba's runtime, but needs none of what Numba imports to compile:
        without `refresh`, and so without scipy.linalg, a first warm fit is 0.1 s shorter.
        """
        rtsys.initialize(target_context)
        path = self._path(signature, target_context.codegen())
        found = _read(path, target_context)
        if found is None:
            _tell_of_compiling(path.parent)
        return found

    def save_overload(self, signature, result):
        """Write a compiled signature, if the folder can be written."""
        path = self._path(signature, result.codegen)
        try:
            payload = dumps(result._reduce())
        except RuntimeError:  # a signal met LLVM's callback, where Python drops it: nothing to keep
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, hashlib.sha256(payload).digest() + payload)

    def _path(self, signature, codegen):
        key = repr((self._name, self._options, str(signature), codegen.magic_tuple()))
        digest = hashlib.sha256(key.encode()).hexdigest()[:20]
        return Path(self.cache_path) / f"{self._name.rsplit('.', 1)[-1]}-{digest}.bin"


def _read(path, target_context):
    """Return the compiled code in a file, or None if it is not there or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, payload = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
    if hashlib.sha256(payload).digest() != checksum:
        return None
    try:
        return CompileResult._rebuild(target_context, *pickle.loads(payload))
    except _UNREADABLE:
        return None
