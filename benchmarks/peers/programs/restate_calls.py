"""Restate: its server keeps the log and calls handlers over HTTP/2; two Hypercorn processes serve them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import uvloop

from benchmarks.peers.programs.processes import Processes, free_port
from benchmarks.peers.programs.restate_server import RestateServer, start_handlers, start_server
from benchmarks.peers.programs.yardstick import measure

WORKERS = 2
HANDLERS = "benchmarks.peers.programs.restate_handlers:app"
CONNECTIONS = 400


class Calls:
    """The server, the handlers, and a caller."""

    def __init__(
        self, loop: asyncio.Runner, session: aiohttp.ClientSession, server: RestateServer, handlers: Processes
    ) -> None:
        """Start and register the handlers."""
        self._loop = loop
        self._session = session
        self._server = server
        self._handlers = handlers
        self._port = free_port()
        self._sent: list[asyncio.Task[bool]] = []
        self.restart()
        loop.run(server.register(session, self._port))

    def steps(self, count: int) -> float:
        """Take the time inside the run."""
        return self._loop.run(self._call(count))

    def burst(self, runs: int, steps: int) -> None:
        """Make one call for each run, all at once."""

        async def at_once() -> None:
            await asyncio.gather(*[self._call(steps) for _ in range(runs)])

        self._loop.run(at_once())

    def submit(self, runs: int) -> None:
        """Send the runs with effects, and ask for the end of each."""

        async def send() -> None:
            for run in range(runs):
                body = f"run-{run}"
                async with self._session.post(f"{self._server.calls}/Bench/effects_of/send", json=body) as response:
                    name = (await response.json())["invocationId"]
                self._sent.append(asyncio.create_task(self._has_ended(name)))

        self._loop.run(send())

    def kill(self) -> None:
        """Kill the handlers; the server lives, as it would on a machine of its own."""
        self._handlers.kill()

    def restart(self) -> None:
        """Start the handlers on the same port."""
        self._loop.run(start_handlers(self._handlers, HANDLERS, self._port, workers=WORKERS))

    def ended(self) -> int:
        """Let the answers arrive, and count them."""
        self._loop.run(asyncio.sleep(0.01))
        return sum(task.done() and task.result() for task in self._sent)

    async def _call(self, steps: int) -> float:
        async with self._session.post(f"{self._server.calls}/Bench/trivial_steps", json=steps) as response:
            if response.status != 200:
                raise RuntimeError(f"A run failed: {await response.text()}")
            seconds: float = await response.json()
            return seconds

    async def _has_ended(self, name: str) -> bool:
        async with self._session.get(f"{self._server.calls}/restate/invocation/{name}/attach") as response:
            return response.status == 200


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a client for many calls at once."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(300)) as session:
        yield session


@contextmanager
def open_calls() -> Iterator[Calls]:
    """Start the server and the handlers."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop, Processes() as servers, Processes() as handlers:
        opening = open_session()
        session = loop.run(opening.__aenter__())
        yield Calls(loop, session, loop.run(start_server(servers, session)), handlers)
        loop.run(opening.__aexit__(None, None, None))


if __name__ == "__main__":
    measure(open_calls, open_calls)
