"""The effect log: what really happened in the workers, told by the bodies of the steps themselves.

One file for all processes, one line an append, on the disk before the body goes on. It knows nothing of the engine's
own counters, so that the judge can hold them against it. Times are the machine's monotonic clock, which all its
processes share and which no skewed clock moves.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

#: `link` and `left`: the code of a run begins and ends in a process; `began`, `ended` and `failed`: one execution of a
#: step's body; `saw`: the code of a run was given the result of that execution
EffectKind = Literal["link", "left", "began", "ended", "failed", "saw"]

_KINDS = get_args(EffectKind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One line of the log."""

    kind: EffectKind
    #: seconds
    at: float
    pid: int
    run: str
    path: str = ""
    #: the execution or the link that it is about, unique in the log
    by: str = ""


class EffectLog:
    """The writing side, one a process; safe to use from any thread."""

    def __init__(self, path: Path | None) -> None:
        """Append to `path`; without one nothing is kept."""
        self._file = os.open(path or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._is_kept = path is not None
        self._numbers = itertools.count(1)

    def begin(self, kind: Literal["link", "began"], run: str, path: str = "") -> str:
        """Note a beginning and return its name."""
        by = f"{os.getpid()}-{next(self._numbers)}"
        self.note(kind, run, path, by)
        return by

    def note(self, kind: EffectKind, run: str, path: str, by: str) -> None:
        """Note what has happened; it is on the disk afterwards, where a body has begun or ended."""
        line = json.dumps([kind, time.monotonic(), os.getpid(), run, path, by]) + "\n"
        os.write(self._file, line.encode())
        if self._is_kept and kind in ("began", "ended"):
            os.fdatasync(self._file)


def read_effects(path: Path) -> list[Effect]:
    """Return all effects in the order of their times; a line that a dying process has cut off is left out."""
    effects = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            kind, at, pid, run, step, by = json.loads(line)
        except ValueError:
            continue
        if kind in _KINDS:
            effects.append(Effect(kind=kind, at=at, pid=pid, run=run, path=step, by=by))
    return sorted(effects, key=lambda effect: effect.at)
