"""The facts that speed depends on, gathered: threads, cache, processor, versions, speed."""

import os
import platform
import re
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np

from .. import __version__, machine

_PACKAGES = ("numpy", "numba", "llvmlite", "safetensors", "tqdm")
_EXTRAS = (
    ("cli", ("typer", "polars", "scikit-learn")),
    ("sklearn", ("scikit-learn",)),
    ("plot", ("matplotlib", "jinja2")),
    ("onnx", ("skl2onnx",)),
    ("peers", ("torch",)),
)
# what the name of a folder of compiled kernels looks like
_DIGEST = re.compile(r"[0-9a-f]{20}")
# what a net cannot train and predict without, whatever its sizes
_WARM = {"train", "infer"}
# too little to copy large arrays in
_LEAST_MEMORY = 1 << 29


@dataclass(frozen=True)
class Threads:
    """How many threads fastbp sees, and why.

    Attributes
    ----------
    available : int
        The least of the limits: what ``n_threads="auto"`` may use.
    processors : int
        What the machine has.
    limits : dict of str to int or None
        Each thing that limits; None where it does not.
    least : tuple of str
        Which of them are the least.
    layer : str
        Numba's threading layer; "" where none could be started.
    parallel : bool
        Whether several threads can run a kernel.
    unseen_quota : float or None
        The processors that control groups of version 1 grant, which are not in the limits.
    """

    available: int
    processors: int
    limits: Mapping[str, int | None]
    least: tuple[str, ...]
    layer: str
    parallel: bool
    unseen_quota: float | None


@dataclass(frozen=True)
class Cache:
    """The folder of compiled kernels.

    Attributes
    ----------
    folder : pathlib.Path
        Where they are, for these sources and versions.
    unwritable : str
        Why nothing can be written there; "" if it can.
    files, bytes : int
        What is there.
    warm : bool
        Whether training and prediction have been compiled for this version.
    file_system : str
        The type, such as "ext4" or "nfs4"; "" where unknown.
    temporary : bool
        Whether it lies in the folder of temporary files.
    older : int
        How many folders of other versions lie beside it.
    """

    folder: Path
    unwritable: str
    files: int
    bytes: int
    warm: bool
    file_system: str
    temporary: bool
    older: int


@dataclass(frozen=True)
class Processor:
    """The processor and what the kernels use of it.

    Attributes
    ----------
    name : str
        As it calls itself.
    features : dict of str to bool
        The instruction sets that matter: what the processor has.
    lanes : dict of str to int
        Numbers of a dtype that one instruction of the kernels takes.
    emulator : str
        What emulates it; "" for none.
    """

    name: str
    features: Mapping[str, bool]
    lanes: Mapping[str, int]
    emulator: str


@dataclass(frozen=True)
class Speed:
    """What was measured, in float32.

    Attributes
    ----------
    peak, peak_all : float
        FLOP/s of fused multiply-add on one thread, and on all that are available.
    copy, copy_all : float or None
        Bytes a second that copying reads and writes, on as many; None where memory is short.
    """

    peak: float
    peak_all: float
    copy: float | None
    copy_all: float | None


@dataclass(frozen=True)
class Facts:
    """All that was found out; what needs kernels is None where they cannot be imported.

    Attributes
    ----------
    versions : dict of str to str
        Of fastbp, Python and what it needs.
    extras : dict of str to dict
        For each extra its packages, and their versions or None.
    environment : dict of str to str
        The variables that change how kernels are compiled or run.
    load, memory : float or None
        Processes that want a processor; bytes that are free.
    threads, cache, processor, speed
        See there.
    broken : str
        Why kernels cannot run at all; "" if they can.
    """

    versions: Mapping[str, str]
    extras: Mapping[str, Mapping[str, str | None]]
    environment: Mapping[str, str]
    load: float | None
    memory: int | None
    threads: Threads | None = None
    cache: Cache | None = None
    processor: Processor | None = None
    speed: Speed | None = None
    broken: str = field(default="")


def gather():
    """Find out all that `Facts` holds; it takes a second, and a few more where nothing is cached.

    Measuring the peak compiles its kernel where it is not in the cache.
    """
    shared = {
        "versions": {
            "fastbp": __version__,
            "Python": platform.python_version(),
            **{name: _version(name) or "missing" for name in _PACKAGES},
        },
        "extras": {extra: {name: _version(name) for name in names} for extra, names in _EXTRAS},
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(("NUMBA_", "OMP_", "FASTBP_", "KMP_", "GOMP_"))
        },
        "load": machine.load(),  # before anything here adds to it
        "memory": machine.free_memory(),
    }
    try:
        threads = _threads()
        # the cache before the peak, which is kept there
        cache, processor = _cache(), _processor()
        speed = _speed(threads.available, shared["memory"])
    except (ImportError, ValueError) as error:  # what Numba raises for a variable it cannot use
        return Facts(**shared, broken=" ".join(str(error).split()))
    return Facts(**shared, threads=threads, cache=cache, processor=processor, speed=speed)


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _threads():
    import numba

    from ..kernels.compiler.threads import available_threads, choose_threads, thread_limits

    limits = thread_limits()
    numbas = limits["NUMBA_NUM_THREADS"]
    if "NUMBA_NUM_THREADS" not in os.environ:  # then it is the affinity once more
        limits["NUMBA_NUM_THREADS"] = None
    least = min(limit for limit in limits.values() if limit is not None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the report says it
        numba.get_num_threads()  # starts the layer
        parallel = numbas == 1 or choose_threads(2, np.inf, 1) == 2
    return Threads(
        available_threads(),
        os.cpu_count() or 1,
        limits,
        tuple(name for name, limit in limits.items() if limit == least),
        numba.threading_layer(),
        parallel,
        machine.quota_of_first_version(),
    )


def _cache():
    from ..kernels.compiler.cache import cache_folder

    folder = cache_folder()
    files = [path for path in _inside(folder) if path.suffix == ".bin"]
    beside = [path for path in _inside(folder.parent) if _DIGEST.fullmatch(path.name)]
    return Cache(
        folder,
        _unwritable(folder),
        len(files),
        sum(path.stat().st_size for path in files),
        {path.name.rpartition("-")[0] for path in files} >= _WARM,
        machine.file_system(folder),
        folder.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve()),
        len({*beside} - {folder}),
    )


def _inside(folder):
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _unwritable(folder):
    """Return why a file cannot be made in `folder`, or in the nearest one that exists; else ""."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _processor():
    from llvmlite.binding import get_host_cpu_features
    from numba import float32, float64

    from ..kernels.simd.vector import lanes

    name, has = machine.processor_name(), get_host_cpu_features()
    if platform.machine().lower() in ("x86_64", "amd64"):
        sets = {"AVX2": "avx2", "FMA": "fma", "AVX-512": "avx512f"}
    else:
        sets = {"NEON": "neon", "SVE": "sve"}
    features = {title: bool(has.get(key)) for title, key in sets.items()}
    width = {"float32": lanes(float32), "float64": lanes(float64)}
    return Processor(name, features, width, machine.emulator(name))


def _speed(threads, memory):
    from ..kernels.peak import measure_peak

    enough = memory is None or memory >= _LEAST_MEMORY
    # each twice, in turn: another process may hold a processor for a moment
    pairs = [(measure_peak("float32", 1), measure_peak("float32", threads)) for _ in range(2)]
    return Speed(
        max(one for one, _ in pairs),
        max(several for _, several in pairs),
        machine.copy_bandwidth() if enough else None,
        machine.copy_bandwidth(threads) if enough else None,
    )
