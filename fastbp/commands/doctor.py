"""``fastbp doctor``: what speed depends on here, what is slow, and how to fix it."""

import typer

from .exits import Code, guarded
from .values import LogOption


def doctor(log: LogOption = "text"):
    """Find what makes fastbp slow on this machine, and how to fix it."""
    with guarded(log) as out:
        from ..diagnostics.doctor import examine

        out.step("examining this machine")
        report = examine()
        out.event("doctor", broken=report.broken, facts=report.facts, findings=report.findings)
        out.text(*_lines(report.facts), "", *_mending(report.findings))
        if report.broken:
            raise typer.Exit(Code.FAILED)


def _lines(facts):
    rows = [*_threads(facts.threads), *_cache(facts.cache), *_processor(facts.processor)]
    rows += [*_speed(facts), *_versions(facts)]
    return [f"{title:<11}{text}" for title, text in rows]


def _threads(threads):
    if threads is None:
        return
    why = " and ".join(threads.least)
    yield "threads", f"{threads.available} of {threads.processors} processors, the least is {why}"
    limits = threads.limits.items()
    yield "", ", ".join(f"{name} {'-' if n is None else n}" for name, n in limits)
    cores = f"{threads.physical} physical, of which n_threads=auto uses at most all"
    nodes = ", ".join(f"{name} {count}" for name, count in threads.nodes.items())
    quota = "" if threads.quota is None else f"; a quota of {threads.quota:.3g}"
    yield "", cores + (f"; {nodes}" if nodes else "") + quota
    use = "several threads can run" if threads.parallel else "one thread only"
    yield "layer", f"{threads.layer}: {use}"


def _cache(cache):
    if cache is None:
        return
    if cache.folder is None:
        yield "cache", f"none: {cache.unwritable}"
        return
    yield "cache", str(cache.folder)
    if cache.refused:
        yield "", f"in the place of one that is not trusted: {cache.refused}"
    if cache.made_for:
        yield "", cache.unusable or f"made for {cache.made_for}"
    can = f"cannot be written ({cache.unwritable})" if cache.unwritable else "can be written"
    warm = "warm" if cache.warm else "not warmed up"
    size = f"{cache.files} files, {cache.bytes / 1e6:.1f} MB"
    kind = f", {cache.file_system}" if cache.file_system else ""
    yield "", f"{can}, {size}, {warm} for this version{kind}"
    if cache.older:
        size = f"{cache.older_bytes / 1e6:.1f} MB"
        yield "", f"{cache.older} more of other versions, {size}, in {cache.folder.parent}"


def _processor(processor):
    if processor is None:
        return
    has = ", ".join(
        f"{name} {'yes' if there else 'no'}" for name, there in processor.features.items()
    )
    yield "processor", f"{processor.name}; {has}"
    lanes = " or ".join(f"{n} {dtype}" for dtype, n in processor.lanes.items())
    yield "", f"an instruction of the kernels takes {lanes}"


def _speed(facts):
    speed = facts.speed
    if speed is None:
        return
    several = facts.threads.physical
    peak = f"{speed.peak / 1e9:.0f} GFLOP/s on one thread"
    copy = "" if speed.copy is None else f"{speed.copy / 1e9:.1f} GB/s on one thread"
    if several > 1:
        times = speed.peak_all / speed.peak
        peak += f", {speed.peak_all / 1e9:.0f} on {several}, {times:.2f} times as much"
        copy += f", {speed.copy_all / 1e9:.1f} on {several}" if copy else ""
    yield "peak", f"{peak} (float32)"
    yield "memory", copy or "too little is free to measure it"


def _versions(facts):
    yield "versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    for extra, packages in facts.extras.items():
        there = ", ".join(f"{name} {version or 'missing'}" for name, version in packages.items())
        missing = None in packages.values()
        mend = f"; python -m pip install 'fastbp[{extra}]'" if missing else ""
        yield f"  {extra}", there + mend


def _mending(findings):
    if not findings:
        yield "Nothing is slow here that fastbp knows of."
        return
    yield "What is slow here, and how to fix it:"
    for finding in findings:
        yield f"  {finding.severity:<7}{finding.check}: {finding.message}"
        yield f"         -> {finding.remedy}"
