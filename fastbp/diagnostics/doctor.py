"""Reasons why fastbp is slow on this machine, and remedies.

Each check is a function that returns a `Finding` about the `Facts`, or None. `CHECKS` lists
them: to add a check, write the function and list it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .facts import Facts, gather

# minimum speed-up of several threads, relative to their number
_LEAST_SCALING = 0.65
_LITTLE_MEMORY = 1 << 30
_GIB = 1 << 30
# the folders of other versions that pruning may leave
_MOST_OLDER = 2
_NETWORKS = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs", "fuse.sshfs")
_IN_MEMORY = ("tmpfs", "ramfs")
_DEBUGGING = ("DEBUG", "DEBUGINFO", "DEBUG_JIT", "DUMP_LLVM", "DUMP_OPTIMIZED", "DUMP_ASSEMBLY")
_MORE_QUOTA = "raise the container's quota (docker --cpus, Kubernetes resources.limits.cpu)"
# variables that can make kernels slower, and their harmless values, first the default
_SLOWING = {
    "NUMBA_OPT": ("3", "max"),
    **{f"NUMBA_{name}": ("", "0") for name in _DEBUGGING},
    "NUMBA_ENABLE_AVX": ("", "1"),
    "NUMBA_CPU_NAME": ("", "host"),
    "NUMBA_CPU_FEATURES": ("",),
}


@dataclass(frozen=True)
class Finding:
    """A problem, and what to do about it."""

    check: str  # topic of the check
    # "broken": kernels cannot run; "slow": slower than they could; "note": it may matter
    severity: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Report:
    """Result of `examine`; the worst finding comes first."""

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> bool:
        """Whether kernels cannot run."""
        return any(finding.severity == "broken" for finding in self.findings)


def examine() -> Report:
    """Examine threads, cache, processor and speed, in about a second."""
    facts = gather()
    return Report(facts, diagnose(facts))


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Return the findings of all checks, the worst first."""
    found = [finding for check in CHECKS if (finding := check(facts))]
    order = ("broken", "slow", "note")
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _kernels(facts: Facts) -> Finding | None:
    if not facts.broken:
        return None
    text = "see the message; or python -m pip install --force-reinstall fastbp numba"
    if facts.environment.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        text = "unset NUMBA_DISABLE_JIT"
    elif "NUMBA_NUM_THREADS" in facts.broken:
        text = "set NUMBA_NUM_THREADS to at least 1, or unset it"
    return Finding("kernels", "broken", f"kernels cannot run: {facts.broken}", text)


def _limits(facts: Facts) -> Finding | None:
    """Find the limit that keeps fastbp from using all processors."""
    threads = facts.threads
    if not threads or threads.available >= threads.processors:
        return None
    cause = threads.least[0]
    remedy = {
        "affinity": "give the job more processors (taskset, docker --cpuset-cpus, Slurm's -c)",
        "quota": _MORE_QUOTA,
    }.get(cause, f"unset {cause}, or set it to {threads.limits['affinity']}")
    # a variable is rarely set on purpose; a job often gets only part of a machine
    severity = "slow" if cause.isupper() else "note"
    message = f"{cause} limits fastbp to {threads.available} of {threads.processors} processors"
    if cause == "quota" and threads.quota is not None:
        message += f", for it grants {threads.quota:.3g}"
    return Finding("threads", severity, message, remedy)


def _quota(facts: Facts) -> Finding | None:
    """Find a quota of less than one processor."""
    threads = facts.threads
    if not threads or threads.quota is None or threads.quota >= 1:
        return None
    message = (
        f"the quota grants {threads.quota:.2g} of a processor: the system stops even one thread "
        "for a part of the time"
    )
    return Finding("quota", "slow", message, _MORE_QUOTA)


def _layer(facts: Facts) -> Finding | None:
    threads = facts.threads
    if not threads or threads.parallel:
        return None
    message = f"kernels run on one thread: the threading layer is {threads.layer}"
    remedy = (
        "install libgomp1 (Debian, Ubuntu) or libgomp (Fedora), or python -m pip install tbb; "
        "and unset NUMBA_THREADING_LAYER"
    )
    return Finding("threading layer", "slow", message, remedy)


def _writable(facts: Facts) -> Finding | None:
    cache = facts.cache
    if not cache or not cache.unwritable:
        return None
    why = f"{cache.folder} cannot be written: {cache.unwritable}"
    if cache.folder is None:
        why = f"kernels cannot be kept: {cache.unwritable}"
    remedy = "set FASTBP_CACHE_DIR to a writable folder"
    if cache.warm:  # as in an image
        message = f"kernels that are not kept yet are compiled in every process: {why}"
        return Finding("cache", "note", message, remedy)
    return Finding("cache", "slow", f"every process compiles for seconds: {why}", remedy)


