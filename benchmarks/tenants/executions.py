"""The recorded executions: when each body of the function `capped` began and ended, from the log that they leave.

A body that was killed leaves no end; its interval lasts until its process was seen dead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One body; times are microseconds."""

    run_id: str
    key: str
    pid: int
    began: int
    ended: int


def read(log: Path, died: Mapping[int, int]) -> list[Execution]:
    """Read the log; `died` tells when each process that was killed was seen dead."""
    open_bodies: dict[tuple[str, int], tuple[str, int]] = {}
    done = []
    for run_id, key, pid_text, what, at in map(str.split, log.read_text().splitlines()):
        pid = int(pid_text)
        if what == "begin":
            open_bodies[run_id, pid] = (key, int(at))
        else:
            of_key, began = open_bodies.pop((run_id, pid))
            done.append(Execution(run_id=run_id, key=of_key, pid=pid, began=began, ended=int(at)))
    for (run_id, pid), (key, began) in open_bodies.items():
        done.append(Execution(run_id=run_id, key=key, pid=pid, began=began, ended=died[pid]))
    return done


def executing(log: Path, pid: int) -> set[str]:
    """Return the runs whose bodies this process has begun and not ended."""
    lines = [line.split() for line in log.read_text().splitlines()]
    begun = {line[0] for line in lines if line[2] == str(pid) and line[3] == "begin"}
    return begun - {line[0] for line in lines if line[2] == str(pid) and line[3] == "end"}


def most_at_once(executions: Sequence[Execution], by: Callable[[Execution], str]) -> int:
    """Return how many executions of one group overlapped at most."""
    groups: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for one in executions:
        groups[by(one)] += [(one.began, 1), (one.ended, -1)]
    most = 0
    for moves in groups.values():
        count = 0
        for _, move in sorted(moves):  # at one moment ends go before begins
            count += move
            most = max(most, count)
    return most
