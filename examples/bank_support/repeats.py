"""The referee: which bodies started although their step was committed before. There should be none.

It holds two append-only logs, of the example's bodies and of the model server's requests, against the commit times
that stand in SQL. It takes nobody's word: neither log is written by the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True, kw_only=True)
class Start:
    """A body that began to execute; `at` is in seconds since 1970."""

    run: str
    path: str
    body: str
    at: float


#: when each step was committed, by run and path
Commits = Mapping[tuple[str, str], float]


def repeats(starts: Iterable[Start], commits: Commits) -> list[Start]:
    """Return the starts that came after the commit of their step, or of a step around it."""
    return [start for start in starts if _is_repeat(start, commits)]


def body_starts(log: Path) -> Iterator[Start]:
    """Read the log of `effects.py`."""
    for line in _lines(log):
        yield Start(run=line["run"], path=line["path"], body=line["body"], at=line["at"])


def model_starts(log: Path) -> Iterator[Start]:
    """Read the model server's log: the calls that were answered. Only those are paid for."""
    for line in _lines(log):
        if line["status"] == 200 and line["key"]:
            run, _, path = unquote(line["key"]).partition(" ")
            yield Start(run=run, path=path, body=line["model"], at=line["started"])


def _is_repeat(start: Start, commits: Commits) -> bool:
    ids = start.path.split("/")
    around = ("/".join(ids[:count]) for count in range(1, len(ids) + 1))
    return any(start.at > commits[start.run, path] for path in around if (start.run, path) in commits)


def _lines(log: Path) -> Iterator[Any]:
    """The lines of a log; none where nothing was logged. A line that a crash cut in half is an error, not a line."""
    if log.exists():
        with log.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
