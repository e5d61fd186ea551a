"""Procrastinate's app, and the tasks that stand for steps: each defers the next one of its run."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import procrastinate

from benchmarks.peers.programs.effects import STEP_SECONDS, STEPS, effect

URL = os.environ["BENCH_POSTGRES_URL"]

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=URL, min_size=2, max_size=15))


@app.task(name="trivial")
async def trivial(step: int, count: int, is_last: bool) -> dict[str, Any]:
    """Do next to nothing, then defer the next step."""
    if not is_last:
        await trivial.defer_async(step=step + 1, count=count, is_last=step + 2 == count)
    return {"i": step, "ok": True}


@app.task(name="leave_effect")
async def leave_effect(run: str, step: int, is_last: bool) -> None:
    """Write a line and take a while, then defer the next step."""
    effect(run, step)
    await asyncio.sleep(STEP_SECONDS)
    if not is_last:
        await leave_effect.defer_async(run=run, step=step + 1, is_last=step + 2 == STEPS)
