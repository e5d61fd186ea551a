"""Matching in SQL: what stored events start, wake and cancel, in the transaction of whoever stored or found them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from celeriac.platform.durable.declared import Arrival, Declared
from celeriac.platform.durable.matching import names_of
from celeriac.platform.durable.run_keys import keys_of
from celeriac.platform.durable.starting import Plan
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.sql_answers import Answer, answered
from celeriac.platform.store.sql_cancelling import end_or_flag
from celeriac.platform.store.sql_starting import begin, complete, standing_for
from celeriac.platform.store.sql_waking import end_quietly, lock_runs, resolve
from celeriac.platform.store.tables import waits

#: for how long an event is passed over whose matching has failed
PASSED_OVER_SECONDS = 60.0


_AWAITED = (
    select(waits.c.run_id)
    .where(
        waits.c.tenant_id.in_(bindparam("tenants", expanding=True)),
        waits.c.event_name.in_(bindparam("names", expanding=True)),
        waits.c.resolved_at.is_(None),
    )
    .limit(1)
)


@dataclass(kw_only=True)
class Outcome:
    """What came of events, so far."""

    #: the ids of those that were new
    stored: set[str] = field(default_factory=set)
    queued: list[Queued] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


class PassedOver:
    """Events whose matching has failed by itself: nobody looks at them for a minute, so that they hold up no others."""

    def __init__(self) -> None:
        """Start with none."""
        self._until: dict[str, float] = {}

    def note(self, event_id: str) -> None:
        """Pass the event over from now on."""
        self._until[event_id] = time.monotonic() + PASSED_OVER_SECONDS

    def current(self) -> list[str]:
        """Return the ids of those that are passed over now."""
        now = time.monotonic()
        self._until = {event_id: until for event_id, until in self._until.items() if until > now}
        return list(self._until)


def match(
    connection: Connection, declared: Declared, arrivals: Sequence[Arrival], now: datetime, outcome: Outcome
) -> None:
    """Start, wake and cancel what stored events are for."""
    if not arrivals:
        return
    answers = answered(connection, arrivals) if _is_awaited(connection, arrivals) else []
    keys = [key for arrival in arrivals for key in keys_of(arrival, declared)]
    plan = Plan(declared, now)
    for key, known in standing_for(connection, keys, {answer.key[0] for answer in answers}).items():
        plan.know(key, known)
    for arrival in arrivals:
        plan.take(arrival)
    begin(connection, list(plan.starts.values()), now)
    outcome.queued += complete(connection, plan, set(plan.starts), now)
    if plan.superseded:
        superseded = end_or_flag(connection, dict.fromkeys(plan.superseded, "singleton"))
        outcome.ended += [run.id for run in superseded if run.status == "cancelled"]
    wake(connection, arrivals, answers, outcome)


def _is_awaited(connection: Connection, arrivals: Sequence[Arrival]) -> bool:
    """Say whether any run waits for an event of these names, before each of them is looked at."""
    tenants = sorted({arrival.tenant_id for arrival in arrivals})
    names = sorted({name for arrival in arrivals for name in names_of(arrival.visible)})
    return bool(connection.execute(_AWAITED, {"tenants": tenants, "names": names}).first())


def wake(connection: Connection, arrivals: Sequence[Arrival], answers: Sequence[Answer], outcome: Outcome) -> None:
    """Cancel and wake the runs that stood there for these events."""
    cancels = {answer.key: answer.event_id for answer in answers if answer.kind == "cancel"}
    if cancels:
        lock_runs(connection, {answer.key[0] for answer in answers})
        # Read again under the locks: a run that gathers may have taken up another event since, with waits of its own.
        still = {answer.key for answer in answered(connection, arrivals)}
        cancels = {key: event_id for key, event_id in cancels.items() if key in still}
        end_quietly(connection, cancels)
        cancelled = end_or_flag(connection, {key[0]: "cancelled" for key in cancels})
        outcome.ended += [run.id for run in cancelled if run.status == "cancelled"]
    outcome.queued += resolve(connection, {one.key: one.event_id for one in answers if one.kind != "cancel"})
