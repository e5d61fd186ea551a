"""Models that a tool asks are used by the agent that called it, and by its network's budget."""

from __future__ import annotations

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


async def test_a_replay_counts_them_once() -> None:
    async with Harness(app, model=pondering(4)) as harness:
        [run] = await harness.send("thinking/network-thinking", {"input": "think"})
        await harness.restart()
    assert run.usage.model_calls == 12
    assert sum(result["usage"]["model_calls"] for result in run.output["results"]) == 12
