"""The guard: a server's address is checked and pinned like that of a fetch, by whatever transport."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from celeriac.errors import McpError
from celeriac.platform.mcp.endpoint import Endpoint, McpLimits
from celeriac.platform.mcp.sessions import ask, open_sessions
from sites import Site

pytestmark = pytest.mark.usefixtures("sessions")

SECRET = (("Authorization", "Bearer secret"),)


async def asked(url: str, transport: Any, limits: McpLimits) -> McpError:
    """Ask for the list; return the error, which has to come."""
    end = Endpoint(name="t", transport=transport, url=url, headers=SECRET, timeout=5)
    with pytest.raises(McpError) as refused:
        await ask(end, limits, lambda connection: connection.tools(), is_repeatable=True)
    return refused.value


@pytest.mark.parametrize("transport", ["streamable-http", "sse", "ws"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "169.254.169.254"])
async def test_an_address_that_is_not_public_is_refused(transport: str, host: str) -> None:
    async with Site() as site:
        error = await asked(f"http://{host}:{site.port}/mcp", transport, McpLimits())
        assert "has an address that is not public" in error.message
        assert not error.is_retriable
        assert (site.asked, open_sessions()) == ([], [])


@pytest.mark.parametrize("transport", ["streamable-http", "sse", "ws"])
async def test_a_redirect_to_another_server_is_not_followed(transport: str, open_limits: McpLimits) -> None:
    """Its credentials would go along."""
    async with Site() as other:

        async def onward(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": other.url("/mcp")})

        async with Site(onward) as site:
            error = await asked(site.url("/mcp"), transport, open_limits)
            assert not error.is_retriable
            assert site.asked
        assert other.asked == []


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_refusal_names_its_status_and_no_secret(status: int, open_limits: McpLimits, caplog: Any) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, text="secret")

    async with Site(refuse) as site:
        error = await asked(site.url("/mcp?api_key=hidden"), "streamable-http", open_limits)
        assert site.asked[0].path == "/mcp?api_key=hidden"
        assert site.asked[0].headers["authorization"] == "Bearer secret"
    assert f"HTTP {status}" in error.message
    assert error.is_retriable == (status >= 500)
    assert not any(word in error.message + caplog.text for word in ("secret", "hidden"))


async def test_an_answer_without_end_is_refused(open_limits: McpLimits) -> None:
    async def flood(_: web.Request) -> web.Response:
        return web.json_response({"x": "x" * (open_limits.fetch.max_bytes + 1)})

    async with Site(flood) as site:
        error = await asked(site.url("/mcp"), "streamable-http", open_limits)
    assert error.message.startswith("MCP server 't'")


async def test_an_answer_that_is_no_protocol_is_told(open_limits: McpLimits) -> None:
    async with Site() as site:
        error = await asked(site.url("/mcp"), "streamable-http", open_limits)
    assert "MCP server 't' answers with an error: Unexpected content type" in error.message
