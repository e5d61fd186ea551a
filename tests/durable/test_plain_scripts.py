"""The verbs in a plain script: those that work in place do, and the others name themselves and the fix."""

from collections.abc import Awaitable, Callable

import pytest

from celeriac import Context
from celeriac.errors import ModelError, NotDurableError
from celeriac.platform.inline import local_context
from engine_stage import Hold


def context() -> Context:
    return local_context("script", {"n": 1})


async def test_a_race_is_run_in_place() -> None:
    ctx, cancelled = context(), []

    async def slow() -> str:
        try:
            return await ctx.step.run("hang", Hold())
        finally:
            cancelled.append(ctx.step.path)

    async def quick() -> str:
        return await ctx.step.run("quick", lambda: "done")

    assert await ctx.step.race(slow=slow(), quick=quick()) == ("quick", "done")
    assert cancelled == ["race/slow"]


async def test_a_branch_that_fails_first_fails_the_race() -> None:
    ctx = context()

    def refuse() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError):
        await ctx.step.race(bad=ctx.step.run("bad", refuse), nap=ctx.step.sleep("nap", "1h"))


async def test_a_wrapped_model_call_is_tried_again_as_a_model_call_is() -> None:
    tries: list[int] = []

    async def ask(text: str) -> str:
        tries.append(1)
        if len(tries) < 2:
            raise ModelError("busy", kind="overloaded", retry_after=0)
        return text.upper()

    assert await context().step.ai.wrap("ask", ask, "why") == "WHY"
    assert len(tries) == 2


REFUSED: dict[str, Callable[[Context], Awaitable[object]]] = {
    "wait_for_event": lambda ctx: ctx.step.wait_for_event("id", "e", timeout=1),
    "wait_for_signal": lambda ctx: ctx.step.wait_for_signal("id", "s", timeout=1),
    "send_event": lambda ctx: ctx.step.send_event("id", "e"),
    "send_signal": lambda ctx: ctx.step.send_signal("id", "s"),
    "invoke": lambda ctx: ctx.step.invoke("id", "a/b"),
    "defer": lambda ctx: ctx.step.defer("id", "a/b"),
}


@pytest.mark.parametrize("verb", REFUSED)
async def test_a_verb_that_needs_a_durable_run_names_itself_its_step_and_the_fix(verb: str) -> None:
    with pytest.raises(NotDurableError, match=rf"step\.{verb} at 'id'.*start it through an App"):
        await REFUSED[verb](context())
