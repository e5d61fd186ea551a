"""Restate's handlers; Hypercorn serves `app`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import restate

from benchmarks.peers.programs.effects import STEP_SECONDS, STEPS, effect

bench = restate.Service("Bench")


async def trivial(number: int) -> dict[str, Any]:
    """Do next to nothing."""
    return {"i": number, "ok": True}


async def leave_effect(run: str, step: int) -> int:
    """Write a line and take a while."""
    effect(run, step)
    await asyncio.sleep(STEP_SECONDS)
    return step


@bench.handler()
async def trivial_steps(ctx: restate.Context, count: int) -> float:
    """Make trivial steps one after the other; return the seconds of each."""
    began = time.perf_counter()
    for number in range(count):
        await ctx.run_typed("trivial", trivial, number=number)
    return (time.perf_counter() - began) / count


@bench.handler()
async def effects_of(ctx: restate.Context, run: str) -> int:
    """Make the steps that leave effects."""
    for step in range(STEPS):
        await ctx.run_typed("effect", leave_effect, run=run, step=step)
    return STEPS


app = restate.app(services=[bench])
