"""The ledger: what SQL says about the tickets. The demo asks it what is going on, and counts from it at the end.

It reads the platform's tables by itself, as an auditor would, and never writes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, text

from celeriac.database import connect, reading
from examples.bank_support.repeats import Commits

FINAL = ("completed", "failed", "cancelled", "skipped")

_TICKETS = """
SELECT run.event_id, run.id AS run_id, run.status, run.output, recall.value AS recalled, memory.status AS memory
FROM runs AS run
LEFT JOIN steps AS recall ON recall.run_id = run.id AND recall.path = 'recall'
LEFT JOIN events AS asked ON asked.run_id = run.id AND asked.name = 'bank-support/memory-create'
LEFT JOIN runs AS memory ON memory.event_id = asked.id
WHERE run.tenant_id IN :tenants AND run.function_id = 'solve-ticket'
"""

_USAGE = """
SELECT coalesce(sum(model_calls), 0) AS model_calls, coalesce(sum(tool_calls), 0) AS tool_calls
FROM runs WHERE tenant_id IN :tenants
"""

_MEMORIES = "SELECT count(*) FROM memories WHERE tenant_id IN :tenants"

_COMMITS = "SELECT run_id, path, committed_at FROM steps WHERE tenant_id IN :tenants"

_RUNNING = """
SELECT run.id FROM runs AS run JOIN workers AS worker ON worker.id = run.worker_id
WHERE run.tenant_id IN :tenants AND run.status = 'running' AND worker.pid = :pid
"""


@dataclass(frozen=True, kw_only=True)
class TicketRun:
    """How far a ticket is."""

    event_id: str
    run_id: str
    status: str
    #: what the function returned
    output: dict[str, Any] | None
    #: how many memories its recall step returned
    recalled: int
    #: the status of the run that writes its memory
    memory: str | None

    @property
    def is_closed(self) -> bool:
        """Whether nothing of it is left to do: it is answered and remembered, or it failed."""
        return self.status in FINAL and (self.status != "completed" or self.memory in FINAL)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Model and tool calls that were committed."""

    model_calls: int
    tool_calls: int


class Ledger:
    """Reads the database of an installation, for some tenants."""

    def __init__(self, database_url: str, tenants: Sequence[str]) -> None:
        """Connect at the first question."""
        self._engine = connect(database_url)
        self._tenants = list(tenants)

    def tickets(self) -> list[TicketRun]:
        """All tickets that have a run."""
        return [
            TicketRun(
                event_id=row.event_id,
                run_id=row.run_id,
                status=row.status,
                output=json.loads(row.output or "null"),
                recalled=len(json.loads(row.recalled or "[]")),
                memory=row.memory,
            )
            for row in self._ask(_TICKETS)
        ]

    def usage(self) -> Usage:
        """What all runs have used so far."""
        [row] = self._ask(_USAGE)
        return Usage(model_calls=row.model_calls, tool_calls=row.tool_calls)

    def memories(self) -> int:
        """How many memories there are."""
        [row] = self._ask(_MEMORIES)
        return int(row[0])

    def commits(self) -> Commits:
        """When each step was committed, in seconds since 1970."""
        return {(row.run_id, row.path): row.committed_at / 1e6 for row in self._ask(_COMMITS)}

    def running_on(self, pid: int) -> list[str]:
        """The runs that the worker process holds now."""
        return [row.id for row in self._ask(_RUNNING, pid=pid)]

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _ask(self, question: str, **values: Any) -> Sequence[Any]:
        statement = text(question).bindparams(bindparam("tenants", expanding=True))
        with reading(self._engine) as connection:
            return connection.execute(statement, {"tenants": self._tenants, **values}).all()
