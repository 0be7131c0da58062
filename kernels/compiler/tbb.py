"""The TBB of ``pip install tbb``, which lies in a virtual environment where no loader looks."""

import contextlib
import ctypes
import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, files

from numba import config

_LIBRARIES = ("libtbb.so.12", "libtbb.12.dylib")
# what TBB loads to share processors with other libraries
_BESIDE = "libtcm.so.1"
# the layers that only TBB can be, and those that it can be in place of OpenMP
_ONLY_TBB, _ANY = ("tbb", "safe", "forksafe"), ("default", "threadsafe")


def load_tbb():
    """Load the installed TBB, for Numba to find, if it has no other layer that is safe."""
    layer = str(config.THREADING_LAYER).lower()
    if layer in _ONLY_TBB or (layer in _ANY and not _has_openmp()):
        with contextlib.suppress(PackageNotFoundError, OSError):  # Numba says what is missing
            for file in files("tbb") or ():
                if file.name in _LIBRARIES:
                    ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)


def keep_what_tbb_loads():
    """Hold a library that the last thread of TBB closes at the end of the process.

    The main thread may be within it then, in its last destructor. Under mpiexec Numba finds TBB:
    on a busy machine one of 40 jobs had done its work and died of a segmentation fault.
    """
    only_loaded = getattr(os, "RTLD_NOLOAD", None)
    if only_loaded is not None:
        with contextlib.suppress(OSError):  # it is not
            ctypes.CDLL(_BESIDE, mode=only_loaded)


def _has_openmp():
    try:
        import_module("numba.np.ufunc.omppool")
    except ImportError:
        return False
    return True
