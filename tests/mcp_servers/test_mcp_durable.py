"""MCP servers in durable runs: each call is a step, and a replay asks no server anything."""

from __future__ import annotations

import asyncio

import pytest
from mcp.server import Server
from mcp_types import ListToolsResult, Tool
from tool_servers import ServedTools, ServerProcess

from celeriac import Agent, App, Context, McpServer, Network, tool
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.mcp.endpoint import McpLimits
from celeriac.platform.mcp.sessions import close_sessions
from celeriac.testing import Harness, ScriptedModel, call, calls
from celeriac.testing.scripted_model import Reply
from celeriac.types import ModelRequest
from crash_points import Play, play_with_a_death_at_each_point

pytestmark = pytest.mark.usefixtures("sessions")


@tool
async def wait(ctx: Context) -> None:
    """Wait for a person."""
    await ctx.step.sleep("person", "1h")


def app_with(server: McpServer) -> App:
    """Return an app whose one agent has the server's tools, and one that waits."""
    app = App("mcp", default_model="openai:gpt-4.1-mini")
    agent = Agent("a", tools=[server, wait], max_iter=4)
    app.network(Network("N", agents=[agent], router=lambda ctx: None if ctx.network.call_count else agent), on="go")
    return app


async def test_a_replay_calls_nothing_twice(open_limits: McpLimits) -> None:
    model = ScriptedModel([calls(call("t-count"), call("t-greet", name="Ann")), call("wait"), call("t-count"), "done"])
    with ServedTools("ws") as served:
        async with Harness(app_with(McpServer("t", served.url)), model, conduct=Conduct(mcp_limits=open_limits)) as h:
            [run] = await h.send("go", {"input": "Hi"})
            asked = (list(served.tools.calls), served.tools.server.listed)
            await close_sessions()
            await h.restart()
            await h.advance("1h")
            assert h.run(run.id).status == "completed"
        assert (sorted(asked[0]), served.tools.calls[2:]) == (["count", "greet Ann"], ["count"])
        await close_sessions()


async def test_a_death_at_any_commit_calls_nothing_twice(open_limits: McpLimits) -> None:
    def answer(request: ModelRequest) -> Reply | str:
        greeted = [one.tool_result.data for one in request.messages if one.tool_result]
        return " ".join(greeted) if len(greeted) == 2 else call("t-greet", name=f"no. {len(greeted)}")

    with ServedTools("ws") as served:

        def declare(app: App, _: list[object]) -> None:
            agent = Agent("a", tools=[McpServer("t", served.url)], model=ScriptedModel([answer] * 4))
            app.agent(agent, on="go", id="caller")

        async def drive(play: Play) -> object:
            served.tools.calls.clear()
            await play.send("go", {"input": "Hi"})
            return play.run_of("caller").output["text"], list(served.tools.calls)

        outcomes = await play_with_a_death_at_each_point(declare, drive, conduct=Conduct(mcp_limits=open_limits))
    assert len(outcomes) > 8
    assert outcomes == [("Hello no. 0 Hello no. 1", ["greet no. 0", "greet no. 1"])] * len(outcomes)


async def test_listings_and_calls_are_steps_and_an_equal_listing_is_remembered_once(open_limits: McpLimits) -> None:
    model = ScriptedModel([call("t-count"), "done"])
    with ServedTools() as served:
        async with Harness(app_with(McpServer("t", served.url)), model, conduct=Conduct(mcp_limits=open_limits)) as h:
            [run] = await h.send("go", {"input": "Hi"})
            steps = {memo.path.removeprefix("network:n/turn:1/"): memo for memo in h.steps(run.id)}
        await close_sessions()
    assert list(steps)[1:6] == ["mcp:t", "infer", "tool:1:t-count", "mcp:t:1", "infer:1"]
    assert "Say hello" in str(steps["mcp:t"]) and "Say hello" not in str(steps["mcp:t:1"])


async def test_a_replay_asks_no_server_for_what_was_listed(open_limits: McpLimits) -> None:
    """The server may be gone by then."""
    model = ScriptedModel([call("wait"), "done"])
    with ServedTools("ws") as served:
        server = McpServer("t", served.url, required=False)
        async with Harness(app_with(server), model, conduct=Conduct(mcp_limits=open_limits)) as h:
            [run] = await h.send("go", {"input": "Hi"})
            await close_sessions()
            listed = served.tools.server.listed
            await h.restart()
            await h.advance("1h")
            assert h.run(run.id).status == "completed"
            assert served.tools.server.listed == listed + 1
        await close_sessions()


async def test_a_required_server_that_is_down_fails_the_run_in_the_end_and_is_named(
    open_limits: McpLimits, nobody: str
) -> None:
    server = McpServer("neon", nobody, retries=1)
    async with Harness(app_with(server), ScriptedModel([]), conduct=Conduct(mcp_limits=open_limits)) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert h.attempts(run.id) == ["network:n/turn:1/mcp:neon"]
        await h.advance("10m")
        ended = h.run(run.id)
        assert ended.status == "failed"
        assert "MCP server 'neon' cannot be reached" in str(ended.error)


