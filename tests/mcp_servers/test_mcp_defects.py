"""What AgentKit gets wrong with tool servers (W18, and of W17 the environment of commands), and how it is here.

The numbers are those of `tests/agents/test_agentkit_defects.py`; the whole of each is tested in the files beside.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest
from mcp.server import Server
from mcp_types import ListToolsResult, Tool
from tool_servers import PROGRAM, ServedTools

from celeriac import Agent, App, McpServer
from celeriac.errors import McpError
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.mcp.endpoint import McpLimits
from celeriac.platform.mcp.sessions import close_sessions, open_sessions
from celeriac.testing import Harness, ScriptedModel, call, calls

pytestmark = pytest.mark.usefixtures("open_script", "sessions")

#: what a conversion through somebody's types would lose
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "where": {"oneOf": [{"type": "string", "pattern": "^[A-Z]"}, {"$ref": "#/$defs/Point"}]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True},
    },
    "$defs": {"Point": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]}},
    "additionalProperties": False,
}


# W18: a server that fails is passed over, and its tools are missing in silence.
async def test_w18_a_server_that_is_down_fails_the_run_by_name(nobody: str) -> None:
    with pytest.raises(McpError, match="MCP server 'gone'"):
        await Agent("a", tools=[McpServer("gone", nobody, retries=0)]).run("Hi", model=ScriptedModel([]))


# W18: an answer that says of itself that it is an error counts as a result.
async def test_w18_an_answer_with_is_error_is_an_error_to_the_model() -> None:
    with ServedTools() as served:
        model = ScriptedModel([call("t-fail"), "done"])
        result = await Agent("a", tools=[McpServer("t", served.url)]).run("Hi", model=model)
    [told] = result.tool_results
    assert told.data is None and told.error is not None and "no luck today" in told.error["message"]


# W18: a schema goes through another library's types and comes out poorer.
async def test_w18_a_schema_reaches_the_model_as_its_server_wrote_it() -> None:
    async def listed(*_: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="go", input_schema=SCHEMA)])

    with ServedTools(app=Server("odd", on_list_tools=listed).streamable_http_app()) as served:
        model = ScriptedModel([call("t-go", tags=["c"]), "done"])
        result = await Agent("a", tools=[McpServer("t", served.url)]).run("Hi", model=model)
    assert model.requests[0].tools[0].schema == SCHEMA
    assert result.tool_results[0].error is not None and result.tool_results[0].error["name"] == "InvalidArguments"


# W18: one session for the whole process, whoever asks, and nobody closes it.
async def test_w18_callers_with_other_credentials_have_other_sessions_and_all_are_closed() -> None:
    with ServedTools() as served:
        server = McpServer("t", served.url, headers=lambda ctx: {"X-Who": ctx.event.data["input"]})
        for who in ("ann", "bo", "ann"):
            await Agent("a", tools=[server]).run(who, model=ScriptedModel([call("t-count"), "done"]))
        assert len(open_sessions()) == 2
        await close_sessions()
        assert open_sessions() == []


# W17: a command sees the whole environment of the process, with every key in it.
async def test_w17_a_command_sees_no_key_of_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "CELERIAC_ENCRYPTION_KEYS", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    server = McpServer("t", command=[sys.executable, str(PROGRAM), "stdio"], env={"GIVEN": "1"})
    model = ScriptedModel([calls(call("t-environment")), "done"])
    result = await Agent("a", tools=[server]).run("Hi", model=model)
    known = set(result.tool_results[0].data.split())
    assert "GIVEN" in known and not [name for name in known if "KEY" in name]


# W17: what a server is reached with stands in the steps of the run.
async def test_w17_no_credential_of_a_server_is_in_what_a_run_leaves_behind(
    open_limits: McpLimits, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the token nor what is in the headers or in the query of the address; a call that failed shows none."""
    caplog.set_level("DEBUG", "celeriac")
    app, model = App("keys"), ScriptedModel([calls(call("t-count"), call("t-fail"), call("t-greet", n=1)), "done"])
    with ServedTools() as served:
        url = f"{served.url}?api_key=canary-query"
        server = McpServer("t", url, headers={"X-Key": "canary-header"}, auth=lambda: "canary-token")
        app.agent(Agent("a", tools=[server], model="openai:gpt-4.1-mini"), on="go")
        async with Harness(app, model, conduct=Conduct(mcp_limits=open_limits)) as h:
            [run] = await h.send("go", {"input": "Hi"})
            left = repr((run, h.steps(run.id), vars(h._rooms.store.all[run.id])))
        assert {"Bearer canary-token"} == {one["authorization"] for one in served.tools.headers}
    assert (run.status, "canary" in left + caplog.text) == ("completed", False)
