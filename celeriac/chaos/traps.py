"""The traps: named points of a worker's life at which it kills itself, where the play has set a trap.

A trap is a file in the play's folder; whoever removes it has sprung it and dies, so that each kills one worker. The
chaos app lays the points at its import; nothing is laid in a worker that no play has started.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Literal, get_args

from celery.signals import task_postrun, task_prerun
from sqlalchemy import Engine, event

#: a message was taken and the run not yet claimed; claimed; amid a body; after it; and after the link's last commit
Point = Literal["before the claim", "after the claim", "amid a body", "before the commit", "before the next link"]

POINTS: tuple[Point, ...] = get_args(Point)


class Traps:
    """The traps of a folder, on either side."""

    def __init__(self, folder: Path | None) -> None:
        """Look for traps in `folder`; without one there are none."""
        self._folder = folder

    def set(self, point: Point) -> None:
        """Let the next process that comes to the point die there."""
        self._path(point).touch()

    def is_set(self, point: Point) -> bool:
        """Say whether nobody has sprung it yet."""
        return self._path(point).exists()

    def lift(self, point: Point) -> bool:
        """Take the trap away; return whether it had not been sprung."""
        try:
            self._path(point).unlink()
        except FileNotFoundError:
            return False
        return True

    def spring(self, point: Point) -> None:
        """Die here by SIGKILL, where a trap is set."""
        if self._folder is not None and self.is_set(point) and self.lift(point):
            os.kill(os.getpid(), signal.SIGKILL)

    def lay(self) -> None:
        """Make the points that lie outside of user code known to this process."""
        task_prerun.connect(lambda **_: self.spring("before the claim"), weak=False)
        task_postrun.connect(lambda **_: self.spring("before the next link"), weak=False)

        def commits(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if "INSERT INTO steps" in statement:
                self.spring("before the commit")

        event.listen(Engine, "before_cursor_execute", commits)

    def _path(self, point: Point) -> Path:
        assert self._folder is not None, "no folder, no traps"
        return self._folder / f"trap-{point.replace(' ', '-')}"
