"""The stage on a fleet: two worker processes over a Redis and a database, which all cases of a module share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cases.stages.notes import Note
from cases.stages.stage import SETTINGS, StepFact
from celeriac import Event, Run
from celeriac.clock import Duration, duration
from celeriac.platform.durable.cancelling import cancel
from celeriac.platform.durable.reads import Page, RunFilter, StepView
from celeriac.platform.step import as_events
from fleet.worker_fleet import Fleet
from waiting import until

#: how long a run may take on a machine that is busy with other things
PATIENCE = 30.0

_PENDING = "SELECT count(*) FROM events WHERE tenant_id = :tenant AND matched_at IS NULL"
_RUNNING = "SELECT count(*) FROM runs WHERE tenant_id = :tenant AND ended_at IS NULL"


class FleetStage:
    """A `Stage` of one tenant on a fleet; what the workers do is seen in the database and in their notes."""

    def __init__(self, fleet: Fleet, tenant_id: str) -> None:
        self._fleet = fleet
        self._tenant = tenant_id

    async def send(self, event: str | Event | Sequence[Event], data: Any = None) -> list[str]:
        accepted = self._fleet.rooms.intake.accept(self._tenant, as_events(event, data))
        fresh = [one.id for one in accepted if not one.is_duplicate]
        return [run.id for id in fresh for run in self._fleet.rooms.reads.event_runs(self._tenant, id)]

    async def start(self, event: str | Event, data: Any = None) -> str:
        [run_id] = await self.send(event, data)
        return run_id

    async def run(self, run_id: str) -> Run:
        return self._fleet.rooms.reads.run(self._tenant, run_id)

    async def status(self, run_id: str, status: str) -> Run:
        async def has_status() -> Run | None:
            run = await self.run(run_id)
            assert run.status == status or not run.is_final, run
            return run if run.status == status else None

        found = await until(has_status, PATIENCE, f"run {run_id} to be {status}")
        assert found is not None
        return found

    async def ended(self, run_id: str) -> Run:
        async def has_ended() -> bool:
            return (await self.run(run_id)).is_final

        await until(has_ended, PATIENCE, f"run {run_id} to end")
        return await self.run(run_id)

    async def all_ended(self, function_id: str | None = None) -> list[Run]:
        def nothing_is_left() -> bool:
            [[left]] = self._fleet.sql(f"SELECT ({_PENDING}) + ({_RUNNING})", tenant=self._tenant)
            return not left

        await until(nothing_is_left, PATIENCE, "all runs to end")
        return await self.runs(function_id)

    async def runs(self, function_id: str | None = None) -> list[Run]:
        page = await self.page(RunFilter(function_id=function_id), limit=100)
        assert page.next_cursor is None
        return page.runs[::-1]

    async def page(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
        return self._fleet.rooms.reads.runs(self._tenant, where, limit=limit, cursor=cursor)

    async def steps(self, run_id: str) -> dict[str, StepFact]:
        top = self._fleet.rooms.reads.view(self._tenant, run_id).steps
        return {
            view.path: StepFact(kind=view.kind, output=view.output, error=view.error, attempts=len(view.attempts))
            for view in _with_descendants(top)
            if view.status in ("completed", "failed")
        }

    async def pass_time(self, time: Duration) -> None:
        store = self._fleet.rooms.store
        moment = store.now() + duration(time)
        await until(lambda: store.now() >= moment, PATIENCE, f"{time} to pass")

    async def cancel(self, run_id: str) -> None:
        cancel(self._fleet.rooms.store, self._fleet.rooms.gate, self._tenant, run_id)

    async def crash(self) -> None:
        for worker in self._fleet.workers:
            if worker.is_running:
                worker.kill()
        self._fleet.launch_two()

    def notes(self, kind: str, **facts: Any) -> list[Note]:
        return self._fleet.notes.of(kind, tenant=self._tenant, **facts)


def fleet_stage(fleet: Fleet, **limits: Any) -> FleetStage:
    """Give a case a tenant of its own with these limits."""
    return FleetStage(fleet, fleet.tenant("case", **limits))


@contextmanager
def fleet_of_all_cases(folder: Path, database_url: str | None) -> Iterator[Fleet]:
    """Start two workers that have the functions of all cases."""
    settings = {f"CELERIAC_{name.upper()}": str(value) for name, value in SETTINGS.items()}
    with Fleet(folder, database_url, app="cases.every_app:app", **settings) as fleet:
        fleet.start_two()
        yield fleet


def _with_descendants(views: Sequence[StepView]) -> Iterator[StepView]:
    for view in views:
        yield view
        yield from _with_descendants(view.children)
