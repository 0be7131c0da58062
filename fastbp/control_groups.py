"""The control groups of this process, by which a container limits its processors and memory."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

_LINE = re.compile(r"^(\d+):([^:\n]*):(.*)", re.MULTILINE)


def groups_of(kind: str, root: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folders of this process's groups and of those above them; versions 1 and 2.

    They limit `kind`, "cpu" or "memory"; `root` holds ``proc`` and ``sys``.
    """
    top, listed = root / "sys/fs/cgroup", ""
    # a container may see the folder of its own group as the top
    groups = {(top, "/", 2), (top / kind, "/", 1)}
    with contextlib.suppress(OSError):
        listed = (root / "proc/self/cgroup").read_text(errors="replace")
    for number, kinds, group in _LINE.findall(listed):
        if number == "0":
            groups |= {(top, group, 2), (top / "unified", group, 2)}
        elif kind in kinds.split(","):
            groups |= {(top / kind, group, 1), (top / kinds, group, 1)}
    for mount, group, version in groups:
        inside = Path("/", group)
        for folder in (inside, *inside.parents):
            yield mount / str(folder).lstrip("/"), version
