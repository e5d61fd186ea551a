"""What runs side by side ends with what started it, and leaves nobody's words out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from celeriac import Agent, Budget, Context, Network, Parallel, Prompt, tool
from celeriac.testing import ScriptedModel, calls, say
from celeriac.testing import call as ask

left, right = Agent("left"), Agent("right")


def twice(ctx: Context) -> Parallel | None:
    """Let both agents work at once, two times."""
    return None if ctx.network.call_count >= 4 else Parallel("left", "right")


class Room:
    """A tool that works until it is cancelled, and then has something to clear away."""

    def __init__(self) -> None:
        self.entered = asyncio.Barrier(3)
        self.left: list[int] = []
        self._cancelled = asyncio.Event()  # never set

    def work(self) -> Any:
        """Return the tool."""

        @tool
        async def work(number: int) -> None:
            """Work."""
            try:
                await self.entered.wait()
                await self._cancelled.wait()
            finally:
                for _ in range(50):
                    await asyncio.to_thread(lambda: None)
                self.left.append(number)

        return work


@pytest.mark.parametrize("route", ["tools", "turns"])
async def test_who_leaves_a_stream_finds_that_all_its_work_has_ended(route: str) -> None:
    room = Room()
    one, two = ask("work", number=1), ask("work", number=2)
    agents = [Agent("left", tools=[room.work()]), Agent("right", tools=[room.work()])]
    network: Network[Any] = Network("N", agents=agents, router=twice if route == "turns" else lambda ctx: "left")
    model = ScriptedModel([one, two] if route == "turns" else [calls(one, two)])
    async with network.stream("go", model=model):
        await room.entered.wait()
    assert sorted(room.left) == [1, 2]


async def test_what_agents_note_at_once_is_kept_of_each() -> None:
    def count(ctx: Context, prompt: Prompt) -> None:
        ctx.network.notes[ctx.agent.name] = ctx.network.notes.get(ctx.agent.name, 0) + 1

    agents = [left.replace(on_start=count), right.replace(on_start=count)]
    run = await Network("N", agents=agents, router=twice).run("go", model=ScriptedModel(["x"] * 4))
    assert run.notes == {"left": 2, "right": 2}


async def test_a_limit_that_one_of_several_reached_is_named() -> None:
    @tool
    def look() -> None:
        """Look."""

    agents = [left.replace(tools=[look], max_iter=2), right]
    model = ScriptedModel({"left": [ask("look")], "right": [say("done")]})
    run = await Network("N", agents=agents, router=twice).run("go", model=model, budget=Budget(tokens=12))
    assert (run.stop_reason, run.stop_detail) == ("budget", "15 of 12 tokens are used")
