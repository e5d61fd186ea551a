"""CPU time of whole process trees, from /proc: the figure that a busy machine disturbs least."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(roots: Collection[int], *, without: Collection[int] = ()) -> float:
    """Return what the trees below `roots` have used up to now, ended children included, without those trees."""
    processes = {int(entry.name): _stat(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    alive = {pid: stat for pid, stat in processes.items() if stat is not None}
    parents = {pid: parent for pid, (parent, _) in alive.items()}
    return sum(used for pid, (_, used) in alive.items() if _stands_below(pid, parents, roots, without))


def _stands_below(pid: int, parents: dict[int, int], roots: Collection[int], without: Collection[int]) -> bool:
    while pid and pid not in without:
        if pid in roots:
            return True
        pid = parents.get(pid, 0)
    return False


def _stat(process: Path) -> tuple[int, float] | None:
    """Return the parent, and the seconds of the process and of its children that have ended; None when it is gone."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(int(ticks) for ticks in fields[11:15]) / _TICKS
