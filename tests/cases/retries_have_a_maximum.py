"""A function may ask for twenty retries and for no more; a step with that many gets all its attempts."""

from __future__ import annotations

import pytest

from cases.stages.notes import note
from cases.stages.stage import Stage
from celeriac import App, Context
from celeriac.errors import ConfigError

app = App("retries-have-a-maximum")

MOST = 20


@app.function(on="retries-have-a-maximum/go", retries=MOST)
async def persists(ctx: Context) -> int:
    """Succeed at the last attempt."""
    return await ctx.step.run("a", _succeed_at_last)


def _succeed_at_last() -> int:
    attempts = note("step")
    if attempts <= MOST:
        raise RuntimeError("not yet")
    return attempts


async def play(stage: Stage) -> None:
    """Ask for one too many, and use up what is allowed."""
    with pytest.raises(ConfigError, match="retries=21"):
        App("asks-for-too-much").function("patient", retries=MOST + 1)(persists.fn)
    run_id = await stage.start("retries-have-a-maximum/go")
    run = await stage.ended(run_id)
    assert (run.status, run.output) == ("completed", MOST + 1)
    assert (await stage.steps(run_id))["a"].attempts == MOST + 1
