"""The stage in memory: the harness, where nothing waits but what a case makes wait."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from cases.stages.notes import Note, found, noted_here
from cases.stages.stage import SETTINGS, StepFact
from celeriac import App, Event, Run
from celeriac.clock import Duration
from celeriac.ids import new_id
from celeriac.platform.durable.reads import Page
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.flow.gate import TenantLimits
from celeriac.platform.store.local_records import as_seen
from celeriac.settings import Settings
from celeriac.testing import Harness
from celeriac.wiring import conduct


class MemoryStage:
    """A `Stage` over a harness; each verb returns once all runs have ended or wait."""

    room = 64

    def __init__(self, harness: Harness, app: App) -> None:
        self._harness, self._app = harness, app
        self._store = harness._rooms.store

    async def send(self, event: str | Event | Sequence[Event], data: Any = None) -> list[str]:
        return [run.id for run in await self._harness.send(event, data)]

    async def start(self, event: str | Event, data: Any = None) -> str:
        [run_id] = await self.send(event, data)
        return run_id

    async def run(self, run_id: str) -> Run:
        return self._harness.run(run_id)

    async def status(self, run_id: str, status: str) -> Run:
        await self._harness.settle()
        run = self._harness.run(run_id)
        assert run.status == status, run
        return run

    async def ended(self, run_id: str) -> Run:
        await self._harness.settle()
        run = self._harness.run(run_id)
        assert run.is_final, run
        return run

    async def all_ended(self, function_id: str | None = None) -> list[Run]:
        await self._harness.settle()
        assert all(run.is_final for run in self._harness.runs()), self._harness.runs()
        return await self.runs(function_id)

    async def runs(self, function_id: str | None = None) -> list[Run]:
        return [run for run in self._harness.runs() if function_id in (None, run.function_id)]

    async def begun(self, function_id: str) -> Run:
        return (await self.runs(function_id))[0]

    async def page(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
        """Page through the runs as `SqlReads` does; the cursor is a place in the list."""
        kept = list(self._store.all.values())[::-1]
        runs = [one.run for one in kept if where.holds_for(one.run, as_seen(one.event))]
        for name in ("status", "function_id"):
            wanted = getattr(where, name)
            runs = [run for run in runs if wanted in (None, getattr(run, name))]
        since = int(cursor or 0)
        more = str(since + limit) if len(runs) > since + limit else None
        return Page(runs=runs[since : since + limit], next_cursor=more)

    async def steps(self, run_id: str) -> dict[str, StepFact]:
        failed = self._harness.attempts(run_id)
        return {
            memo.path: StepFact(
                kind=memo.kind,
                output=json.loads(memo.value or "null"),
                error=None if memo.error is None else json.loads(memo.error),
                attempts=failed.count(memo.path) + 1,
            )
            for memo in self._harness.steps(run_id)
        }

    async def remembered(self, run_id: str, path: str) -> StepFact:
        return (await self.steps(run_id))[path]

    def now(self) -> datetime:
        return self._harness.clock.now()

    async def pass_time(self, time: Duration) -> None:
        await self._harness.advance(time)

    async def cancel(self, run_id: str) -> None:
        self._harness.cancel(run_id)

    async def crash(self) -> None:
        await self._harness.restart()

    def pause(self, function_id: str, *, is_paused: bool = True) -> None:
        self._store.pause(self._harness.tenant, self._app.name, function_id, is_paused=is_paused)

    def deploy(self, app: App) -> None:
        self._store.declare(app.name, app.declarations(home=self._harness.tenant), app.schemas())

    def due(self, function_id: str) -> list[datetime]:
        name = f"{self._app.name}/{function_id}"
        return sorted(due_at for place, (_, due_at) in self._store._crons.items() if place[0] == name)

    async def tick(self, function_id: str) -> None:
        await self._harness.advance("1d")

    def notes(self, kind: str, **facts: Any) -> list[Note]:
        return found(noted_here(), tenant=self._harness.tenant, kind=kind, **facts)


@asynccontextmanager
async def memory_stage(app: App, **limits: Any) -> AsyncIterator[MemoryStage]:
    """Give the app a harness and a tenant with these limits."""
    settings = Settings(**SETTINGS, _env_file=None)
    tenant, tenant_limits = new_id("ten"), TenantLimits(**limits)
    async with Harness(app, tenant=tenant, limits=tenant_limits, conduct=conduct(settings)) as harness:
        yield MemoryStage(harness, app)
