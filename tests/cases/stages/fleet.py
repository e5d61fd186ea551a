"""The stage on a fleet: two worker processes over a Redis and a database, which all cases of a module share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import text

from cases.stages.notes import Note
from cases.stages.stage import SETTINGS, StepFact
from celeriac import App, Event, Run
from celeriac.clock import Duration, duration
from celeriac.database import connect, from_micros, to_micros, transaction
from celeriac.platform.durable.cancelling import cancel
from celeriac.platform.durable.reads import Page, StepView
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.step import as_events
from fleet.worker_fleet import Fleet
from waiting import until

#: how long a run may take on a machine that is busy with other things
PATIENCE = 30.0

_PENDING = "SELECT count(*) FROM events WHERE tenant_id = :tenant AND matched_at IS NULL"
_RUNNING = "SELECT count(*) FROM runs WHERE tenant_id = :tenant AND ended_at IS NULL"
_DUE = "SELECT next_at FROM crons WHERE app = :app AND function_id = :function ORDER BY next_at"
_DUE_NOW = "UPDATE crons SET next_at = :now WHERE app = :app AND function_id = :function"


class CaseFleet(Fleet):
    """Two workers that have the functions of all cases."""

    #: the tenant of the crons
    home: str

    def __enter__(self) -> Self:
        """Start the servers, make the home tenant, and start the workers."""
        super().__enter__()
        self.home = self.env["CELERIAC_DEFAULT_TENANT"] = self.tenant("home")
        self.start_two()
        return self


class FleetStage:
    """A `Stage` of one tenant on a fleet; what the workers do is seen in the database and in their notes."""

    room = 16

    def __init__(self, fleet: CaseFleet, app: App, tenant_id: str) -> None:
        self._fleet, self._app = fleet, app
        self._tenant = tenant_id

    async def send(self, event: str | Event | Sequence[Event], data: Any = None) -> list[str]:
        accepted = self._fleet.rooms.intake.accept(self._tenant, as_events(event, data))
        fresh = [one.id for one in accepted if not one.is_duplicate]
        return [run.id for id in fresh for run in self._fleet.rooms.reads.event_runs(self._tenant, id)]

    async def start(self, event: str | Event, data: Any = None) -> str:
        [run_id] = await self.send(event, data)
        return run_id

    async def run(self, run_id: str) -> Run:
        return self._run(run_id)

    async def status(self, run_id: str, status: str) -> Run:
        def has_status() -> bool:
            run = self._run(run_id)
            assert run.status == status or not run.is_final, run
            return run.status == status

        await until(has_status, PATIENCE, f"run {run_id} to be {status}")
        return self._run(run_id)

    async def ended(self, run_id: str) -> Run:
        await until(lambda: self._run(run_id).is_final, PATIENCE, f"run {run_id} to end")
        return self._run(run_id)

    async def all_ended(self, function_id: str | None = None) -> list[Run]:
        def nothing_is_left() -> bool:
            [[left]] = self._fleet.sql(f"SELECT ({_PENDING}) + ({_RUNNING})", tenant=self._tenant)
            return not left

        await until(nothing_is_left, PATIENCE, "all runs to end")
        return self._runs(function_id)

    async def runs(self, function_id: str | None = None) -> list[Run]:
        return self._runs(function_id)

    async def begun(self, function_id: str) -> Run:
        await until(lambda: self._runs(function_id), PATIENCE, f"{function_id} to have a run")
        return self._runs(function_id)[0]

    async def page(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
        return self._fleet.rooms.reads.runs(self._tenant, where, limit=limit, cursor=cursor)

    async def steps(self, run_id: str) -> dict[str, StepFact]:
        return self._steps(run_id)

    async def remembered(self, run_id: str, path: str) -> StepFact:
        await until(lambda: path in self._steps(run_id), PATIENCE, f"run {run_id} to remember {path}")
        return self._steps(run_id)[path]

    def now(self) -> datetime:
        return self._fleet.rooms.store.now()

    async def pass_time(self, time: Duration) -> None:
        moment = self.now() + duration(time)
        await until(lambda: self.now() >= moment, PATIENCE, f"{time} to pass")

    async def cancel(self, run_id: str) -> None:
        cancel(self._fleet.rooms.store, self._fleet.rooms.gate, self._tenant, run_id)

    async def crash(self) -> None:
        for worker in self._fleet.workers:
            if worker.is_running:
                worker.kill()
        self._fleet.launch_two()

    def pause(self, function_id: str, *, is_paused: bool = True) -> None:
        self._fleet.rooms.store.pause(self._tenant, self._app.name, function_id, is_paused=is_paused)

    def deploy(self, app: App) -> None:
        self._fleet.rooms.store.declare(app.name, app.declarations(home=self._fleet.home), app.schemas())

    def due(self, function_id: str) -> list[datetime]:
        return [from_micros(row.next_at) for row in self._fleet.sql(_DUE, **self._named(function_id))]

    async def tick(self, function_id: str) -> None:
        """Put what is due next back to now: which day it is makes no difference to what fires."""
        engine = connect(self._fleet.database_url)
        with transaction(engine) as connection:
            connection.execute(text(_DUE_NOW), self._named(function_id) | {"now": to_micros(self.now())})
        engine.dispose()

        def have_fired() -> bool:
            return all(due > self.now() for due in self.due(function_id))

        await until(have_fired, PATIENCE, "the crons to fire")

    def notes(self, kind: str, **facts: Any) -> list[Note]:
        return self._fleet.notes.of(kind, tenant=self._tenant, **facts)

    def _run(self, run_id: str) -> Run:
        return self._fleet.rooms.reads.run(self._tenant, run_id)

    def _runs(self, function_id: str | None) -> list[Run]:
        page = self._fleet.rooms.reads.runs(self._tenant, RunFilter(function_id=function_id), limit=100)
        assert page.next_cursor is None
        return page.runs[::-1]

    def _steps(self, run_id: str) -> dict[str, StepFact]:
        top = self._fleet.rooms.reads.view(self._tenant, run_id).steps
        return {
            view.path: StepFact(kind=view.kind, output=view.output, error=view.error, attempts=len(view.attempts))
            for view in _with_descendants(top)
            if view.status in ("completed", "failed")
        }

    def _named(self, function_id: str) -> dict[str, Any]:
        return {"app": self._app.name, "function": function_id}


def fleet_stage(fleet: CaseFleet, app: App, *, at_home: bool, **limits: Any) -> FleetStage:
    """Give a case the home tenant, or one of its own with these limits."""
    return FleetStage(fleet, app, fleet.home if at_home else fleet.tenant("case", **limits))


def fleet_of_all_cases(folder: Path, database_url: str | None) -> CaseFleet:
    """Return a fleet that is not started yet."""
    settings = {f"CELERIAC_{name.upper()}": str(value) for name, value in SETTINGS.items()}
    return CaseFleet(folder, database_url, app="cases.every_app:app", **settings)


def _with_descendants(views: Sequence[StepView]) -> Iterator[StepView]:
    for view in views:
        yield view
        yield from _with_descendants(view.children)
