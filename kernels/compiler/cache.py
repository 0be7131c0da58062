"""The disk cache of compiled kernels.

Numba's own cache checks one file per function, so that stale machine code would run after an
edit of a callee or an upgrade. Here the folder's name is a digest of all kernel sources, with
their paths, and of the versions of numba, llvmlite and Python; the file's name is a digest of the
function, its signature, its options and the processor, and the file is sealed with them. Files are
written atomically. If anything is wrong with the cache, the kernel is compiled again, without an
error.
"""

import hashlib
import logging
import os
import time
from functools import cache

from numba import config
from numba.core.runtime import rtsys
from numba.core.sigutils import normalize_signature

from .addresses import require_to_compile, require_to_load
from .cache_code import MISTAKES, from_bytes, to_bytes
from .cache_file import read_sealed, write_sealed
from .cache_folder import DIGEST, find_place, make_folder
from .cache_prune import note_use, prune
from .target import host, refused_level, target

_log = logging.getLogger("fastbp.cache")
# told of what begins and may take long, at the level of information
_steps = logging.getLogger("fastbp.steps")
_COMPILING = "every process compiles kernels, about 8 s: %s; set FASTBP_CACHE_DIR"
_RARELY = 0.1  # seconds between two times of telling
# Numba's settings that change machine code; the processor is in Numba's own key
_SETTINGS = (
    *("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE"),
    *("USING_SVML", "DISABLE_INTEL_SVML"),
)


class _Beginning:
    """Tells that kernels are compiled, now and then: none is in the cache, or some are not.

    It raises MemoryError before a compilation for which there are too few addresses.
    """

    def __init__(self):
        self._how_long = ""
        self._last = -_RARELY

    def __call__(self, folder):
        now = time.monotonic()
        some = folder is not None and os.path.isdir(folder)
        require_to_compile(is_first=not (some or self._how_long))
        self._how_long = self._how_long or ("some seconds" if some else "about 8 s")
        if now - self._last >= _RARELY:
            self._last = now
            _steps.info("compiling kernels, once: %s", self._how_long)


_begin_compiling = _Beginning()


@cache
def _warn_once(message):
    _log.warning(message)


class _Unkept:
    """Why kernels of this process could not be kept; each reason is told once."""

    def __init__(self):
        self._reasons = {}

    def tell(self, why):
        if why not in self._reasons:
            self._reasons[why] = True
            _log.warning(_COMPILING, why)

    def __str__(self):
        return "; ".join(self._reasons)


unkept = _Unkept()


_note_use = cache(note_use)


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
        place = find_place()
        self._folder = place.folder
        self._untold = "" if place.refused else place.none
        self.cache_path = str(place.folder or "")
        if place.refused:
            none = "kernels are not kept: set FASTBP_CACHE_DIR to a folder of your own"
            instead = f"{place.folder} is used" if place.folder else none
            _warn_once(f"cache of kernels: {place.refused}: not trusted; {instead}")
        if why := refused_level():
            _warn_once(f"cache of kernels: {place.folder} {why}; kernels are compiled for this one")

    def load_overload(self, wanted, target_context):
        """Return the compiled signature `wanted`, or None if it is not in the cache.

        Loaded code calls Numba's runtime, but needs none of what Numba imports to compile:
        without `refresh`, and so without scipy.linalg, a first warm fit is 0.1 s shorter.
        """
        require_to_load()  # Numba's runtime takes addresses too
        rtsys.initialize(target_context)
        arguments, _ = normalize_signature(wanted)
        found = None if self._folder is None else self._load(arguments, target_context)
        if found is None:
            _begin_compiling(self._folder)
        return found

    def _load(self, arguments, target_context):
        _note_use(self._folder)
        # code for the level of the cache; else what was compiled here in its place
        for made_by in dict.fromkeys((target(), host())):
            payload = read_sealed(*self._path(arguments, made_by))
            if payload is not None:
                return from_bytes(payload, arguments, target_context)
        return None

    def save_overload(self, wanted, result):
        """Write a compiled signature, or say once that this cannot be done."""
        if self._folder is None:
            if self._untold:
                unkept.tell(self._untold)
            return
        arguments, _ = normalize_signature(wanted)
        try:
            payload = to_bytes(result, arguments)
        except RuntimeError:  # a signal met LLVM's callback, where Python drops it: nothing to keep
            return
        except MISTAKES as error:  # a Numba whose compiled functions have other parts
            unkept.tell(f"Numba is not as expected: {error}")
            return
        if payload is None:
            return
        try:
            self._write(*self._path(arguments, host()), payload)
        except OSError as error:
            unkept.tell(f"{self._folder} cannot be written ({error.strerror or error})")

    def _write(self, path, key, payload):
        if make_folder(path.parent) and (removed := prune(path.parent.parent)):
            count = f"{len(removed)} folder" + "s" * (len(removed) > 1)
            _log.info("removed %s of other versions from %s", count, path.parent.parent)
        try:
            write_sealed(path, key, payload)
        except FileNotFoundError:  # another process pruned the folder
            make_folder(path.parent)
            write_sealed(path, key, payload)

    def _path(self, arguments, made_by):
        settings = [str(getattr(config, name, None)) for name in _SETTINGS]
        what = (self._name, self._options, str(arguments))
        key = repr((DIGEST, *what, settings, target(), made_by))
        digest = hashlib.sha256(key.encode()).hexdigest()[:20]
        return self._folder / f"{self._name.rsplit('.', 1)[-1]}-{digest}.bin", key
