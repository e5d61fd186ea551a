"""MCP servers on a real worker: runs share its session, and it says goodbye when it leaves."""

from __future__ import annotations

from pathlib import Path

from fleet.worker_fleet import Fleet
from mcp_servers.tool_servers import ServedTools


def test_a_worker_has_one_session_with_a_server_and_closes_it_when_it_leaves(tmp_path: Path) -> None:
    """An old server gives each session an id, and is told by DELETE that it is over."""
    settings = {"app": "fleet.mcp_app:app", "CELERIAC_FETCH_ALLOW": "127.0.0.0/8"}
    with ServedTools(is_old=True) as served, Fleet(tmp_path, **settings) as fleet:  # type: ignore[arg-type]
        tenant = fleet.tenant()
        worker = fleet.start()
        events = fleet.send_all(tenant, "callers/called", [{"url": served.url}] * 4)
        assert [fleet.ended(tenant, event).output for event in events] == ["Hello Ann"] * 4
        sessions = {one["mcp-session-id"] for one in served.tools.headers if "mcp-session-id" in one}
        assert (len(sessions), served.methods.count("DELETE")) == (1, 0)
        assert worker.stop() == 0, worker.log
        assert served.methods.count("DELETE") == 1
        assert served.tools.calls == ["greet Ann"] * 4
