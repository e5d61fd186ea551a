"""A race goes on with the branch that ends first, also after a crash, and what the others wait for is over."""

from __future__ import annotations

from typing import Any

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("race-has-one-winner")


@app.function(on="race-has-one-winner/go")
async def races(ctx: Context) -> list[Any]:
    """Wait for an answer, but not for ever; then nap, so that there is time for a crash."""

    async def answered() -> str:
        event = await ctx.step.wait_for_event("answer", "race-has-one-winner/answer", timeout="1h")
        await ctx.step.run("thanks", note, "thanks")
        return "nobody" if event is None else str(event.data["name"])

    async def gave_up() -> str:
        await ctx.step.sleep("patience", "0.4s")
        return "too late"

    winner, value = await ctx.step.race(answer=answered(), patience=gave_up())
    await ctx.step.sleep("nap", "0.4s")
    return [winner, value]


async def play(stage: Stage) -> None:
    """Two are won by the clock, before the answer and a crash come; the third one by its answer."""
    first, second = await stage.start("race-has-one-winner/go"), await stage.start("race-has-one-winner/go")
    for run_id in (first, second):
        await stage.status(run_id, "parked")
    await stage.pass_time("0.4s")
    for run_id in (first, second):
        assert (await stage.remembered(run_id, "race")).kind == "race"
    await stage.crash()
    await stage.send("race-has-one-winner/answer", {"name": "Ann"})
    await stage.pass_time("0.4s")
    assert [(await stage.ended(run_id)).output for run_id in (first, second)] == [["patience", "too late"]] * 2
    third = await stage.start("race-has-one-winner/go")
    await stage.status(third, "parked")
    await stage.send("race-has-one-winner/answer", {"name": "Bob"})
    await stage.pass_time("0.4s")
    assert (await stage.ended(third)).output == ["answer", "Bob"]
    assert [one["run"] for one in stage.notes("thanks")] == [third]
