"""Networks inside a durable run: the same code, remembered."""

import asyncio
import itertools
from typing import Any

import pytest

from celeriac import Agent, App, Context, Network, tool
from celeriac.testing import Harness, ScriptedModel, call, calls
from engine_stage import Stage, soon
from waiting import until


def _once(ctx: Context) -> str | None:
    return None if ctx.network.call_count else "a"


@tool
def look(n: int) -> int:
    """Look."""
    if n == 13:
        raise ValueError("unlucky")
    return n


def talk() -> ScriptedModel:
    return ScriptedModel({"a": [calls(call("look", n=1), call("look", n=13)), call("lok"), "a"], "b": ["done"]})


def without_ids(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two runs give the same words under ids of their own."""
    return [{key: value for key, value in message.items() if key != "id"} for message in messages]


async def test_a_plain_and_a_durable_run_say_the_same() -> None:
    agents = [Agent("a", tools=[look], max_iter=3), Agent("b")]
    network = Network("N", agents=agents, router=lambda ctx: ("a", "b", None)[ctx.network.call_count])
    app = App("same", default_model="openai:gpt-4.1-mini")
    app.network(network, on="go")
    plain = (await network.run("Hi", model=talk())).export()
    async with Harness(app, talk()) as h:
        [run] = await h.send("go", {"input": "Hi"})
    said = [[without_ids(result["messages"]) for result in one["results"]] for one in (plain, run.output)]
    assert said[0] == said[1] and len(said[0]) == 2
    assert (plain["text"], plain["state"], plain["stop_reason"]) == (
        run.output["text"],
        run.output["state"],
        run.output["stop_reason"],
    )


async def test_the_steps_of_a_network_stand_in_a_tree() -> None:
    app = App("tree", default_model="openai:gpt-4.1-mini")
    agents = [Agent("a", tools=[look], max_iter=3)]
    app.network(Network("Support Desk", agents=agents, router=_once), on="go")
    async with Harness(app, talk()) as h:
        [run] = await h.send("go", {"input": "Hi"})
        turn = "network:support-desk/turn:1"
        assert [memo.path for memo in h.steps(run.id)] == [
            "network:support-desk/route:1",
            f"{turn}/infer",
            f"{turn}/tool:1:look",
            f"{turn}/tool:2:look",
            f"{turn}/infer:1",
            f"{turn}/tool:3:lok",
            f"{turn}/infer:2",
            turn,
            "network:support-desk/route:2",
        ]


async def test_a_finished_turn_is_neither_asked_nor_routed_again() -> None:
    app, routed = App("once", default_model="openai:gpt-4.1-mini"), []

    @tool
    async def wait(ctx: Context) -> None:
        """Wait for a person."""
        await ctx.step.sleep("person", "1h")

    def router(ctx: Context) -> str | None:
        routed.append(ctx.network.call_count)
        return ("first", "second", None)[ctx.network.call_count]

    app.network(Network("N", agents=[Agent("first"), Agent("second", tools=[wait])], router=router), on="go")
    model = ScriptedModel({"first": ["one"], "second": [call("wait")]})
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hi"})
        await h.restart()
        await h.advance("1h")
        assert (h.run(run.id).status, len(model.requests), routed.count(0)) == ("completed", 2, 1)


@tool
async def add(ctx: Context, n: int) -> None:
    """Add, after a pause where the test asks for one."""
    ctx.state.data["sum"] += n
    ctx.state.data["order"].append(n)
    await ctx.step.run("pace", PACE.pop(n, _at_once))


async def _at_once() -> None:
    return None


#: what the call with that number waits for, the first time
PACE: dict[int, Any] = {}


@pytest.mark.parametrize("crashes", [False, True])
async def test_parallel_calls_merge_alike_live_and_after_a_crash_between_their_commits(crashes: bool) -> None:
    app = App("merge", default_model="openai:gpt-4.1-mini")
    network = Network("N", agents=[Agent("a", tools=[add])], state=lambda: {"sum": 1, "order": []}, router=_once)
    app.network(network, on="go")
    model = ScriptedModel([calls(call("add", n=20), call("add", n=10))])
    async with Stage(app, model=model) as stage:
        [run_id] = stage.send("go", {"input": "Hi"})
        first = None
        if crashes:
            PACE[20] = asyncio.Event().wait
            first = stage.advance(run_id, "a")
            await until(lambda: any(m.path.endswith("tool:2:add") for m in stage.steps(run_id)), what="one commit")
            stage.kill("a")
        run = await stage.finish(run_id, "b")
        if first is not None:
            stage.engine("a").abandon()
            await soon(first)
        assert run.output["state"] == {"sum": 11, "order": [20, 10]}
        assert len(model.requests) == 1


@tool
def hand_over(ctx: Context) -> None:
    """Let b go on."""
    ctx.network.schedule("b")


@tool
async def rest(ctx: Context) -> None:
    """Rest."""
    await ctx.step.sleep("nap", "1h")


async def test_whom_a_tool_scheduled_survives_a_crash() -> None:
    app = App("handover", default_model="openai:gpt-4.1-mini")
    network = Network("N", agents=[Agent("a", tools=[hand_over, rest]), Agent("b")], router=_once)
    app.network(network, on="go")
    model = ScriptedModel({"a": [calls(call("hand_over"), call("rest"))], "b": ["took over"]})
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hi"})
        await h.restart()
        await h.advance("1h")
        assert h.run(run.id).output["text"] == "took over"


async def test_one_network_may_run_twice_at_once_under_two_ids() -> None:
    app = App("twice", default_model="openai:gpt-4.1-mini")
    network = Network("N", agents=[Agent("a")], router=_once, default_model=ScriptedModel(lines := ["x", "x"]))

    @app.function(on="go")
    async def both(ctx: Context) -> list[str]:
        runs = await asyncio.gather(network.run("l", id="left"), network.run("r", id="right"))
        return [run.text for run in runs]

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.output == lines
        assert {memo.path.partition("/")[0] for memo in h.steps(run.id)} == {"left", "right"}


async def test_one_network_may_run_twice_in_a_row_without_ids() -> None:
    app = App("again", default_model="openai:gpt-4.1-mini")
    network = Network("N", agents=[Agent("a")], router=_once, default_model=ScriptedModel(["x", "y"]))

    @app.function(on="go")
    async def twice(ctx: Context) -> list[str]:
        return [(await network.run("1")).text, (await network.run("2")).text]

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.output == ["x", "y"]
        assert {memo.path.partition("/")[0] for memo in h.steps(run.id)} == {"network:n", "network:n:1"}


async def test_an_agent_inside_a_tool_is_part_of_its_call() -> None:
    app = App("inner", default_model="openai:gpt-4.1-mini")
    inner = Agent("inner", model=ScriptedModel(["from inside"]))

    @tool
    async def ask() -> str:
        """Ask another agent."""
        return (await inner.run("?")).text

    app.agent(Agent("outer", tools=[ask], model=ScriptedModel([call("ask"), "ok"])), on="go")
    async with Harness(app) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert run.output["text"] == "ok"
        assert "agent:outer/turn:1/tool:1:ask/agent:inner/turn:1/infer" in [memo.path for memo in h.steps(run.id)]


async def test_one_model_call_is_a_step_of_its_own() -> None:
    app, model = App("calls", default_model="openai:gpt-4.1-mini"), ScriptedModel(["42"])

    @app.function(on="go")
    async def asks(ctx: Context) -> str:
        reply = await ctx.step.ai.infer("think", model, "How much?", system="Be short.")
        await ctx.step.sleep("nap", "1h")
        return reply.text

    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.restart()
        await h.advance("1h")
        assert (h.run(run.id).output, len(model.requests), model.requests[0].system) == ("42", 1, "Be short.")
        assert h.run(run.id).usage.model_calls == 1


async def test_a_tool_that_retries_keeps_its_run_going_and_is_tried_again() -> None:
    app, tries = App("retries", default_model="openai:gpt-4.1-mini"), []

    @tool(retries=1)
    def flaky() -> str:
        """Fail once."""
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("once")
        return "ok"

    app.agent(Agent("a", tools=[flaky], model=ScriptedModel([call("flaky"), "done"])), on="go")
    async with Harness(app) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert (run.status, len(tries)) == ("parked", 1)
        await h.advance("1m")
        assert (h.run(run.id).output["text"], len(tries)) == ("done", 2)


async def test_a_router_is_asked_once_a_turn_also_when_its_turn_parks() -> None:
    app, asked = App("r", default_model="openai:gpt-4.1-mini"), itertools.count()

    @tool
    async def rest(ctx: Context) -> None:
        """Rest."""
        await ctx.step.sleep("nap", "1h")

    def router(ctx: Context) -> str | None:
        return None if ctx.network.call_count else ("a", "b")[next(asked) % 2]

    app.network(Network("N", agents=[Agent("a", tools=[rest]), Agent("b", tools=[rest])], router=router), on="go")
    async with Harness(app, ScriptedModel({"a": [call("rest")], "b": []})) as h:
        [run] = await h.send("go", {"input": "Hi"})
        await h.advance("1h")
        assert [result["agent"] for result in h.run(run.id).output["results"]] == ["a"]
