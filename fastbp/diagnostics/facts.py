"""Facts that determine the speed: threads, cache, processor, versions, measured rates."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np

from .. import __version__, machine
from ..memory import free_memory

_PACKAGES = ("numpy", "numba", "llvmlite", "safetensors", "tqdm")
_EXTRAS = {
    "cli": ("typer", "polars", "scikit-learn"),
    "sklearn": ("scikit-learn",),
    "plot": ("matplotlib", "jinja2"),
    "onnx": ("skl2onnx",),
    "peers": ("torch",),
}
# beginnings of the environment variables that affect kernels
_PREFIXES = ("NUMBA_", "OMP_", "FASTBP_", "KMP_", "GOMP_")
# the kernels that every training and prediction needs, whatever the network
_WARM = {"train", "infer"}
# minimum free memory for measuring the bandwidth
_LEAST_MEMORY = 1 << 29


@dataclass(frozen=True)
class Threads:
    """Number of threads available to fastbp, and its limits."""

    available: int  # minimum of the limits
    physical: int  # n_threads="auto" uses at most these: threads of one core are counted once
    processors: int
    limits: Mapping[str, int | None]  # by cause; None: unlimited
    least: tuple[str, ...]  # causes of the lowest limit
    layer: str  # Numba's threading layer
    parallel: bool  # whether kernels can run on several threads
    quota: float | None  # processors that control groups grant, with the fraction
    nodes: Mapping[str, int]  # available processors of each node of memory (NUMA)


@dataclass(frozen=True)
class Cache:
    """The folder of compiled kernels for these sources and versions."""

    folder: Path | None  # None: there is no place for one
    refused: str  # the folder that should have been taken and is not trusted, and why; or ""
    unwritable: str  # reason why it cannot be written; "" if it can
    files: int = 0
    bytes: int = 0
    warm: bool = False  # whether training and prediction are compiled
    file_system: str = ""  # such as "ext4" or "nfs4"; "" where unknown
    temporary: bool = False  # whether it is inside the folder for temporary files
    older: int = 0  # folders of other versions beside it
    older_bytes: int = 0
    made_for: str = ""  # the level of processors that it is made for, see `warm_up`
    unusable: str = ""  # why it is not used for that level, as a phrase


@dataclass(frozen=True)
class Processor:
    """The processor, and the part of it that kernels use."""

    name: str
    features: Mapping[str, bool]  # relevant instruction sets, and whether it has them
    lanes: Mapping[str, int]  # numbers per vector instruction of the kernels, by dtype
    emulator: str  # "" for none


@dataclass(frozen=True)
class Speed:
    """Measured rates, on one thread and on one for each physical processor."""

    peak: float  # FLOP/s of fused multiply-add in float32
    peak_all: float
    copy: float | None  # bytes per second read and written by copying; None if memory is short
    copy_all: float | None


@dataclass(frozen=True)
class Facts:
    """All facts; those that need kernels are None if kernels cannot be imported."""

    versions: Mapping[str, str]  # of fastbp, Python and required packages
    extras: Mapping[str, Mapping[str, str | None]]  # packages of each extra, with their versions
    environment: Mapping[str, str]  # variables that affect compiling or running kernels
    load: float | None  # load average of the last minute
    memory: int | None  # free, in bytes
    threads: Threads | None = None
    cache: Cache | None = None
    processor: Processor | None = None
    speed: Speed | None = None
    broken: str = ""  # reason why kernels cannot run


def gather() -> Facts:
    """Return all facts, within about a second, or a few if kernels must be compiled.

    Measuring the peak compiles its kernel unless it is in the cache.
    """
    versions = {name: _version(name) or "missing" for name in _PACKAGES}
    facts = Facts(
        {"fastbp": __version__, "Python": platform.python_version(), **versions},
        {extra: {name: _version(name) for name in names} for extra, names in _EXTRAS.items()},
        {name: os.environ[name] for name in sorted(os.environ) if name.startswith(_PREFIXES)},
        machine.load(),  # before the measurements add to it
        free_memory(),
    )
    try:
        with _no_words_of_the_cache():
            threads = _threads()
            cache = _cache()  # before the peak, whose kernel is added to it
            processor = _processor()
            speed = _speed(threads.physical, facts.memory)
    except (ImportError, ValueError) as error:  # Numba's errors for invalid variables
        return replace(facts, broken=" ".join(str(error).split()))
    return replace(facts, threads=threads, cache=cache, processor=processor, speed=speed)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _threads() -> Threads:
    from ..kernels.compiler import processors
    from ..kernels.compiler.tbb import load_tbb
    from ..kernels.compiler.threads import choose_threads

    import numba  # isort: skip - after the kernels, which check what it would read

    limits = processors.thread_limits()
    numbas = limits["NUMBA_NUM_THREADS"]
    if "NUMBA_NUM_THREADS" not in os.environ:  # it repeats the affinity
        limits["NUMBA_NUM_THREADS"] = None
    least = min(limit for limit in limits.values() if limit is not None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the report tells it
        load_tbb()
        try:
            numba.get_num_threads()  # starts the layer
            layer: str = numba.threading_layer()
        except ValueError:  # that of NUMBA_THREADING_LAYER is not there
            layer = "none"
        parallel = numbas == 1 or choose_threads(2, np.inf, 1) == 2
    return Threads(
        processors.available_threads(),
        processors.physical_threads(),
        os.cpu_count() or 1,
        limits,
        tuple(name for name, limit in limits.items() if limit == least),
        layer,
        parallel,
        processors.processors_granted(),
        processors.memory_nodes(processors.processors_allowed()),
    )


def _cache() -> Cache:
    from ..kernels.compiler.cache_folder import find_place
    from ..kernels.compiler.cache_prune import folders_of_kernels
    from ..kernels.compiler.target import level_of_cache, refused_level

    place, level = find_place(), level_of_cache()
    folder = place.folder
    if folder is None:
        return Cache(None, place.refused, place.none)
    files = list(folder.glob("*.bin"))
    older = [each for each in folders_of_kernels(folder.parent) if each != folder]
    return Cache(
        folder,
        place.refused,
        _unwritable(folder),
        len(files),
        _bytes(files),
        {path.name.rpartition("-")[0] for path in files} >= _WARM,
        machine.file_system(folder),
        folder.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve()),
        len(older),
        _bytes(path for each in older for path in each.iterdir()),
        level.processor if level else "",
        refused_level(),
    )


@contextlib.contextmanager
def _no_words_of_the_cache() -> Iterator[None]:
    """Let the cache of kernels say nothing of itself: the report tells it."""
    logger = logging.getLogger("fastbp.cache")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _bytes(files: Iterable[Path]) -> int:
    """Return the size of all files, without those that another process removes meanwhile."""
    total = 0
    for path in files:
        with contextlib.suppress(OSError):
            total += path.lstat().st_size
    return total


def _unwritable(folder: Path) -> str:
    """Return why `folder`, or its nearest existing parent, cannot be written; "" if it can."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _processor() -> Processor:
    from llvmlite.binding import get_host_cpu_features
    from numba import float32, float64

    from ..kernels.simd.vector import lanes

    name = machine.processor_name()
    has = get_host_cpu_features()
    if platform.machine().lower() in ("x86_64", "amd64"):
        sets = {"AVX2": "avx2", "FMA": "fma", "AVX-512": "avx512f"}
    else:
        sets = {"NEON": "neon", "SVE": "sve"}
    features = {title: bool(has.get(key)) for title, key in sets.items()}
    width = {"float32": lanes(float32), "float64": lanes(float64)}
    return Processor(name, features, width, machine.emulator(name))


def _speed(threads: int, memory: int | None) -> Speed:
    from ..kernels.peak import measure_peak

    enough = memory is None or memory >= _LEAST_MEMORY
    # each twice, in turn: another process may briefly occupy a processor
    pairs = [(measure_peak("float32", 1), measure_peak("float32", threads)) for _ in range(2)]
    return Speed(
        max(one for one, _ in pairs),
        max(several for _, several in pairs),
        machine.copy_bandwidth() if enough else None,
        machine.copy_bandwidth(threads) if enough else None,
    )
