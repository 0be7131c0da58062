"""What is slow on this machine, and how to mend it.

Each check is a function of the `Facts` that gives a `Finding`, or None where all is well;
`CHECKS` lists them. To add one, write it and list it.
"""

from dataclasses import dataclass

from .facts import Facts, gather

# how many times faster than one thread several must be, as a share of their number
_LEAST_SCALING = 0.65
_LITTLE_MEMORY = 1 << 30
_GIB = 1 << 30
_NETWORKS = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs", "fuse.sshfs")
_IN_MEMORY = ("tmpfs", "ramfs")
# variables that make kernels slower, and the values of them that do no harm
_SLOWING = {
    "NUMBA_OPT": ("3", "max"),
    "NUMBA_DEBUG": ("", "0"),
    "NUMBA_DEBUGINFO": ("", "0"),
    "NUMBA_DEBUG_JIT": ("", "0"),
    "NUMBA_DUMP_LLVM": ("", "0"),
    "NUMBA_DUMP_OPTIMIZED": ("", "0"),
    "NUMBA_DUMP_ASSEMBLY": ("", "0"),
    "NUMBA_ENABLE_AVX": ("", "1"),
    "NUMBA_CPU_NAME": ("", "host"),
    "NUMBA_CPU_FEATURES": ("",),
}


@dataclass(frozen=True)
class Finding:
    """One thing that could be better.

    Attributes
    ----------
    check : str
        What was looked at.
    severity : {"broken", "slow", "note"}
        Kernels cannot run; they run slower than they could; it may matter.
    message, remedy : str
        What is so, and what to do.
    """

    check: str
    severity: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Report:
    """What `examine` found.

    Attributes
    ----------
    facts : Facts
        All that was looked at.
    findings : tuple of Finding
        What could be better, the worst first.
    """

    facts: Facts
    findings: tuple[Finding, ...]

    @property
    def broken(self):
        """Whether kernels cannot run at all."""
        return any(finding.severity == "broken" for finding in self.findings)


def examine():
    """Look at threads, cache, processor and speed; return a `Report`. It takes a second or so."""
    facts = gather()
    return Report(facts, diagnose(facts))


def diagnose(facts):
    """Return a tuple with the `Finding` of each check that `facts` do not pass, worst first."""
    found = [finding for check in CHECKS if (finding := check(facts))]
    order = ("broken", "slow", "note")
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _kernels(facts):
    if not facts.broken:
        return None
    text = "what the message says; else python -m pip install --force-reinstall fastbp numba"
    if facts.environment.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        text = "unset NUMBA_DISABLE_JIT"
    elif "NUMBA_NUM_THREADS" in facts.environment and "threads" in facts.broken:
        text = "set NUMBA_NUM_THREADS to at least 1, or unset it"
    return Finding("kernels", "broken", f"kernels cannot run: {facts.broken}", text)


def _limits(facts):
    """Say what keeps fastbp from processors that the machine has."""
    threads = facts.threads
    if not threads or threads.available >= threads.processors:
        return None
    cause = threads.least[0]
    remedy = {
        "affinity": "give the job more processors (taskset, docker --cpuset-cpus, Slurm's -c)",
        "quota": "raise the container's quota (docker --cpus, Kubernetes resources.limits.cpu)",
    }.get(cause, f"unset {cause}, or set it to {threads.limits['affinity']}")
    # a variable is set on purpose less often than a job is given its share of a machine
    severity = "slow" if cause.isupper() else "note"
    message = f"{cause} keeps fastbp to {threads.available} of {threads.processors} processors"
    return Finding("threads", severity, message, remedy)


def _quota(facts):
    threads = facts.threads
    if not threads or not threads.unseen_quota or threads.unseen_quota >= threads.available:
        return None
    most = max(1, int(threads.unseen_quota))
    message = (
        f"a control group of version 1 grants {threads.unseen_quota:.1f} processors, "
        f"and fastbp starts {threads.available} threads"
    )
    return Finding("quota", "slow", message, f"export NUMBA_NUM_THREADS={most}")


