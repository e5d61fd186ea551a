"""Restate's server, and one Hypercorn process with durable agents of the OpenAI Agents SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.peers.programs.agents import Run, measure_agents
from benchmarks.peers.programs.processes import Processes, free_port
from benchmarks.peers.programs.restate_calls import open_session
from benchmarks.peers.programs.restate_server import start_handlers, start_server

HANDLERS = "benchmarks.peers.programs.restate_agent_handlers:app"


@asynccontextmanager
async def open_network() -> AsyncIterator[Run]:
    """Start all, and yield a call."""
    with Processes() as processes:
        async with open_session() as session:
            server, port = await start_server(processes, session), free_port()
            await start_handlers(processes, HANDLERS, port, workers=1)
            await server.register(session, port)

            async def run(question: str) -> str:
                async with session.post(f"{server.calls}/Network/run", json=question) as response:
                    if response.status != 200:
                        raise RuntimeError(f"A run failed: {await response.text()}")
                    answer: str = await response.json()
                    return answer

            yield run


if __name__ == "__main__":
    measure_agents(open_network)
