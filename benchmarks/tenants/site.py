"""A site: a fleet with its web processes and its tenants, on the product's Gate or on the control arm's.

The recipes use it; it knows nothing of what they measure.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from typing import Any

from benchmarks.fleet import Fleet, Servers, fleet_on
from benchmarks.servers import wait_for
from benchmarks.tenants import fifo_gate
from celeriac.tenants.keys import KeyKind
from celeriac.tenants.quotas import Limits

APP = "benchmarks.tenants.workload:app"


@dataclass(frozen=True, kw_only=True)
class Member:
    """A tenant with a key of its own."""

    tenant_id: str
    key: str


@dataclass(kw_only=True)
class Site:
    """`with site_on(…)` makes one."""

    fleet: Fleet
    #: where the web processes listen
    urls: list[str] = field(default_factory=list)
    webs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_web(self, count: int = 1, **environment: str) -> None:
        """Start web processes, and wait until they answer."""
        for _ in range(count):
            port = _free_port()
            self.webs.append(self.fleet.start("web", APP, "--port", str(port), **environment))
            self.urls.append(f"http://127.0.0.1:{port}")
            wait_for("the web to answer", partial(_answers, port))

    def start_workers(self, count: int, concurrency: int, *, runs: int = 64, **environment: str) -> None:
        """Start worker processes, and warm them up at some runs of the fleet's own tenant."""
        self.fleet.start_workers(count, concurrency, **environment)
        self.fleet.warm_up("crowd/sleep", {"seconds": 0}, runs=runs)

    def start_workers_again(self, count: int, concurrency: int) -> None:
        """Start worker processes in the place of others, and wait until they have joined."""
        self.fleet.start_workers(count, concurrency)
        pids = [worker.pid for worker in self.fleet.workers[-count:]]
        joined = "SELECT count(*) FROM workers WHERE pid = ANY(?)"
        wait_for("the workers to join", lambda: self.fleet.query(joined, pids)[0][0] >= count)

    def add_tenants(self, count: int, limits: Limits | None = None, *, kind: KeyKind = "event") -> list[Member]:
        """Make tenants, each with a key."""
        rooms = self.fleet.rooms
        made = [rooms.tenants.create(f"Tenant {number}", limits) for number in range(count)]
        return [Member(tenant_id=one.id, key=rooms.keys.create(one.id, kind)[1]) for one in made]

    def now(self) -> int:
        """Return the database's time in microseconds."""
        return int(self.fleet.query("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)")[0][0])

    def unfinished(self, tenant_ids: Sequence[str]) -> int:
        """Return how many runs of these tenants have not ended."""
        statement = "SELECT count(*) FROM runs WHERE tenant_id = ANY(?) AND status IN ('queued', 'running', 'parked')"
        return int(self.fleet.query(statement, list(tenant_ids))[0][0])

    def wait_for_first(self, tenant_ids: Sequence[str]) -> None:
        """Wait until all workers have joined and a run of these tenants has ended."""
        self.fleet.wait_for_workers()
        ended = "SELECT 1 FROM runs WHERE tenant_id = ANY(?) AND ended_at IS NOT NULL LIMIT 1"
        wait_for("the first run to end", lambda: self.fleet.query(ended, list(tenant_ids)))

    def wait_for_end(self, tenant_ids: Sequence[str], *, within: float = 120.0) -> None:
        """Wait until all runs of these tenants have ended; raise `TimeoutError` that describes the rest."""
        try:
            wait_for("the runs to end", lambda: not self.unfinished(tenant_ids), every=0.2, within=within)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; of those that have not: {self._left(tenant_ids)}") from error

    def _left(self, tenant_ids: Sequence[str]) -> list[str]:
        """Describe some runs that have not ended, and what the gate says of them."""
        statement = """
SELECT id, function_id, status, fence, steps, queue, now() - to_timestamp(queued_at / 1e6) FROM runs
WHERE tenant_id = ANY(?) AND status IN ('queued', 'running', 'parked') ORDER BY created_at LIMIT 5"""
        gate = self.fleet.rooms.gate
        rows = self.fleet.query(statement, list(tenant_ids))
        return [f"{row} {'known' if gate.known([row[0]]) else 'unknown'} {gate.explain(row[0])}" for row in rows]

    def stop_web(self) -> None:
        """End the web processes."""
        for web in self.webs:
            web.terminate()
        for web in self.webs:
            try:
                web.wait(15)
            except subprocess.TimeoutExpired:
                web.kill()
                web.wait()
        self.webs.clear()
        self.urls.clear()


@contextmanager
def site_on(servers: Servers, *, is_fifo: bool = False, **environment: str) -> Iterator[Site]:
    """Make a site on an empty Postgres and an empty Redis; `is_fifo` gives it the control arm's Gate."""
    with ExitStack() as stack:
        if is_fifo:
            stack.enter_context(fifo_gate.plugged_in())
        fleet = stack.enter_context(fleet_on("postgres", servers))
        fleet.app = APP
        fleet.environment = {
            **fleet.environment,
            "CELERIAC_SECRET_KEY": "a key of the benchmark, and long enough",
            **environment,
        }
        if is_fifo:
            fleet.program = fifo_gate.PROGRAM
        site = Site(fleet=fleet)
        stack.callback(site.stop_web)
        yield site


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least so many percent are not above; of nothing: infinity."""
    if not values:
        return float("inf")
    ordered = sorted(values)
    rank: Any = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]