def _trusted(facts: Facts) -> Finding | None:
    cache = facts.cache
    if not cache or not cache.refused:
        return None
    instead = f"{cache.folder} is used" if cache.folder else "kernels are not kept"
    remedy = (
        "set FASTBP_CACHE_DIR to a folder that you own, or root does, and others cannot write "
        "(chmod go-w)"
    )
    return Finding("trust", "note", f"{cache.refused}: {instead} in its place", remedy)


def _level(facts: Facts) -> Finding | None:
    """Find a cache that is made for a level of processors which this one does not have."""
    cache = facts.cache
    if not cache or not cache.unusable:
        return None
    remedy = "fastbp warmup, with FASTBP_CACHE_DIR set to a folder for this machine"
    return Finding("level", "slow", f"{cache.folder} {cache.unusable}", remedy)


def _old(facts: Facts) -> Finding | None:
    """Find kernels of other versions beyond what is kept."""
    cache = facts.cache
    if not cache or cache.older <= _MOST_OLDER:
        return None
    message = f"{cache.older} other versions take {cache.older_bytes / 1e6:.0f} MB of the cache"
    return Finding("old kernels", "note", message, "fastbp warmup --prune")


def _warm(facts: Facts) -> Finding | None:
    cache = facts.cache
    if not cache or cache.warm or cache.unwritable:
        return None
    message = "the first training will compile for several seconds"
    return Finding("warm-up", "note", message, "fastbp warmup")


def _place(facts: Facts) -> Finding | None:
    """Find a cache on a slow or temporary file system."""
    cache = facts.cache
    if not cache or cache.folder is None or cache.unwritable:
        return None
    if cache.file_system.startswith(_NETWORKS):
        place = f"on a network file system ({cache.file_system}): starting takes longer"
    elif cache.file_system in _IN_MEMORY or cache.temporary:
        place = f"in a temporary folder, {cache.folder.parent}: it may be emptied"
    else:
        return None
    remedy = "set FASTBP_CACHE_DIR to a folder on a local disk"
    return Finding("cache", "note", f"the cache is {place}", remedy)


def _scaling(facts: Facts) -> Finding | None:
    threads = facts.threads
    speed = facts.speed
    if not speed or not threads or not threads.parallel or threads.physical == 1:
        return None
    times = speed.peak_all / speed.peak
    if times >= _LEAST_SCALING * threads.physical:
        return None
    message = f"{threads.physical} threads are only {times:.1f} times as fast as one"
    remedy = "look for other busy processes (top), here or on the host of a virtual machine"
    return Finding("scaling", "slow", message, remedy)


def _busy(facts: Facts) -> Finding | None:
    count = facts.threads.processors if facts.threads else None
    if count is None or facts.load is None or facts.load < count:
        return None
    message = f"the load average is {facts.load:.1f} on {count} processors: other processes compete"
    return Finding("load", "note", message, "end other processes (top), or wait")


def _memory(facts: Facts) -> Finding | None:
    if facts.memory is None or facts.memory >= _LITTLE_MEMORY:
        return None
    message = f"only {facts.memory / _GIB:.2f} GiB of memory is free"
    return Finding("memory", "slow", message, "end other processes, or raise the job's limit")


def _emulated(facts: Facts) -> Finding | None:
    if not facts.processor or not facts.processor.emulator:
        return None
    message = f"the processor is emulated by {facts.processor.emulator}, which is many times slower"
    remedy = "use a Python or an image built for this processor's architecture"
    return Finding("processor", "slow", message, remedy)


def _instructions(facts: Facts) -> Finding | None:
    """Find narrow vectors; those of AVX2 are wide enough."""
    processor = facts.processor
    if not processor or "AVX2" not in processor.features:
        return None
    if not (processor.features["AVX2"] and processor.features["FMA"]):
        message = f"{processor.name} lacks AVX2 or FMA, which would be about four times as fast"
        remedy = "use another machine; expose the host's processor to a virtual one"
        return Finding("processor", "slow", message, remedy)
    if processor.lanes["float32"] < 8:
        message = f"kernels use {processor.lanes['float32']} lanes, but the processor has 8 or more"
        return Finding("processor", "slow", message, "unset NUMBA_CPU_NAME and NUMBA_CPU_FEATURES")
    return None


def _variables(facts: Facts) -> Finding | None:
    given = facts.environment
    harmful = [name for name, fine in _SLOWING.items() if given.get(name, fine[0]) not in fine]
    if not harmful:
        return None
    names = ", ".join(f"{name}={given[name]}" for name in harmful)
    remedy = f"unset {' '.join(harmful)}"
    return Finding("environment", "slow", f"{names} slows kernels down", remedy)


CHECKS = (
    _kernels,
    _writable,
    _trusted,
    _level,
    _layer,
    _limits,
    _quota,
    _scaling,
    _emulated,
    _instructions,
    _variables,
    _memory,
    _warm,
    _place,
    _old,
    _busy,
)