def _layer(facts):
    threads = facts.threads
    if not threads or threads.parallel:
        return None
    message = f"one thread runs everything: the threading layer is {threads.layer}"
    remedy = (
        "install libgomp1 (Debian, Ubuntu) or libgomp (Fedora), or python -m pip install tbb; "
        "and unset NUMBA_THREADING_LAYER"
    )
    return Finding("threading layer", "slow", message, remedy)


def _writable(facts):
    cache = facts.cache
    if not cache or not cache.unwritable:
        return None
    message = (
        f"every process compiles for seconds: {cache.folder} takes no file: {cache.unwritable}"
    )
    return Finding("cache", "slow", message, "set FASTBP_CACHE_DIR to a folder that can be written")


def _warm(facts):
    cache = facts.cache
    if not cache or cache.warm or cache.unwritable:
        return None
    message = "the first training will compile for some seconds"
    return Finding("warm-up", "note", message, "fastbp warmup")


def _place(facts):
    """Say that the cache lies where it is slow to reach, or soon forgotten."""
    cache = facts.cache
    if not cache or cache.unwritable:
        return None
    remedy = "set FASTBP_CACHE_DIR to a folder on a local disk"
    if cache.file_system.startswith(_NETWORKS):
        message = f"the cache is on a network file system ({cache.file_system}): starting is slower"
        return Finding("cache", "note", message, remedy)
    if cache.file_system in _IN_MEMORY or cache.temporary:
        message = f"the cache is in a temporary folder, {cache.folder.parent}: it may be emptied"
        return Finding("cache", "note", message, remedy)
    return None


def _scaling(facts):
    threads, speed = facts.threads, facts.speed
    if not speed or not threads.parallel or threads.available == 1:
        return None
    times = speed.peak_all / speed.peak
    if times >= _LEAST_SCALING * threads.available:
        return None
    message = f"{threads.available} threads compute only {times:.1f} times as fast as one"
    remedy = (
        "look for another busy process (top), or hyper-threads and a quota counted as "
        "processors; --threads with a lower number may be as fast"
    )
    return Finding("scaling", "slow", message, remedy)


def _busy(facts):
    count = facts.threads.processors if facts.threads else None
    if count is None or facts.load is None or facts.load < count:
        return None
    message = f"the load average is {facts.load:.1f} on {count} processors: others compete"
    return Finding("load", "note", message, "end what need not run (top), or wait")


def _memory(facts):
    if facts.memory is None or facts.memory >= _LITTLE_MEMORY:
        return None
    message = f"only {facts.memory / _GIB:.2f} GiB of memory is free"
    return Finding("memory", "slow", message, "end other processes, or raise the job's limit")


def _emulated(facts):
    if not facts.processor or not facts.processor.emulator:
        return None
    message = f"the processor is emulated by {facts.processor.emulator}: many times slower"
    remedy = "use a Python, or an image, built for this processor's own architecture"
    return Finding("processor", "slow", message, remedy)


def _instructions(facts):
    """Say that vectors are narrow; those of AVX2 are wide enough."""
    processor = facts.processor
    if not processor or "AVX2" not in processor.features:
        return None
    if not (processor.features["AVX2"] and processor.features["FMA"]):
        message = f"{processor.name} lacks AVX2 or FMA: a quarter of the speed of one that has them"
        remedy = "another machine; in a virtual one, let it see its host's processor"
        return Finding("processor", "slow", message, remedy)
    if processor.lanes["float32"] < 8:
        message = f"kernels use {processor.lanes['float32']} lanes, and the processor has 8 or more"
        return Finding("processor", "slow", message, "unset NUMBA_CPU_NAME and NUMBA_CPU_FEATURES")
    return None


def _variables(facts):
    given = facts.environment
    harmful = [name for name, fine in _SLOWING.items() if given.get(name, fine[0]) not in fine]
    if not harmful:
        return None
    names = ", ".join(f"{name}={given[name]}" for name in harmful)
    return Finding(
        "environment", "slow", f"{names} makes slower code", f"unset {' '.join(harmful)}"
    )


CHECKS = (
    _kernels,
    _writable,
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
    _busy,
)
