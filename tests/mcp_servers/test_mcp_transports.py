"""All four transports, each against a real server, from a plain script."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from tool_servers import PROGRAM, ServedTools

from celeriac import Agent, McpServer, tool
from celeriac.errors import ConfigError, McpError
from celeriac.platform.mcp.sessions import close_sessions, open_sessions
from celeriac.settings import load_settings
from celeriac.testing import ScriptedModel, call, calls
from sites import Port

pytestmark = pytest.mark.usefixtures("open_script")


@contextmanager
def served(transport: Any) -> Iterator[McpServer]:
    """Serve the tools by a transport, and declare them as a user would."""
    if transport == "stdio":
        yield McpServer("t", command=[sys.executable, str(PROGRAM), "stdio"])
        return
    with ServedTools(transport) as server:
        yield McpServer("t", server.url, transport="sse" if transport == "sse" else None)


@pytest.mark.parametrize("transport", ["streamable-http", "sse", "ws", "stdio"])
async def test_an_agent_calls_the_tools_of_a_server(transport: str) -> None:
    """A result, an error of the tool, arguments that do not fit, and a tool that came while the turn went on."""
    first = calls(call("t-greet", name="Ann"), call("t-fail"), call("t-greet", nam="x"), call("t-nothing"))
    model = ScriptedModel([first, call("t-grow"), call("t-grown"), "done"])
    with served(transport) as server:
        result = await Agent("a", tools=[server]).run("Hi", model=model)
        await close_sessions()
    told = [message.tool_result.content() for message in result.messages if message.tool_result]
    assert told[0] == {"data": "Hello Ann"}
    assert [one["error"]["name"] for one in told[1:4]] == ["ToolError", "InvalidArguments", "UnknownTool"]
    assert "no luck today" in told[1]["error"]["message"]
    assert told[4:] == [{"data": "grown"}, {"data": "new"}]


async def test_the_model_is_given_the_schema_as_the_server_gives_it() -> None:
    model = ScriptedModel(["done"])
    with served("streamable-http") as server:
        await Agent("a", tools=[server]).run("Hi", model=model)
        await close_sessions()
    greet = model.requests[0].tools[0]
    assert (greet.name, greet.description) == ("t-greet", "Say hello.")
    assert greet.schema == {
        "type": "object",
        "properties": {"name": {"title": "Name", "type": "string"}},
        "required": ["name"],
        "title": "greetArguments",
    }


async def test_headers_and_a_token_are_made_of_the_context() -> None:
    with ServedTools() as served:
        server = McpServer(
            "t",
            served.url,
            headers=lambda ctx: {"X-Tenant": ctx.run.tenant_id},
            auth=lambda ctx: ctx.event.data["input"],
        )
        await Agent("a", tools=[server]).run("token", model=ScriptedModel(["done"]))
        await close_sessions()
        sent = {(one.get("x-tenant"), one.get("authorization")) for one in served.tools.headers}
    assert sent == {("local", "Bearer token")}


async def test_a_command_is_refused_where_the_operator_allows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERIAC_MCP_STDIO")
    load_settings.cache_clear()
    with served("stdio") as server, pytest.raises(ConfigError, match=r"'t' is a command.*CELERIAC_MCP_STDIO=true"):
        await Agent("a", tools=[server]).run("Hi", model=ScriptedModel([]))
    assert open_sessions() == []


async def test_a_command_sees_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has what is given to it in `env=`, and a few variables that hold no secrets."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    server = McpServer("t", command=[sys.executable, str(PROGRAM), "stdio"], env={"GIVEN": "1"})
    model = ScriptedModel([call("t-environment"), "done"])
    result = await Agent("a", tools=[server]).run("Hi", model=model)
    await close_sessions()
    assert result.messages[1].tool_result is not None
    known = result.messages[1].tool_result.data.split()
    assert "GIVEN" in known and "OPENAI_API_KEY" not in known


async def test_a_script_asks_a_server_that_does_not_answer_three_times() -> None:
    """Then it raises an error that names the server."""
    async with Port(closes=True) as port:
        with pytest.raises(McpError, match="MCP server 't' cannot be reached") as failed:
            await Agent("a", tools=[McpServer("t", port.url)]).run("Hi", model=ScriptedModel([]))
    assert (failed.value.is_retriable, port.connections) == (True, 3)


async def test_an_agent_without_the_server_of_its_chosen_tool_chooses_by_itself(nobody: str) -> None:
    server = McpServer("t", nobody, required=False)
    model = ScriptedModel(["done"])
    await Agent("a", tools=[server], tool_choice="t-greet").run("Hi", model=model)
    assert (model.requests[0].tool_choice, model.requests[0].tools) == ("auto", ())


async def test_requests_are_signed_by_an_auth_of_the_sdks_kind() -> None:
    with ServedTools() as served:
        server = McpServer("t", served.url, auth=httpx2.BasicAuth("ann", "pass"))
        await Agent("a", tools=[server]).run("Hi", model=ScriptedModel(["done"]))
        await close_sessions()
        assert {one["authorization"] for one in served.tools.headers} == {"Basic YW5uOnBhc3M="}


@pytest.mark.parametrize("choice", ["t-greet", "t-gret"])
async def test_a_chosen_tool_must_be_on_offer(choice: str) -> None:
    model = ScriptedModel(["done"])
    with served("ws") as server:
        agent = Agent("a", tools=[server], tool_choice=choice)
        if choice == "t-greet":
            await agent.run("Hi", model=model)
        else:
            with pytest.raises(ConfigError, match="'t-gret' is none of the tools"):
                await agent.run("Hi", model=model)
        await close_sessions()


async def test_two_tools_of_one_name_are_refused() -> None:
    @tool(name="t-greet")
    def own() -> None:
        """Be in the way."""

    with served("ws") as server, pytest.raises(ConfigError, match="two tools named 't-greet'"):
        try:
            await Agent("a", tools=[server, own]).run("Hi", model=ScriptedModel([]))
        finally:
            await close_sessions()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a/b", "url": "https://x.test"}, "letters, digits"),
        ({"name": "t"}, "either a URL or command"),
        ({"name": "t", "url": "https://x.test", "command": ["x"]}, "either a URL or command"),
        ({"name": "t", "url": "ftp://x.test"}, "begins with https"),
        ({"name": "t", "url": "https://x.test", "transport": "wss"}, "did you mean 'ws'"),
        ({"name": "t", "command": ["x"], "auth": "y"}, "env="),
        ({"name": "t", "url": "https://x.test", "include": "list_*"}, "are lists"),
        ({"name": "t", "url": "https://x.test", "approval": "list_*"}, "approval= are lists"),
        ({"name": "t", "url": "https://x.test", "aproval": True}, "did you mean 'approval'"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        McpServer(**options)
