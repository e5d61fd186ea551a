"""The cost of a replay: each memo costs the same, however many there are, in a row and side by side."""

import asyncio
import time

import pytest

from celeriac import Context
from celeriac.platform.durable.conduct import Conduct
from engine_stage import Stage, new_app, soon

#: eight times as many memos may take sixteen times as long; where each looked at all others it would be sixty-four
FEW, MANY, MOST_TIMES = 200, 1_600, 16


async def seconds_of_replay(steps: int, *, side_by_side: bool) -> float:
    """Return the processor time of the link that replays so many memos, the least of three."""
    app = new_app()

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        if side_by_side:
            await asyncio.gather(*(ctx.step.send_event(str(number), "sent") for number in range(steps)))
        else:
            for number in range(steps):
                await ctx.step.send_event(str(number), "sent")
        for nap in range(3):
            await ctx.step.sleep(f"nap {nap}", "1h")

    async with Stage(app, conduct=Conduct(max_steps=10_000)) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        taken = []
        for _ in range(3):
            stage.pass_time("1h")
            begun = time.process_time()
            await soon(stage.advance(run_id))
            taken.append(time.process_time() - begun)
        assert stage.run(run_id).status == "completed"
        return min(taken)


@pytest.mark.parametrize("side_by_side", [False, True])
async def test_a_memo_costs_the_same_however_many_there_are(side_by_side: bool) -> None:
    few = await seconds_of_replay(FEW, side_by_side=side_by_side)
    many = await seconds_of_replay(MANY, side_by_side=side_by_side)
    assert many < MOST_TIMES * few
