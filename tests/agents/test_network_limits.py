"""Budgets and parallel turns: stopped before the next call with a reason, merged in order."""

from __future__ import annotations

from typing import Any

import pytest

from celeriac import Agent, App, Budget, Context, Network, Parallel, RoutingAgent, tool
from celeriac.errors import ConfigError, RouterError, StepError
from celeriac.platform.message import Usage
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.testing import Harness, ScriptedModel, call


@tool
def look() -> str:
    """Look."""
    return "seen"


class Priced(ScriptedModel):
    """A scripted model whose calls cost ten cents."""

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer with the next line."""
        reply = await super().infer(request)
        return ModelReply(**{**reply.__dict__, "usage": reply.usage + Usage(cost_usd=0.1)})


LIMITS: dict[str, tuple[Budget, str]] = {
    "turns": (Budget(turns=2), "2 of 2 turns"),
    "tokens": (Budget(tokens=30), "30 of 30 tokens"),
    "cost": (Budget(cost_usd=0.2), "0.2000 of 0.2000 US dollars"),
}


@pytest.mark.parametrize("name", LIMITS)
async def test_a_budget_stops_before_the_next_call_and_says_which_limit_it_was(name: str) -> None:
    budget, words = LIMITS[name]
    agent = Agent("a")
    model = Priced(["1", "2", "never"])
    run = await Network("N", agents=[agent], router=lambda ctx: agent, budget=budget).run("go", model=model)
    assert (run.stop_reason, len(run.results)) == ("budget", 2)
    assert words in run.stop_detail and len(model.requests) == 2


async def test_a_budget_of_time_counts_from_the_start_also_over_a_crash() -> None:
    @tool
    async def rest(ctx: Context) -> None:
        """Wait."""
        await ctx.step.sleep("rest", "40s")

    agent = Agent("a", tools=[rest])
    app = App("timed", default_model="openai:gpt-4.1-mini")
    app.network(Network("N", agents=[agent], router=lambda ctx: agent, budget=Budget(time="1m")), on="go")
    model = ScriptedModel([call("rest"), call("rest"), "never"])
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hi"})
        await h.advance("45s")
        await h.restart()
        await h.advance("1h")
        ended = h.run(run.id)
        assert (ended.reason, len(ended.output["results"])) == ("budget", 2)
        assert "of 60 seconds" in ended.output["stop_detail"]


async def test_a_budget_stops_an_agent_alone_between_its_calls() -> None:
    model = ScriptedModel([call("look"), call("look"), "never"])
    result = await Agent("a", tools=[look], model=model).run("go", budget=Budget(tokens=20))
    assert (result.usage.model_calls, result.stopped) == (2, "budget: 30 of 20 tokens are used")


async def test_the_choices_of_a_routing_agent_count() -> None:
    model = ScriptedModel({"Default routing agent": [call("select_agent", name="a")], "a": ["1"]})
    network = Network("N", agents=[Agent("a", description="does it")], router=RoutingAgent())
    run = await network.run("go", model=model, budget=Budget(tokens=30))
    assert (run.stop_reason, run.usage.model_calls) == ("budget", 2)


@pytest.mark.parametrize("options", [{}, {"turns": 0}, {"cost_usd": -1}, {"cost_usd": float("nan")}, {"time": 0}])
def test_a_budget_that_limits_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Budget needs"):
        Budget(**options)


# -- turns at once ----------------------------------------------------------------------------------------------


@tool
def find(ctx: Context, what: str) -> str:
    """Keep what was found."""
    ctx.state.data.setdefault("found", []).append(f"{ctx.agent.name}:{what}")
    ctx.state.data[ctx.agent.name] = what
    return what


left, right = Agent("left", tools=[find]), Agent("right", tools=[find])
SCRIPT = {"left": [call("find", what="L")], "right": [call("find", what="R")], "end": ["ended"]}


def both(ctx: Context) -> Any:
    """Let two agents work at once, then another."""
    return [Parallel(left, "right"), None, "end", None][ctx.network.call_count]


def at_once() -> Network[Any]:
    """Return a network with two agents that work at once."""
    return Network("N", agents=[left, right, Agent("end")], router=both)


async def test_turns_at_once_are_merged_in_their_order() -> None:
    run = await at_once().run("go", model=ScriptedModel(SCRIPT))
    assert [result.agent for result in run.results] == ["left", "right", "end"]
    assert run.state.data == {"found": ["left:L", "right:R"], "left": "L", "right": "R"}
    assert (run.call_count, run.stop_reason) == (3, "router")


async def test_turns_at_once_do_not_see_each_other() -> None:
    model = ScriptedModel(SCRIPT)
    await at_once().run("go", model=model)
    assert [len(request.messages) for request in model.requests] == [1, 1, 5]


async def test_turns_at_once_really_overlap() -> None:
    import asyncio

    met = asyncio.Barrier(2)

    @tool
    async def meet() -> str:
        """Wait for the other."""
        await asyncio.wait_for(met.wait(), 10)
        return "met"

    agents = [Agent("a", tools=[meet]), Agent("b", tools=[meet])]
    network = Network("N", agents=agents, router=lambda ctx: None if ctx.network.call_count else Parallel("a", "b"))
    run = await network.run("go", model=ScriptedModel({"a": [call("meet")], "b": [call("meet")]}))
    assert [result.tool_results[0].data for result in run.results] == ["met", "met"]


async def test_turns_at_once_are_remembered_each() -> None:
    @tool
    async def slowly(ctx: Context) -> None:
        """Wait, then write."""
        await ctx.step.sleep("rest", "1h")
        ctx.state.data["slow"] = True

    agents = [left, Agent("slow", tools=[slowly])]
    app = App("both", default_model="openai:gpt-4.1-mini")
    network = Network(
        "N", agents=agents, router=lambda ctx: None if ctx.network.call_count else Parallel("left", "slow")
    )
    app.network(network, on="go")
    model = ScriptedModel({"left": [call("find", what="L")], "slow": [call("slowly")]})
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hi"})
        await h.restart()
        await h.advance("1h")
        assert h.run(run.id).output["state"] == {"found": ["left:L"], "left": "L", "slow": True}
    model.assert_done()


async def test_max_iter_counts_each_of_the_turns_at_once() -> None:
    run = await at_once().run("go", model=ScriptedModel(SCRIPT), max_iter=1)
    assert ([result.agent for result in run.results], run.stop_reason) == (["left"], "max_iter")


async def test_a_budget_of_turns_counts_each_of_the_turns_at_once() -> None:
    run = await at_once().run("go", model=ScriptedModel(SCRIPT), budget=Budget(turns=1))
    assert ([result.agent for result in run.results], run.stop_reason) == (["left"], "budget")


async def test_one_agent_cannot_take_two_turns_at_once() -> None:
    with pytest.raises((RouterError, StepError), match="named an agent twice"):
        await Network("N", agents=[left], router=lambda ctx: Parallel(left, left)).run("go", model=ScriptedModel([]))
