"""Steps run one after the other, each once, also when the run sleeps between them and loses its workers meanwhile."""

from __future__ import annotations

from typing import Any

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context

app = App("steps-run-once-in-order")


@app.function(on="steps-run-once-in-order/go")
async def two_steps_and_a_nap(ctx: Context) -> list[Any]:
    """Two steps, a nap, a last line."""
    event = await ctx.step.run("1", _note, "1", ctx.event.data)
    word = await ctx.step.run("2", _note, "2", "test")
    await ctx.step.sleep("delay", "0.6s")
    return [event, word, note("body")]


def _note(number: str, value: Any) -> Any:
    note("step", number=number)
    return value


async def play(stage: Stage) -> None:
    """Crash during the nap."""
    run_id = await stage.start("steps-run-once-in-order/go", {"test": True})
    await stage.status(run_id, "parked")
    await stage.crash()
    await stage.pass_time("0.6s")
    run = await stage.ended(run_id)
    assert run.output == [{"test": True}, "test", 1]
    assert [one["number"] for one in stage.notes("step")] == ["1", "2"]
    assert {path: one.kind for path, one in (await stage.steps(run_id)).items()} == {
        "1": "run",
        "2": "run",
        "delay": "sleep",
    }
