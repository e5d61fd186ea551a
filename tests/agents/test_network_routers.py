"""Routers: asked once a turn, answered by name or agent, and stopped for a stated reason."""

import asyncio
from typing import Any

import pytest

from celeriac import Agent, App, Context, Network, NetworkRun, tool
from celeriac.errors import ConfigError, RouterError, StepError
from celeriac.testing import ScriptedModel, call

a, b = Agent("a"), Agent("b")


async def test_a_router_is_asked_once_a_turn_and_once_more_to_end() -> None:
    asked: list[int] = []

    def router(ctx: Context) -> Agent | None:
        asked.append(ctx.network.call_count)
        return a if ctx.network.call_count < 2 else None

    run = await Network("N", agents=[a], router=router).run("go", model=ScriptedModel(["one", "two"]))
    assert (asked, run.call_count, run.stop_reason) == ([0, 1, 2], 2, "router")


@pytest.mark.parametrize("route", [a, "a", [a], ["a"]])
async def test_a_route_is_an_agent_its_name_or_several(route: Any) -> None:
    network = Network("N", agents=[a, b], router=lambda ctx: None if ctx.network.call_count else route)
    run = await network.run("go", model=ScriptedModel(["ok"]))
    assert [result.agent for result in run.results] == ["a"]


async def test_several_agents_are_run_in_order() -> None:
    network = Network("N", agents=[a, b], router=lambda ctx: None if ctx.network.call_count else [b, a, "b"])
    run = await network.run("go", model=ScriptedModel(["1", "2", "3"]))
    assert [result.agent for result in run.results] == ["b", "a", "b"]


async def test_an_unknown_agent_is_an_error_that_suggests_the_right_one() -> None:
    network = Network("N", agents=[Agent("Writer"), b], router=lambda ctx: "Wirter")
    with pytest.raises(RouterError, match="did you mean 'Writer'"):
        await network.run("go", model=ScriptedModel([]))


@pytest.mark.parametrize("route", [5, False, object()])
async def test_what_is_no_route_at_all_is_an_error_that_says_what_one_is(route: Any) -> None:
    network = Network("N", agents=[a, b], router=lambda ctx: route)
    with pytest.raises(RouterError, match="which is no route: it returns an agent"):
        await network.run("go", model=ScriptedModel([]))


async def test_a_router_may_be_a_coroutine_and_sees_the_last_result() -> None:
    seen: list[str | None] = []

    async def router(ctx: Context) -> str | None:
        await asyncio.gather()
        last = ctx.network.last_result
        seen.append(last.text if last else None)
        return None if last else "a"

    await Network("N", agents=[a], router=router).run("go", model=ScriptedModel(["said"]))
    assert seen == [None, "said"]


async def test_reaching_max_iter_ends_without_an_error_and_says_so() -> None:
    network = Network("N", agents=[a], router=lambda ctx: a, max_iter=2)
    run = await network.run("go", model=ScriptedModel(["1", "2"]))
    assert (run.call_count, run.stop_reason) == (2, "max_iter")


async def test_max_iter_and_router_can_be_given_to_one_run() -> None:
    network = Network("N", agents=[a, b], router=lambda ctx: a)
    run = await network.run("go", router=lambda ctx: b, max_iter=1, model=ScriptedModel(["1"]))
    assert ([result.agent for result in run.results], run.stop_reason) == (["b"], "max_iter")


@tool
def hand_over(ctx: Context) -> None:
    """Let b go on."""
    ctx.network.schedule("b")


@tool
def finish(ctx: Context) -> None:
    """End the network."""
    ctx.network.stop()


async def test_a_tool_may_schedule_an_agent() -> None:
    network = Network("N", agents=[Agent("a", tools=[hand_over]), b], router=lambda ctx: None)
    model = ScriptedModel({"a": [call("hand_over")], "b": ["took over"]})
    run = await network.run("go", router=lambda ctx: None if ctx.network.call_count else "a", model=model)
    assert [result.agent for result in run.results] == ["a", "b"]


@pytest.mark.parametrize("name", [None, "", 5, ["a"]])
async def test_what_names_no_agent_cannot_be_scheduled(name: Any) -> None:
    def router(ctx: Context) -> None:
        ctx.network.schedule(name)

    with pytest.raises(RouterError, match="cannot be scheduled: network 'N' has no such agent"):
        await Network("N", agents=[a], router=router).run("go", model=ScriptedModel([]))


async def test_a_tool_may_stop_the_network() -> None:
    network = Network("N", agents=[Agent("a", tools=[finish])], router=lambda ctx: "a")
    run = await network.run("go", model=ScriptedModel([call("finish")]))
    assert (run.call_count, run.stop_reason) == (1, "router")


async def test_a_model_that_fails_for_good_ends_the_run_with_its_error() -> None:
    network = Network("N", agents=[a], router=lambda ctx: "a")
    with pytest.raises((AssertionError, StepError), match="no line left for agent 'a'"):
        await network.run("go", model=ScriptedModel([]))


NETWORKS: dict[str, dict[str, Any]] = {
    "'a' has no description": {"agents": [a]},
    "at least one agent": {"agents": [], "router": lambda ctx: None},
    "two agents of one name": {"agents": [a, Agent("a")], "router": lambda ctx: None},
    "max_iter=0": {"agents": [a], "router": lambda ctx: None, "max_iter": 0},
    "never an instance": {"agents": [a], "router": lambda ctx: None, "state": {"plan": 1}},
    "'N': state=.* cannot be validated": {"agents": [a], "router": lambda ctx: None, "state": asyncio.Lock},
}


@pytest.mark.parametrize("words", NETWORKS)
def test_a_network_that_cannot_work_is_refused_where_it_is_declared(words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Network("N", **NETWORKS[words])


async def test_agents_without_a_model_are_named_where_the_network_is_declared_and_where_it_runs() -> None:
    asked = ScriptedModel([])
    agents = [Agent("one", model=asked), Agent("two"), Agent("three")]
    network = Network("N", agents=agents, router=lambda ctx: "one")
    words = "Agents 'two', 'three' have no model; give each model=, or network 'N' or the App a default_model="
    with pytest.raises(ConfigError, match=words):
        App("declared").network(network)
    with pytest.raises(ConfigError, match=words):
        await network.run("go")
    with pytest.raises(ConfigError, match="Agent 'two' has no model; give it model=, or the App a default_model="):
        await agents[1].run("go")
    assert asked.requests == []


async def test_a_run_that_raises_says_why_it_ended_to_whoever_holds_it() -> None:
    held: list[NetworkRun[Any]] = []

    async def fails(ctx: Context) -> str:
        held.append(ctx.network)
        raise KeyError("router")

    async def stands(ctx: Context) -> str:
        held.append(ctx.network)
        running.cancel()
        return await asyncio.get_running_loop().create_future()

    network, model = Network("N", agents=[a], router=fails), ScriptedModel([])
    with pytest.raises(KeyError):
        await network.run("go", model=model)
    running = asyncio.ensure_future(network.run("go", model=model, router=stands))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [run.stop_reason for run in held] == ["error", "cancelled"]
