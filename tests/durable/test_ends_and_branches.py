"""A run that ends while a branch of it is beginning something: the end comes last."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from celeriac import Context, NonRetriableError
from celeriac.clock import ManualClock
from celeriac.platform.store.local_store import LocalStore
from engine_stage import Stage, new_app, soon


class SlowStore(LocalStore):
    """Lets a wait begin only when the end of its run is there, or has not come for half a second."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        super().__init__(self.clock)
        self.order: list[str] = []
        self.is_begun, self.is_ended = threading.Event(), threading.Event()

    def await_event(self, *arguments: Any, **options: Any) -> Any:
        self.is_begun.set()
        self.is_ended.wait(0.5)
        self.order.append("wait")
        return super().await_event(*arguments, **options)

    def finish(self, *arguments: Any, **options: Any) -> bool:
        self.is_ended.set()
        self.order.append("end")
        return super().finish(*arguments, **options)

    def finish_all(self, *arguments: Any, **options: Any) -> list[bool]:
        self.is_ended.set()
        self.order.append("end")
        return super().finish_all(*arguments, **options)


async def test_a_run_that_fails_ends_after_the_wait_that_a_branch_began() -> None:
    """Else the wait would stand open for ever, and keep its signal from others."""
    app, store = new_app(), SlowStore()

    def fail() -> None:
        store.is_begun.wait(10)
        raise NonRetriableError("no")

    @app.function("both", on="go", retries=0)
    async def both(ctx: Context) -> None:
        await asyncio.gather(ctx.step.wait_for_signal("wait", "reply", timeout="1d"), ctx.step.run("fail", fail))

    async with Stage(app, store=store, clock=store.clock) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        assert stage.run(run_id).status == "failed"
        assert store.order[0] == "wait" and set(store.order[1:]) == {"end"}
