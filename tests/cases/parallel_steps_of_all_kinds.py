"""Steps of every kind side by side are each done once, though each wakes the run at another time."""

from __future__ import annotations

import asyncio
from typing import Any

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context, StepError
from waiting import work_for

app = App("parallel-steps-of-all-kinds")

KINDS = {"run": "run", "nap": "sleep", "wait": "event", "tell": "send", "invoke": "invoke", "fetch": "fetch"}


@app.function()
async def child(ctx: Context) -> str:
    """Answer."""
    await ctx.step.sleep("nap", "0.3s")
    return "invoked"


@app.function(on="parallel-steps-of-all-kinds/told")
async def told(ctx: Context) -> None:
    """Note that it was told."""
    note("told")


@app.function(on="parallel-steps-of-all-kinds/go", retries=0)
async def all_kinds(ctx: Context) -> list[Any]:
    """Do everything at once, then something behind it."""

    async def refused() -> str:
        try:
            await ctx.step.fetch("fetch", "http://192.0.2.1/")
        except StepError as error:
            return error.error_name
        return "fetched"

    together = await asyncio.gather(
        ctx.step.run("run", _work),
        ctx.step.sleep("nap", "0.2s"),
        ctx.step.wait_for_event("wait", "parallel-steps-of-all-kinds/never", timeout="0.4s"),
        ctx.step.send_event("tell", "parallel-steps-of-all-kinds/told"),
        ctx.step.invoke("invoke", child),
        refused(),
    )
    return [together[0], together[4], together[5], await ctx.step.run("last", lambda: "done")]


def _work() -> str:
    note("began")
    work_for(0.3)
    return "worked"


async def play(stage: Stage) -> None:
    """Let all of them wake the run."""
    run_id = await stage.start("parallel-steps-of-all-kinds/go")
    for _ in range(4):
        await stage.pass_time("0.1s")
    run = await stage.ended(run_id)
    assert run.output == ["worked", "invoked", "FetchRefused", "done"]
    kinds = {path: one.kind for path, one in (await stage.steps(run_id)).items()}
    assert kinds == {**KINDS, "last": "run"}
    assert len(await stage.all_ended("told")) == len(await stage.runs("child")) == 1
    assert (len(stage.notes("began")), len(stage.notes("told"))) == (1, 1)
