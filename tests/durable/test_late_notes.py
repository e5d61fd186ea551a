"""A link that was long on its way tells the gate that it began; it may have ended before the gate hears of it."""

from __future__ import annotations

import threading

from celeriac import Context
from engine_stage import Stage, new_app


async def test_a_slot_that_is_taken_anew_after_the_end_is_given_back() -> None:
    """Else it would be gone until it expires: of the two that there is room for, one run alone would go."""
    app = new_app()
    app.function("quick", on="quick")(_quick)
    async with Stage(app) as stage:
        stage.dispatcher.gate.attend("everybody", ["runs", "memory"], 1)
        [run_id] = stage.send("quick")
        stage.pass_time("3s")
        is_free, everyone = threading.Event(), threading.Barrier(9)
        for _ in range(8):
            stage.bodies.submit(is_free.wait)
        await stage.finish(run_id)
        is_free.set()
        for _ in range(8):
            stage.bodies.submit(everyone.wait, 10)  # comes to it when what was noted before has been told
        everyone.wait(10)
        stage.messages.clear()
        stage.send("quick"), stage.send("quick")
        assert len(stage.messages) == 2


async def _quick(ctx: Context) -> None: ...