async def test_a_server_that_comes_back_is_found_by_the_next_attempt(open_limits: McpLimits) -> None:
    with ServedTools("ws") as gone:
        server = McpServer("t", gone.url)
    async with Harness(app_with(server), ScriptedModel(["done"]), conduct=Conduct(mcp_limits=open_limits)) as h:
        [run] = await h.send("go", {"input": "Hi"})
        with ServedTools("ws", port=gone.port):
            await h.advance("10m")
            assert h.run(run.id).status == "completed"
            await close_sessions()


async def test_of_a_server_that_may_be_missing_the_model_is_told(open_limits: McpLimits, nobody: str) -> None:
    server = McpServer("neon", nobody, required=False)
    model = ScriptedModel(["done"])
    async with Harness(app_with(server), model, conduct=Conduct(mcp_limits=open_limits)) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert h.run(run.id).status == "completed"
    assert "The tools of 'neon' cannot be used at the moment: MCP server 'neon'" in model.requests[0].system
    assert [one.name for one in model.requests[0].tools] == ["wait"]


async def test_a_server_that_is_lost_before_a_call_gives_the_model_an_error(open_limits: McpLimits) -> None:
    with ServedTools("ws") as served:

        def stop(_: ModelRequest) -> Reply:
            served.stop()
            return call("t-greet", name="Ann")

        model = ScriptedModel([stop, "done"])
        server = McpServer("t", served.url, retries=0, required=False)
        async with Harness(app_with(server), model, conduct=Conduct(mcp_limits=open_limits)) as h:
            [run] = await h.send("go", {"input": "Hi"})
            assert h.run(run.id).status == "completed"
    told = model.requests[1].messages[-1].tool_result
    assert told is not None and told.error is not None
    assert told.error["message"].startswith("MCP server 't' ")


async def test_a_server_killed_in_a_call_is_told_to_the_model_and_found_again(open_limits: McpLimits) -> None:
    """What may have been carried out is not done again by itself; the next list waits for the server."""
    server, model = ServerProcess().start(), ScriptedModel([call("t-hang"), call("t-count"), "done"])
    app = app_with(McpServer("t", server.url))
    async with Harness(app, model, conduct=Conduct(mcp_limits=open_limits)) as h:
        sent = asyncio.create_task(h.send("go", {"input": "Hi"}))
        await asyncio.to_thread(server.hear, "hanging")
        server.kill()
        [run] = await sent
        assert (h.run(run.id).status, h.attempts(run.id)) == ("parked", ["network:n/turn:1/mcp:t:1"])
        server.start()
        await h.advance("10m")
        assert h.run(run.id).status == "completed"
        await close_sessions()
    server.kill()
    told = [one.tool_result for one in model.requests[2].messages if one.tool_result]
    assert "may have been carried out all the same" in str(told[0].error)
    assert told[1].data == "1"


async def test_a_schema_that_is_too_large_fails_the_run_at_once_and_names_its_tool(open_limits: McpLimits) -> None:
    async def offer(*_: object) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="huge", input_schema={"type": "object", "title": "x" * 70_000})])

    with ServedTools(app=Server("s", on_list_tools=offer).streamable_http_app()) as served:
        server = McpServer("t", served.url)
        async with Harness(app_with(server), ScriptedModel([]), conduct=Conduct(mcp_limits=open_limits)) as h:
            [run] = await h.send("go", {"input": "Hi"})
            assert h.run(run.id).status == "failed"
            assert "leave it out with exclude=['huge']" in str(h.run(run.id).error)


async def test_a_command_is_refused_in_a_run_at_once() -> None:
    server = McpServer("t", command=["true"])
    async with Harness(app_with(server), ScriptedModel([])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert h.run(run.id).status == "failed"
        assert "CELERIAC_MCP_STDIO=true" in str(h.run(run.id).error)


@pytest.mark.parametrize("approval", [True, ["gr*"]])
async def test_a_call_that_needs_a_person_reaches_the_server_once_and_when_approved(
    approval: bool | list[str], open_limits: McpLimits
) -> None:
    model = ScriptedModel([call("t-greet", name="Ann"), call("t-greet", name="Bob"), "done"])
    with ServedTools("ws") as served:
        app = app_with(McpServer("t", served.url, approval=approval))
        async with Harness(app, model, conduct=Conduct(mcp_limits=open_limits)) as h:
            [run] = await h.send("go", {"input": "Hi"})
            assert served.tools.calls == []
            assert await h.approve(run.id, "call_1", approved=False, reason="Not Ann")
            await h.restart()
            assert served.tools.calls == []
            assert await h.approve(run.id, "call_2")
            told = [m["tool_result"] for m in h.run(run.id).output["results"][0]["messages"] if "tool_result" in m]
        await close_sessions()
    assert told[0]["error"] == {"name": "Denied", "message": "Not Ann"}
    assert (told[1]["data"], served.tools.calls) == ("Hello Bob", ["greet Bob"])


async def test_a_call_that_is_not_named_needs_nobody(open_limits: McpLimits) -> None:
    model = ScriptedModel([call("t-count"), "done"])
    with ServedTools("ws") as served:
        app = app_with(McpServer("t", served.url, approval=["greet"]))
        async with Harness(app, model, conduct=Conduct(mcp_limits=open_limits)) as h:
            [run] = await h.send("go", {"input": "Hi"})
            assert (h.run(run.id).status, served.tools.calls) == ("completed", ["count"])
        await close_sessions()
