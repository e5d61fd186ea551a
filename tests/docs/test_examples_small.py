"""The small examples do what they promise, with a scripted model and through a real SDK."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from celeriac import Event, anthropic
from celeriac.cli.sample import sample_event
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.mcp.endpoint import McpLimits
from celeriac.platform.mcp.sessions import close_sessions
from celeriac.testing import Harness, ScriptedModel, call
from celeriac.testing.model_server import ModelServer, WireCall, WireReply, WireRequest
from examples import durable_function, mcp_tools, quick_start

ANSWERS = {"Database administrator": [call("provide_answer", answer="use pg_stat_statements")]}
BOTH = ANSWERS | {"Database Security Expert": [call("provide_answer", answer="only for pg_monitor")]}
STDIO = McpLimits(allow_stdio=True)
ORDER = {"order_id": "o1", "item": "lamp"}


def answering(request: WireRequest) -> WireReply:
    """Answer through the tool with the words of the system prompt."""
    return WireReply(tool_calls=[WireCall(name="provide_answer", arguments={"answer": request.system[:23]})])


async def test_both_experts_answer_in_a_plain_script() -> None:
    run = await quick_start.devops.run("How do I find slow queries?", model=ScriptedModel(BOTH))
    assert run.state.data == quick_start.Answers(dba="use pg_stat_statements", security="only for pg_monitor")
    assert (run.stop_reason, run.call_count) == ("router", 2)


async def test_the_experts_answer_through_the_real_sdk() -> None:
    with ModelServer(answering) as server:
        model = anthropic("claude-haiku-4-5", base_url=server.anthropic_base_url, api_key="offline", max_tokens=100)
        run = await quick_start.devops.run("How do I find slow queries?", model=model)
    assert run.state.data.dba == "You are a PostgreSQL ex"
    assert run.state.data.security == "You are a PostgreSQL se"


async def test_the_network_is_a_durable_run_of_its_app() -> None:
    model = ScriptedModel(BOTH)
    async with Harness(quick_start.app, model=model) as h:
        [run] = await h.send("agent-kit/network-devops-team", {"input": "How do I find slow queries?"})
    assert run.output["state"] == {"dba": "use pg_stat_statements", "security": "only for pg_monitor"}
    model.assert_done()


async def test_a_paid_order_is_shipped_and_reviewed_a_week_later() -> None:
    async with Harness(durable_function.app) as h:
        [run] = await h.send("shop/order.placed", ORDER)
        await h.advance("1d")
        await h.restart()
        await h.send("shop/order.paid", {"order_id": "o1"})
        assert h.run(run.id).status == "parked"
        await h.advance("7d")
    assert h.run(run.id).output == {"order": "o1", "outcome": "shipped", "parcel": "parcel-o1-4"}


async def test_an_order_that_is_never_paid_is_given_back() -> None:
    async with Harness(durable_function.app) as h:
        [run] = await h.send(Event("shop/order.placed", ORDER))
        await h.send("shop/order.paid", {"order_id": "another"})
        await h.advance("2d")
    assert h.run(run.id).output == {"order": "o1", "outcome": "never paid"}
    assert "give-back" in [memo.path for memo in h.steps(run.id)]


@pytest.mark.parametrize("item", ["unicorn"])
async def test_what_the_shop_never_had_fails_at_once(item: str) -> None:
    async with Harness(durable_function.app) as h:
        [run] = await h.send("shop/order.placed", {"order_id": "o2", "item": item})
    assert run.status == "failed"
    assert run.error is not None and "There is no 'unicorn'" in run.error["message"]


async def test_the_assistant_looks_into_the_stock_of_a_server() -> None:
    """What it may use is what was included."""
    model, allowed = ScriptedModel([call("stock-count", item="lamp"), "4"]), Conduct(mcp_limits=STDIO)
    async with Harness(mcp_tools.app, model=model, conduct=allowed) as h:
        await h.send("lamps/asked", {"input": "Do you have a lamp?"})
        await close_sessions()
    assert [one.name for one in model.requests[0].tools] == ["stock-count", "stock-order"]
    assert model.requests[1].messages[-1].tool_result.content() == {"data": "4 of lamp"}


async def test_the_assistant_has_a_model_of_its_own_as_an_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command of the README: the SDK is told where the script is served."""
    event, allowed = sample_event(mcp_tools.app), Conduct(mcp_limits=STDIO)
    assert event is not None
    with ModelServer(mcp_tools.SCRIPT) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "offline")
        async with Harness(mcp_tools.app, conduct=allowed) as h:
            [run] = await h.send(event["name"], event["data"])
            assert h.run(run.id).output["text"] == "We have 4 lamps; yours can leave today."
            await close_sessions()


def test_the_assistant_works_as_a_script() -> None:
    command = [sys.executable, "-m", "examples.mcp_tools"]
    env = {**os.environ, "CELERIAC_MCP_STDIO": "true"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "stock-count: {'data': '4 of lamp'}",
        "We have 4 lamps; yours can leave today.",
    ]
    assert done.stderr == ""
