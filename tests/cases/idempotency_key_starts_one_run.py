"""Of events with one idempotency key the first starts a run; the others are on record as skipped, with the reason."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context

app = App("idempotency-key-starts-one-run")


@app.function(on="idempotency-key-starts-one-run/go", idempotency="event.data.order")
async def charges(ctx: Context, n: int) -> int:
    """Return which event it was."""
    return n


async def play(stage: Stage) -> None:
    """Three events of one order, one of another, and two of none."""
    for n, order in enumerate(["a", "a", "b", "a", None, None]):
        await stage.send("idempotency-key-starts-one-run/go", {"n": n} | ({} if order is None else {"order": order}))
    runs = await stage.all_ended("charges")
    assert [run.output for run in runs if run.status == "completed"] == [0, 2, 4, 5]
    assert [run.reason for run in runs if run.status == "skipped"] == ["idempotency"] * 2
