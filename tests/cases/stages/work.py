"""Work: the body of a step that takes a moment, and how much of it was done at the same time."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cases.stages.notes import Note, note
from cases.stages.stage import Stage
from celeriac import Context, Run
from waiting import work_for


async def work(ctx: Context, id: str = "work", *, by: str = "") -> None:
    """Do some work in a step; `by` tells it from other work."""
    await ctx.step.run(id, _work, by)


def most_at_once(stage: Stage, **facts: str) -> int:
    """Return how much of the work with these facts was done at the same time, at most."""
    return _most(stage.notes("began", **facts), stage.notes("ended", **facts))


def most_in_one_process(stage: Stage) -> int:
    """Return the same of the process in which most was done."""
    began, ended = stage.notes("began"), stage.notes("ended")
    pids = {one["pid"] for one in began}
    return max(
        _most([one for one in began if one["pid"] == pid], [one for one in ended if one["pid"] == pid]) for pid in pids
    )


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Return runs in the order in which they started."""
    return sorted(runs, key=lambda run: str(run.started_at))


def _work(by: str) -> None:
    note("began", by=by, pid=os.getpid())
    work_for(0.05)
    note("ended", by=by, pid=os.getpid())


def _most(began: Sequence[Note], ended: Sequence[Note]) -> int:
    moves = sorted([(one["time"], 1) for one in began] + [(one["time"], -1) for one in ended])
    at_once = [sum(step for _, step in moves[: place + 1]) for place in range(len(moves))]
    return max(at_once, default=0)
