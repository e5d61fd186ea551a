"""Reruns in memory: new runs of the events of ended ones, with the steps that they take over."""

from __future__ import annotations

from dataclasses import replace

from celeriac.errors import NotFoundError
from celeriac.ids import new_id
from celeriac.platform.durable.admission import freeze
from celeriac.platform.durable.declared import Arrival
from celeriac.platform.durable.memo import Memo, StepDone
from celeriac.platform.durable.rerun import (
    DoneStep,
    Wish,
    check_ended,
    cut_of,
    deadline_of,
    function_of,
    overrides_of,
)
from celeriac.platform.durable.starting import cancelling_waits
from celeriac.platform.flow.gate import Queued
from celeriac.platform.run import Run
from celeriac.platform.store.local_part import LocalPart
from celeriac.platform.store.local_records import StoredRun, as_queued, as_seen


class LocalReruns(LocalPart):
    """The part of the operations that does runs again."""

    def rerun(self, tenant_id: str, run_id: str, wish: Wish) -> Queued:
        """Do an ended run again."""
        with self._lock:
            source = self.all.get(run_id)
            if source is None or source.run.tenant_id != tenant_id:
                raise NotFoundError(f"There is no run {run_id!r}")
            check_ended(source.run)
            function, now = function_of(source.run, self._declared), self.now()
            done = [
                DoneStep(path=memo.path, seq=memo.seq, kind=memo.kind, input=entry.input)
                for memo, entry in source.steps.values()
            ]
            cut = cut_of(done, _begun(source), wish)
            kept = sorted((one for one in source.steps.values() if cut.keeps(one[0].path, one[0].seq)), key=_place)
            arrival = _arrival(source)
            waits = cancelling_waits(function, arrival, since=now, begins_at=now)
            again = StoredRun(
                Run(
                    id=wish.run_id or new_id("run"),
                    tenant_id=tenant_id,
                    app=function.app,
                    function_id=function.function_id,
                    event_id=source.run.event_id,
                    version=function.version,
                    rerun_of=source.run.id,
                    created_at=now,
                ),
                source.event,
                queue=function.queue,
                version=function.version,
                is_internal=source.is_internal,
                queued_at=now,
                batch=source.batch,
                deadline=deadline_of(function, now),
                time_limit=function.rules.timeout,
                overrides=overrides_of(source.overrides, wish),
                gate=freeze(function, arrival.visible),
                steps={memo.path: (replace(memo, seq=seq), entry) for seq, (memo, entry) in enumerate(kept, start=1)},
                waits={(wait.path, wait.number): wait for wait in waits},
            )
            self.all[again.run.id] = again
            self._count(tenant_id, function.name, runs=1)
            return as_queued(again)


def _place(kept: tuple[Memo, StepDone]) -> int:
    return kept[0].seq


def _begun(run: StoredRun) -> set[str]:
    """Return the paths of what has begun; the engine's own waits stand at no step."""
    of_waits = {path for path, _ in run.waits if path and not path.startswith("~")}
    return of_waits | {attempt.path for attempt in run.attempts if attempt.path}


def _arrival(run: StoredRun) -> Arrival:
    stored = run.event
    return Arrival(
        id=stored.id,
        tenant_id=stored.tenant_id,
        visible=as_seen(stored),
        ts=stored.event.ts or stored.received_at,
        received_at=stored.received_at,
    )
