"""Reruns through the engine: what was taken over is not executed again, and an edited input is what a step gets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from celeriac import App, Context, Message, NonRetriableError, Run
from celeriac.errors import ConflictError
from celeriac.platform.message import Usage
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.testing import Harness


@dataclass
class Desk:
    """An app whose bodies note that they ran."""

    app: App = field(default_factory=lambda: App("desk"))
    ran: list[str] = field(default_factory=list)

    def note(self, name: str, value: int = 0) -> int:
        """Be the body of a step."""
        self.ran.append(name)
        return value + 1

    async def first(self, h: Harness) -> Run:
        """Start the only function, and forget what ran."""
        [run] = await h.send("desk/go")
        self.ran.clear()
        return run


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_what_came_before_is_not_executed_again(desk: Desk) -> None:
    @desk.app.function("work", on="desk/go")
    async def work(ctx: Context) -> int:
        a = await ctx.step.run("a", desk.note, "a")
        b = await ctx.step.run("b", desk.note, "b", a)
        return await ctx.step.run("c", desk.note, "c", b)

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        again = await h.rerun(run.id, from_step="b")
    assert (desk.ran, again.output, again.rerun_of) == (["b", "c"], 3, run.id)


async def test_a_step_gets_its_edited_input(desk: Desk) -> None:
    """Through its annotations, like the first one."""

    def ship(order: Order) -> str:
        return f"{type(order).__name__} {order.id}"

    @desk.app.function("work", on="desk/go")
    async def work(ctx: Context) -> str:
        return await ctx.step.run("ship", ship, Order("o1"))

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        again = await h.rerun(run.id, from_step="ship", input=[{"id": "o2"}])
        third = await h.rerun(again.id)
    assert [one.output for one in (run, again, third)] == ["Order o1", "Order o2", "Order o2"]


@dataclass(frozen=True)
class Order:
    """What a step is given."""

    id: str


async def test_an_edited_input_that_does_not_fit_fails_its_step(desk: Desk) -> None:
    @desk.app.function("work", on="desk/go", retries=0)
    async def work(ctx: Context) -> int:
        return await ctx.step.run("a", desk.note, "a", 1)

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        again = await h.rerun(run.id, from_step="a", input=["a", 1, 2, 3])
    assert again.status == "failed"
    assert again.error is not None and "does not fit its function" in again.error["message"]


class Echo:
    """A model that repeats what it was asked."""

    provider, name = "echo", "echo"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer."""
        text = f"{request.system} {request.messages[0].text}"
        return ModelReply(model=self.name, text=text, usage=Usage(model_calls=1))


async def test_a_model_is_asked_with_the_edited_prompt(desk: Desk) -> None:
    @desk.app.function("work", on="desk/go")
    async def work(ctx: Context) -> str:
        return (await ctx.step.ai.infer("ask", Echo(), "Hello", system="Be kind.")).text

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        given = {"system": "Be brief.", "messages": [Message.user("Bye").export()]}
        again = await h.rerun(run.id, from_step="ask", input=given)
    assert (run.output, again.output) == ("Be kind. Hello", "Be brief. Bye")


async def test_branches_meet_again_as_they_met(desk: Desk) -> None:
    async def branch(ctx: Context, name: str) -> list[int]:
        with ctx.step.scope(name):
            return [await ctx.step.run(f"s{n}", desk.note, f"{name}{n}", n) for n in range(3)]

    @desk.app.function("work", on="desk/go")
    async def work(ctx: Context) -> list[list[int]]:
        both = await asyncio.gather(branch(ctx, "a"), branch(ctx, "b"))
        await ctx.step.run("end", desk.note, "end")
        return list(both)

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        order = [memo.path for memo in h.steps(run.id)]
        again = await h.rerun(run.id, from_step="b/s1")
    assert sorted(desk.ran) == sorted(path.replace("/s", "") for path in order[order.index("b/s1") :])
    assert (again.status, again.output) == ("completed", run.output), "or it stands still for the order of its steps"


async def test_a_rerun_from_inside_a_scope_does_the_scope_again(desk: Desk) -> None:
    async def outer(ctx: Context) -> int:
        one = await ctx.step.run("one", desk.note, "one")
        return await ctx.step.run("two", desk.note, "two", one)

    @desk.app.function("work", on="desk/go")
    async def work(ctx: Context) -> int:
        return await ctx.step.run("outer", outer, ctx)

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        again = await h.rerun(run.id, from_step="outer/two")
        assert desk.ran == ["two"]
        await h.rerun(run.id, from_step="outer")
    assert desk.ran == ["two", "one", "two"]
    assert again.output == run.output


async def test_what_was_sent_before_is_not_sent_again(desk: Desk) -> None:
    @desk.app.function("other", on=["desk/told", "desk/scored"])
    async def other(ctx: Context) -> None:
        desk.ran.append(ctx.event.name)

    @desk.app.function("work", on="desk/go")
    async def work(ctx: Context) -> int:
        await ctx.step.send_event("tell", "desk/told")
        await ctx.step.defer("score", other)
        return await ctx.step.run("a", desk.note, "a")

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        await h.rerun(run.id, from_step="a")
    assert desk.ran == ["a", "celeriac/deferred"]


async def test_a_failed_step_is_tried_once_more(desk: Desk) -> None:
    @desk.app.function("work", on="desk/go", retries=0)
    async def work(ctx: Context) -> int:
        before = await ctx.step.run("a", desk.note, "a")
        return await ctx.step.run("b", fails_once, before)

    fails = [True]

    def fails_once(value: int) -> int:
        if fails:
            fails.clear()
            raise NonRetriableError("Not yet")
        return desk.note("b", value)

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        again = await h.rerun(run.id, from_step="b")
    assert (run.status, again.status, again.output, desk.ran) == ("failed", "completed", 2, ["b"])


async def test_a_step_in_the_losing_branch_of_a_race_is_raced_again(desk: Desk) -> None:
    async def quick(ctx: Context) -> int:
        return await ctx.step.run("q", desk.note, "q")

    async def slow(ctx: Context) -> int:
        await ctx.step.run("s", desk.note, "s")
        await ctx.step.sleep("nap", "1h")
        return 0

    @desk.app.function("work", on="desk/go")
    async def work(ctx: Context) -> str:
        winner, _ = await ctx.step.race(slow=slow(ctx), quick=quick(ctx))
        return winner

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        again = await h.rerun(run.id, from_step="race/slow/s")
    assert (run.output, again.output) == ("quick", "quick")
    assert "s" in desk.ran


async def test_a_run_that_waits_is_not_done_again(desk: Desk) -> None:
    @desk.app.function("work", on="desk/go")
    async def work(ctx: Context) -> None:
        await ctx.step.sleep("nap", "1h")

    async with Harness(desk.app) as h:
        run = await desk.first(h)
        with pytest.raises(ConflictError, match="it is parked"):
            await h.rerun(run.id)
        h.cancel(run.id)
        again = await h.rerun(run.id, from_step="nap")
    assert again.status == "parked"
