"""Models that tools, hooks and routers ask are used by the agent or the network around, and by its budget."""

from __future__ import annotations

from typing import Any

import pytest

from celeriac import Agent, App, Budget, Context, Network, tool
from celeriac.testing import Harness, ScriptedModel, call, say


@tool
async def ponder(ctx: Context, about: str) -> list[str]:
    """Ask a model twice."""
    model = ctx.network.model_of(ctx.agent)
    return [(await ctx.step.ai.infer(word, model, f"{word} {about}?")).text for word in ("why", "how")]


@tool
def ponder_once() -> None:
    """Ponder."""


thinker = Agent("Thinker", tools=[ponder], tool_choice="ponder")
thinking = Network(
    "Thinking", agents=[thinker], router=lambda ctx: "Thinker", max_iter=4, default_model="openai:gpt-4.1"
)
app = App("thinking")
app.network(thinking)


def pondering(times: int) -> ScriptedModel:
    return ScriptedModel([call("ponder", about="bees"), say("because"), say("so")] * times)


async def test_a_tools_model_calls_are_in_the_usage_of_its_run() -> None:
    run = await thinking.run("think", model=pondering(1), max_iter=1)
    assert run.results[0].usage.model_calls == 3
    assert (run.usage.model_calls, run.usage.tool_calls, run.usage.input_tokens) == (3, 1, 30)


async def test_a_budget_counts_what_tools_ask() -> None:
    """The first turn uses 45 tokens, of which its own model call has 15."""
    run = await thinking.run("think", model=pondering(4), budget=Budget(tokens=40))
    assert (run.stop_reason, run.call_count) == ("budget", 1)


async def test_a_budget_stops_an_agent_inside_of_a_tool_before_its_next_call() -> None:
    """Each call uses 15 tokens: the asker's one and the first of the agent that it asks are all."""
    asked = Agent("Asked", tools=[ponder_once], max_iter=8)
    script = {"Asker": [call("asked", input="bees?")], "Asked": [call("ponder_once")] * 8}
    asker = Agent("Asker", tools=[asked.as_tool()], model=ScriptedModel(script))
    result = await asker.run("think", budget=Budget(tokens=30))
    assert (result.usage.model_calls, result.stopped) == (2, "budget: 30 of 30 tokens are used")


GUARDED = {"Guard": ["fine"] * 4, "Speaker": ["Hello"] * 4}
guard = Agent("Guard", model="openai:gpt-4.1")


async def look_after(ctx: Context, given: Any = None) -> None:
    """Ask another agent, as a hook does."""
    await guard.run("Is that fine?")


async def ask_first(ctx: Context) -> str | None:
    """Ask another agent, as a router may."""
    await guard.run("Who goes on?")
    return None if ctx.network.call_count else "Speaker"


@pytest.mark.parametrize("hook", ["on_start", "on_response", "on_finish"])
async def test_what_a_hook_asks_of_models_is_in_the_usage_of_its_turn(hook: str) -> None:
    speaker = Agent("Speaker", model=ScriptedModel(GUARDED), **{hook: look_after})
    result = await speaker.run("Hi", model=ScriptedModel(GUARDED))
    assert (result.text, result.usage.model_calls) == ("Hello", 2)


async def test_what_a_router_asks_of_models_is_in_the_usage_of_its_network() -> None:
    network = Network("Asking", agents=[Agent("Speaker")], router=ask_first, default_model="openai:gpt-4.1")
    asking = App("asking")
    asking.network(network)
    async with Harness(asking, model=ScriptedModel(GUARDED)) as harness:
        [run] = await harness.send("asking/network-asking", {"input": "Hi"})
        used = [chunk.data["cumulative"]["totalTokens"] for chunk in harness.chunks(run.id) if chunk.data.get("usage")]
    assert run.usage.model_calls == 3
    assert (await network.run("Hi", model=ScriptedModel(GUARDED))).usage.model_calls == 3
    # the guard, the network for its router, the network with its speaker, the guard, the network
    assert used == [15, 15, 30, 15, 45]


async def test_a_budget_stops_what_a_hook_asks() -> None:
    speaker = Agent("Speaker", on_finish=look_after, model=ScriptedModel(GUARDED))
    result = await speaker.run("Hi", model=ScriptedModel(GUARDED), budget=Budget(tokens=15))
    assert (result.text, result.usage.model_calls) == ("Hello", 1)


async def test_a_replay_counts_them_once() -> None:
    async with Harness(app, model=pondering(4)) as harness:
        [run] = await harness.send("thinking/network-thinking", {"input": "think"})
        await harness.restart()
    assert run.usage.model_calls == 12
    assert sum(result["usage"]["model_calls"] for result in run.output["results"]) == 12
