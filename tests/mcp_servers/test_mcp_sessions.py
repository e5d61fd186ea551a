"""Sessions: one for each set of credentials, closed when the worker leaves, opened anew after the server died."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tool_servers import ServedTools, ServerProcess

from celeriac.errors import McpError
from celeriac.platform.agents.mcp_server import close_servers
from celeriac.platform.mcp.endpoint import Endpoint, McpLimits
from celeriac.platform.mcp.sessions import MOST_SESSIONS, ask, close_sessions, open_sessions, superfluous
from waiting import until

pytestmark = pytest.mark.usefixtures("sessions")


def at(url: str, **more: Any) -> Endpoint:
    transport: Any = "ws" if url.startswith("ws") else "streamable-http"
    return Endpoint(name="t", transport=transport, url=url.replace("ws:", "http:"), **more)


async def called(endpoint: Endpoint, limits: McpLimits, tool: str, *, is_repeatable: bool = False, **given: Any) -> Any:
    """Call a tool and return its text."""
    made = await ask(endpoint, limits, lambda connection: connection.call(tool, given), is_repeatable=is_repeatable)
    return made.content[0].text


async def test_equal_credentials_share_a_session_and_others_do_not(open_limits: McpLimits) -> None:
    with ServedTools("ws") as served:
        one, other = at(served.url, headers=(("X", "1"),)), at(served.url, headers=(("X", "2"),))
        await asyncio.gather(*(called(end, open_limits, "count") for end in (one, one, replace(one), other)))
        assert len(open_sessions()) == 2
        assert sorted(headers["x"] for headers in served.tools.headers) == ["1", "2"]
        await close_sessions()


@pytest.mark.parametrize("transport", ["streamable-http", "ws"])
async def test_a_worker_that_leaves_closes_its_sessions(open_limits: McpLimits, transport: str) -> None:
    """An old server is told by DELETE that the session is over; a WebSocket is closed."""
    with ServedTools(transport, is_old=True) as served:
        await called(at(served.url), open_limits, "count")
        assert len(open_sessions()) == 1
        await close_servers()
        assert open_sessions() == []
        assert transport == "ws" or served.methods[-1] == "DELETE"


async def test_a_server_killed_in_a_call_fails_the_call_and_then_cannot_be_reached(open_limits: McpLimits) -> None:
    server = ServerProcess().start()
    hanging = asyncio.create_task(called(at(server.url), open_limits, "hang"))
    await asyncio.to_thread(server.hear, "hanging")
    server.kill()
    with pytest.raises(McpError, match="MCP server 't'") as lost:
        await asyncio.wait_for(hanging, 10)
    assert (lost.value.is_retriable, lost.value.was_sent) == (True, True)
    with pytest.raises(McpError, match="'t' cannot be reached") as down:
        await called(at(server.url), open_limits, "count")
    assert (down.value.is_retriable, down.value.was_sent) == (True, False)


async def test_a_session_that_ended_while_nobody_asked_is_opened_anew(open_limits: McpLimits) -> None:
    with ServedTools("ws") as served:
        assert await called(at(served.url), open_limits, "count") == "1"
        port = served.port
    await until(lambda: open_sessions() == [], what="the loss to be noticed")
    with ServedTools("ws", port=port):
        assert await called(at(f"ws://127.0.0.1:{port}/mcp"), open_limits, "greet", name="Bo") == "Hello Bo"
        await close_sessions()


async def test_a_session_that_its_server_forgot_is_opened_anew(open_limits: McpLimits) -> None:
    """An old server that was started again answers 404 to the session of before; nothing was carried out."""
    with ServedTools(is_old=True) as served:
        assert await called(at(served.url), open_limits, "count") == "1"
        port = served.port
    with ServedTools(is_old=True, port=port) as again:
        assert await called(at(again.url), open_limits, "greet", name="Bo") == "Hello Bo"
        assert again.tools.calls == ["greet Bo"]
        await close_sessions()


async def test_a_list_is_kept_until_the_server_says_that_it_changed(open_limits: McpLimits) -> None:
    with ServedTools("ws", is_old=True) as served:
        end = at(served.url)

        async def listed() -> int:
            return len(await ask(end, open_limits, lambda connection: connection.tools(), is_repeatable=True))

        before = await listed()
        assert (await listed(), served.tools.server.listed) == (before, 1)
        await called(end, open_limits, "grow")

        async def is_longer() -> bool:
            return await listed() == before + 1

        await until(is_longer, what="the change to be heard of")
        assert served.tools.server.listed == 2
        await close_sessions()


async def test_a_slow_answer_is_given_up_and_the_session_kept_for_the_others(open_limits: McpLimits) -> None:
    with ServedTools("ws") as served:
        end = at(served.url, timeout=0.4)
        slow = asyncio.create_task(called(end, open_limits, "hang"))
        await until(lambda: served.tools.calls == ["hang"], what="the call to hang")
        other = asyncio.create_task(called(replace(end), open_limits, "hang"))
        with pytest.raises(McpError, match=r"did not answer within 0\.4 s"):
            await slow
        assert len(open_sessions()) == 1
        await asyncio.wait({other})
        assert isinstance(other.exception(), McpError)
        await close_sessions()


def test_sessions_that_nobody_uses_are_closed_when_they_are_too_many_or_too_old() -> None:
    """Those that are in use stay, however many they are."""
    assert superfluous({"old": 0.0, "used": None, "young": 500.0}, now=700.0) == ["old"]
    many = {f"s{n}": float(n) for n in range(MOST_SESSIONS + 2)}
    assert superfluous(many, now=300.0) == ["s0", "s1"]
    assert superfluous(dict.fromkeys(many, None), now=300.0) == []
