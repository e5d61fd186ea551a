"""Restate's server: a child of the program on free ports and an empty log, so that its CPU time counts."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.peers.programs.processes import Processes, folder, free_port, listens

PATIENCE_SECONDS = 60.0
_BINARY = "@restatedev/restate-server-linux-x64/bin/restate-server"
_MOST = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class RestateServer:
    """Where the server takes calls, and where it takes commands."""

    calls: str
    commands: str

    async def register(self, session: aiohttp.ClientSession, port: int) -> None:
        """Tell the server of the handlers on that port."""
        body = {"uri": f"http://127.0.0.1:{port}", "force": True}
        async with session.post(f"{self.commands}/deployments", json=body) as response:
            if response.status >= 300:
                raise RuntimeError(f"Restate refused the handlers: {await response.text()}")


async def start_server(processes: Processes, session: aiohttp.ClientSession) -> RestateServer:
    """Start it, and wait until it is healthy and takes calls."""
    calls, commands, node = free_port(), free_port(), free_port()
    binary = Path(os.environ["BENCH_NODE_MODULES"]) / _BINARY
    flags = ["--no-logo", "--node-name", "bench", "--base-dir", str(folder() / "restate"), "--listen-mode", "tcp"]
    processes.start(
        [str(binary), *flags, "--bind-ip", "127.0.0.1", "--bind-port", str(node)],
        {
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{calls}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{commands}",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RUST_LOG": "warn",
        },
    )
    server = RestateServer(calls=f"http://127.0.0.1:{calls}", commands=f"http://127.0.0.1:{commands}")
    for url in (f"{server.commands}/health", f"{server.calls}/restate/health"):
        await _until_healthy(processes, session, url)
    return server


async def start_handlers(processes: Processes, app: str, port: int, *, workers: int) -> None:
    """Serve the handlers by Hypercorn over HTTP/2, without its limits, and wait until the port is open."""
    config = folder() / "hypercorn.toml"
    config.write_text(
        f'bind = "127.0.0.1:{port}"\nworkers = {workers}\nworker_class = "uvloop"\n'
        f"h2_max_concurrent_streams = {_MOST}\nkeep_alive_max_requests = {_MOST}\nkeep_alive_timeout = {_MOST}\n"
    )
    processes.start_python("-m", "hypercorn", "--config", str(config), app)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not listens(port):
            processes.refuse_dead()
            await asyncio.sleep(0.02)


async def _until_healthy(processes: Processes, session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await _is_healthy(session, url):
            processes.refuse_dead()
            await asyncio.sleep(0.05)


async def _is_healthy(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
