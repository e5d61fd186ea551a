"""The path of a step is fixed where the step is called, whenever it is awaited."""

from __future__ import annotations

import asyncio
import json

from celeriac import Context
from celeriac.testing import Harness
from engine_stage import new_app


async def test_a_repeated_id_is_numbered_by_its_calls_and_not_by_its_awaits() -> None:
    app = new_app()

    @app.function(on="go")
    async def calls(ctx: Context) -> list[str]:
        first, second = ctx.step.run("n", lambda: "first"), ctx.step.run("n", lambda: "second")
        return [await second, await first]

    async with Harness(app) as h:
        [run] = await h.send("go")
        values = {memo.path: json.loads(memo.value or "") for memo in h.steps(run.id)}
        assert values == {"n": "first", "n:1": "second"}


async def test_a_step_belongs_to_the_scope_in_which_it_was_called() -> None:
    app = new_app()

    @app.function(on="go")
    async def calls(ctx: Context) -> None:
        with ctx.step.scope("left"):
            left = ctx.step.run("n", lambda: 1)
        with ctx.step.scope("right"):
            right = ctx.step.run("n", lambda: 2)
        await asyncio.gather(right, left)

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert {memo.path: memo.value for memo in h.steps(run.id)} == {"left/n": "1", "right/n": "2"}
