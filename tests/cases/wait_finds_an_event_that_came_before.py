"""A wait that looks back finds an event that came before it was reached; one that does not, waits for the next."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("wait-finds-an-event-that-came-before")


@app.function(on="wait-finds-an-event-that-came-before/go")
async def waits(ctx: Context, since: str | None = None) -> str:
    """Wait for the payment."""
    event = await ctx.step.wait_for_event(
        "paid", "wait-finds-an-event-that-came-before/paid", timeout="0.5s", since=since
    )
    return "nothing" if event is None else str(event.data["by"])


async def play(stage: Stage) -> None:
    """The payment comes before both waits."""
    await stage.send("wait-finds-an-event-that-came-before/paid", {"by": "Ann"})
    back = await stage.start("wait-finds-an-event-that-came-before/go", {"since": "1h"})
    ahead = await stage.start("wait-finds-an-event-that-came-before/go")
    assert (await stage.ended(back)).output == "Ann"
    await stage.pass_time("0.5s")
    assert (await stage.ended(ahead)).output == "nothing"
