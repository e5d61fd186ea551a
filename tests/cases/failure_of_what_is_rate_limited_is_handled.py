"""The handler of a function's failures is no part of the function's rate limit."""

from __future__ import annotations

from cases.stages.stage import Stage
from celeriac import App, Context, RateLimit
from celeriac.errors import RunFailed

app = App("failure-of-what-is-rate-limited-is-handled")


async def handle(ctx: Context, failed: RunFailed) -> str:
    """Keep why."""
    return str(failed)


@app.function(
    on="failure-of-what-is-rate-limited-is-handled/go",
    retries=0,
    rate_limit=RateLimit(1, per="1h"),
    on_failure=handle,
)
async def fails(ctx: Context) -> None:
    """Fail."""
    raise ValueError("no luck")


async def play(stage: Stage) -> None:
    """One fails and is handled; the other is skipped, which is no failure."""
    for _ in range(2):
        await stage.send("failure-of-what-is-rate-limited-is-handled/go")
    assert [run.status for run in await stage.all_ended("fails")] == ["failed", "skipped"]
    assert [run.output for run in await stage.all_ended("fails.on-failure")] == ["no luck"]
