"""The timers: every part of a round does its work, whatever becomes of the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from celeriac.clock import ManualClock
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.cron import Schedule
from celeriac.platform.durable.declaration import Declaration, StartRules
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued, TenantLimits
from celeriac.platform.flow.limits import Debounce
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.local_store import LocalStore
from celeriac.tasks.timers import Timers

TENANT = "ten_a"

#: what each part of a round sets going on the stage: a function and how its run stands then
PARTS = {
    "fire_crons": ("timed", "queued"),
    "match_pending": ("told", "queued"),
    "wake_due": ("gathered", "queued"),
    "expire": ("late", "cancelled"),
}


class Breaking(LocalStore):
    """A store of which one call breaks."""

    broken = ""
    error: Exception = ValueError("broken")

    def fire_crons(self, **options: Any) -> Any:
        self._break("fire_crons")
        return super().fire_crons(**options)

    def match_pending(self, *args: Any, **options: Any) -> Any:
        self._break("match_pending")
        return super().match_pending(*args, **options)

    def wake_due(self, **options: Any) -> Any:
        self._break("wake_due")
        return super().wake_due(**options)

    def expire(self, **options: Any) -> Any:
        self._break("expire")
        return super().expire(**options)

    def _break(self, call: str) -> None:
        if call == self.broken:
            raise self.error


class Round:
    """The timers of one worker, with something due in each of their parts."""

    def __init__(self, broken: str) -> None:
        clock = ManualClock()
        self.sent: list[Queued] = []
        self.store = Breaking(clock)
        self.store.declare("app", _declared(), [])
        gate = LocalGate(clock, dead_after=timedelta(days=1))
        gate.attend("wrk_me", ["runs"], 100)
        self.timers = Timers(self.store, Dispatcher(gate, self, lambda _: TenantLimits()), ["runs"])
        for event in ("gather", "begin", "end"):
            self.store.ingest(TENANT, [Event(event)])
        [ended] = self._of("ended")
        self.store.cancel(TENANT, ended)
        clock.advance("2h")
        self.store.broken = broken

    def publish(self, runs: Sequence[Queued]) -> None:
        self.sent += runs

    def backlog(self, queue: str) -> int:
        return 0

    def done(self) -> set[str]:
        """Return the parts that have done their work and told of it."""
        stand = {(one.run.function_id, one.run.status) for one in self.store.all.values()}
        sent = {self.store.all[run.run_id].run.function_id for run in self.sent}
        return {
            part
            for part, (function, status) in PARTS.items()
            if (function, status) in stand and (status != "queued" or function in sent)
        }

    def _of(self, function: str) -> list[str]:
        return [one.run.id for one in self.store.all.values() if one.run.function_id == function]


def _declared() -> list[Declaration]:
    hour = timedelta(hours=1)
    return [
        Declaration(app="app", function_id="timed", crons=(Schedule(cron="0 * * * *", tenant_id=TENANT),)),
        Declaration(app="app", function_id="told", triggers=("celeriac/run.cancelled",)),
        Declaration(app="app", function_id="gathered", triggers=("gather",), rules=StartRules(debounce=Debounce(hour))),
        Declaration(app="app", function_id="late", triggers=("begin",), rules=StartRules(start_timeout=hour)),
        Declaration(app="app", function_id="ended", triggers=("end",)),
    ]


def test_a_round_does_all_that_is_due() -> None:
    due = Round(broken="")
    assert due.done() == set()
    assert due.timers.run_once() > 0
    assert due.done() == set(PARTS)


@pytest.mark.parametrize("broken", PARTS)
def test_a_part_that_breaks_leaves_the_others_alone(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    due = Round(broken)
    with caplog.at_level(logging.ERROR):
        due.timers.run_once()
    assert due.done() == set(PARTS) - {broken}
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [Breaking.error]


@pytest.mark.parametrize("broken", PARTS)
def test_a_database_that_does_not_answer_ends_the_round(broken: str) -> None:
    due = Round(broken)
    due.store.error = StoreUnavailable("gone")
    with pytest.raises(StoreUnavailable):
        due.timers.run_once()
