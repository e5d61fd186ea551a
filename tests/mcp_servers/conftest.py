"""What the tests of MCP servers share: limits that reach the loopback, and no session that outlives its test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from celeriac.platform.fetching.limits import FetchLimits
from celeriac.platform.mcp.endpoint import McpLimits
from celeriac.platform.mcp.sessions import close_sessions
from celeriac.settings import load_settings


@pytest.fixture
def open_limits() -> McpLimits:
    """Limits that allow everything that the tests serve."""
    return McpLimits(allow_stdio=True, fetch=FetchLimits(allowed_networks=("127.0.0.0/8",)))


@pytest.fixture
async def sessions() -> AsyncIterator[None]:
    """Close what a test opened while its servers are still there."""
    yield
    await close_sessions()


@pytest.fixture
def open_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of a plain script whose operator allows everything that the tests serve."""
    monkeypatch.setenv("CELERIAC_FETCH_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("CELERIAC_MCP_STDIO", "true")
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()
