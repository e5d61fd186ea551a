"""The app that the tenants' fleet runs: steps that sleep, so that the machine's processors are not the limit."""

from __future__ import annotations

import asyncio
import os
import time

from celeriac import App, Concurrency, Context, Throttle, openai

#: over how many keys, functions or users the noisy tenant spreads
SHARDS = 50
#: links of one of those keys at a time: so many that the limit alone keeps nobody from taking every slot
MOST_OF_A_SHARD = 4
#: links of one key at a time, where a recipe looks at that limit
MOST_OF_A_KEY = 3

app = App("crowd")

#: one whose price is known
_model = openai("gpt-4.1-mini", api_key="offline")


@app.function("sleep", on="crowd/sleep")
async def sleep(ctx: Context, seconds: float, key: str = "") -> float:
    """Sleep in one step."""
    return await ctx.step.run("sleep", _sleep, seconds)


@app.function("keyed", on="crowd/keyed", concurrency=Concurrency(MOST_OF_A_SHARD, key="event.data.key"))
async def keyed(ctx: Context, seconds: float, key: str = "") -> float:
    """Sleep in one step, under a limit that each key has for itself."""
    return await ctx.step.run("sleep", _sleep, seconds)


@app.function("capped", on="crowd/capped", concurrency=Concurrency(MOST_OF_A_KEY, key="event.data.key"))
async def capped(ctx: Context, seconds: float, key: str, log: str) -> float:
    """Sleep in one step of which a log tells when it began and when it ended."""
    return await ctx.step.run("sleep", _note_and_sleep, seconds, ctx.run.id, key, log)


@app.function("throttled", on="crowd/throttled", throttle=Throttle(1, per="10s"))
async def throttled(ctx: Context, seconds: float) -> float:
    """Sleep in one step, every ten seconds one run."""
    return await ctx.step.run("sleep", _sleep, seconds)


@app.function("ask", on="crowd/ask")
async def ask(ctx: Context, calls: int) -> int:
    """Call a model so many times, each with a longer prompt."""
    for number in range(calls):
        await ctx.step.ai.infer(f"ask-{number}", _model, "word" * (number + 1))
    return calls


async def _sleep(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def _note_and_sleep(seconds: float, run_id: str, key: str, log: str) -> float:
    """Leave a line when the body begins and one when it ends: `<run> <key> <pid> <begin|end> <microseconds>`."""
    _write(log, f"{run_id} {key} {os.getpid()} begin")
    await asyncio.sleep(seconds)
    _write(log, f"{run_id} {key} {os.getpid()} end")
    return seconds


def _write(log: str, line: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{line} {time.time_ns() // 1000}\n".encode())
    finally:
        os.close(file)


def _declare_shards() -> None:
    for number in range(SHARDS):

        async def body(ctx: Context, seconds: float, key: str = "") -> float:
            return await ctx.step.run("sleep", _sleep, seconds)

        app.function(f"sleep-{number}", on=f"crowd/sleep.{number}")(body)


_declare_shards()
