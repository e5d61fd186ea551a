"""Collecting: reads what a play has left in SQL, in Redis and in the effect log, as evidence for the judge."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from sqlalchemy import Engine, text

from celeriac.chaos.judge.evidence import Move, RunRow, StepRow, WaitRow, WorkerMove
from celeriac.database import reading

_RUNS = """
SELECT r.id, r.tenant_id, r.function_id, r.event_id, r.status, r.output, r.error_code, r.steps, r.ended_at,
       e.data AS event_data
FROM runs r JOIN events e ON e.id = r.event_id
WHERE r.app = 'chaos' AND r.tenant_id IN ({tenants})
"""
_STEPS = "SELECT run_id, path, seq, kind, value, committed_at FROM steps WHERE tenant_id IN ({tenants})"
_WAITS = "SELECT run_id, path, wake_at FROM waits WHERE resolved_at IS NULL AND tenant_id IN ({tenants})"
_UNMATCHED = "SELECT name FROM events WHERE matched_at IS NULL AND tenant_id IN ({tenants})"

#: what still stands in the way of the end: runs that are on their way, parked ones whose time is near, new events
UNSETTLED = """
SELECT (SELECT count(*) FROM runs WHERE status IN ('queued', 'running') AND tenant_id IN ({tenants}))
     + (SELECT count(*) FROM events WHERE matched_at IS NULL AND tenant_id IN ({tenants}))
     + (SELECT count(*) FROM runs r WHERE r.status = 'parked' AND r.tenant_id IN ({tenants}) AND NOT EXISTS (
           SELECT 1 FROM waits w WHERE w.run_id = r.id AND w.resolved_at IS NULL AND w.wake_at > {far}))
"""

#: keys of the gate that hold runs and slots, behind its prefix
_HOLDING = (
    *("run", "lane", "lanes", "waiting", "ring", "later", "blocked", "waiters", "sleepers"),
    *("slots", "taken", "slot", "held", "hold", "holders"),
)

GATE = "cel:gate:"


class Collector:
    """Reads the facts of some tenants from one database."""

    def __init__(self, engine: Engine, tenants: Sequence[str], *, offset: float) -> None:
        """Take the way from the monotonic clock to the database's as `offset`."""
        self._engine, self._offset = engine, offset
        self._names = {f"t{number}": tenant for number, tenant in enumerate(tenants)}
        self._list = ", ".join(f":{name}" for name in self._names)

    def unsettled(self, *, far: float) -> int:
        """Count what has not come to its end, waits that are further away than `far` aside."""
        micros = round((far + self._offset) * 1_000_000)
        return int(self._rows(UNSETTLED.replace("{far}", str(micros)))[0][0])

    def facts(self, *, with_chronicle: bool) -> dict[str, Any]:
        """Return what SQL has, under the names that `Evidence` has for it."""
        facts: dict[str, Any] = {
            "runs": {row.id: self._run(row) for row in self._rows(_RUNS)},
            "steps": [self._step(row) for row in self._rows(_STEPS)],
            "open_waits": [WaitRow(**{**row._mapping, "wake_at": self._at(row.wake_at)}) for row in self._rows(_WAITS)],
            "unmatched": [row.name for row in self._rows(_UNMATCHED)],
            "collected_at": time.monotonic(),
        }
        if with_chronicle:
            facts["moves"] = [
                Move(**{**row._mapping, "at": self._at(row.at)}) for row in self._rows("SELECT * FROM chaos_moves")
            ]
            facts["worker_moves"] = [
                WorkerMove(**{**row._mapping, "has_heir": bool(row.has_heir), "at": self._at(row.at)})
                for row in self._rows("SELECT * FROM chaos_workers")
            ]
            changes = self._rows("SELECT run_id, path FROM chaos_changes")
            facts["changed_steps"] = [f"{row.path!r} of {row.run_id}" for row in changes]
        return facts

    def _rows(self, statement: str) -> Sequence[Any]:
        with reading(self._engine) as connection:
            wanted = {name: value for name, value in self._names.items() if "{tenants}" in statement}
            return connection.execute(text(statement.replace("{tenants}", self._list)), wanted).all()

    def _at(self, micros: int) -> float:
        return micros / 1_000_000 - self._offset

    def _run(self, row: Any) -> RunRow:
        return RunRow(
            id=row.id,
            tenant_id=row.tenant_id,
            function_id=row.function_id,
            event_id=row.event_id,
            status=row.status,
            output=None if row.output is None else json.loads(row.output),
            error_code=row.error_code,
            steps=row.steps,
            ended_at=None if row.ended_at is None else self._at(row.ended_at),
            parent_id=json.loads(row.event_data).get("parent"),
        )

    def _step(self, row: Any) -> StepRow:
        value = json.loads(row.value or "null") if row.kind == "run" else None
        by = value.get("by") if isinstance(value, Mapping) else None
        return StepRow(run_id=row.run_id, path=row.path, seq=row.seq, committed_at=self._at(row.committed_at), by=by)


def held_keys(keys: Iterable[str], ours: Set[str] | None) -> list[str]:
    """Return those of the gate's keys that hold runs or slots: of `ours` (tenants and runs), or all of them."""
    found = [key.removeprefix(GATE).split(":") for key in keys if key.startswith(GATE)]
    return [":".join(parts) for parts in found if parts[0] in _HOLDING and (ours is None or ours & set(parts))]
