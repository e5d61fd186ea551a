"""The intake: the one door for events from outside.

The web, the CLI and `app.send` hand it what a sender gave; it checks all of it before anything is stored, so that a
request is taken whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from celeriac.errors import InvalidEventError
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.event_check import check_event, invalid
from celeriac.platform.durable.group_ingest import GroupIngest
from celeriac.platform.durable.store import Accepted, Store
from celeriac.platform.event import INVOKED, Event
from celeriac.platform.flow.meter import Allowance

_KNOWN = {"id", "name", "data", "ts", "v", "user", "meta"}


@dataclass(frozen=True, kw_only=True)
class IntakeLimits:
    """What one request may carry."""

    event_bytes: int = 512 * 1024
    events: int = 5_000


class Intake:
    """Checks events, stores them and sends their runs on their way."""

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        limits: IntakeLimits | None = None,
        *,
        admit: Callable[[str], Allowance] = lambda _: Allowance(),
    ) -> None:
        """Take the truth, the way to the fleet, the sizes allowed, and who says what a tenant may bring in now."""
        self._store = store
        self._dispatcher = dispatcher
        self._limits = limits or IntakeLimits()
        self._admit = admit
        self._group = GroupIngest(
            lambda tenant_id, events, most: store.ingest(tenant_id, events, most_queued=most), dispatcher.follow
        )

    def accept(self, tenant_id: str, events: Sequence[Event | Mapping[str, Any]]) -> list[Accepted]:
        """Take in a tenant's events, all or none.

        Raises `InvalidEventError` with code `invalid_event`, `payload_too_large`, `too_many_events` or
        `validation_error` (data that does not fit the schema bound to its name), `RefusedError` with code
        `quota_exceeded` for a tenant that has used up what it may, and `StoreUnavailable`.
        """
        if len(events) > self._limits.events:
            raise InvalidEventError(
                f"{len(events)} events in one request; the limit is {self._limits.events}", code="too_many_events"
            )
        if not events:
            return []
        allowance = self._admit(tenant_id)
        most = self._event_bytes(allowance)
        checked = [
            check_event(event if isinstance(event, Event) else _read(index, event), most, index)
            for index, event in enumerate(events)
        ]
        self._check_schemas(checked)
        return self._group.take(tenant_id, checked, most_queued=allowance.queued_runs)

    def start(self, tenant_id: str, target: str, data: Any) -> Accepted:
        """Take in the event that starts exactly the function `target` (`app/function_id`), whatever its triggers say.

        Raises `NotFoundError` where there is no such function, `InvalidEventError` for data that is no event's, and
        `RefusedError` as `accept` does.
        """
        allowance = self._admit(tenant_id)
        checked = replace(check_event(Event(target, data), self._event_bytes(allowance)), name=INVOKED)
        ingested = self._store.ingest(tenant_id, [checked], target=target, most_queued=allowance.queued_runs)
        self._dispatcher.follow(ingested)
        return ingested.accepted[0]

    def _event_bytes(self, allowance: Allowance) -> int:
        most = self._limits.event_bytes
        return most if allowance.event_bytes is None else min(most, allowance.event_bytes)

    def _check_schemas(self, events: Sequence[Event]) -> None:
        schemas = self._store.schemas(sorted({event.name for event in events}))
        if not schemas:
            return
        from celeriac.platform.durable.schema_check import misfits  # slow to import, and not needed by all

        errors = misfits(schemas, events)
        if errors:
            first = errors[0]
            raise InvalidEventError(
                f"Event data does not fit its schema: {first['detail']} at {first['pointer']}",
                code="validation_error",
                errors=errors,
            )


def _read(index: int, given: Mapping[str, Any]) -> Event:
    if not isinstance(given, Mapping):
        raise invalid(index, "", "must be an event object with at least a name")
    if unknown := sorted(set(given) - _KNOWN):
        raise invalid(index, unknown[0], "is no field of an event; put your own fields into data")
    if "name" not in given:
        raise invalid(index, "name", "is missing")
    return Event(given["name"], given.get("data"), id=given.get("id"), ts=_moment(index, given.get("ts")))


def _moment(index: int, ts: Any) -> datetime | None:
    """Read milliseconds since 1970, as event APIs send them, or an ISO text."""
    if ts is None or ts == 0:
        return None
    try:
        if isinstance(ts, str):
            moment = datetime.fromisoformat(ts)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        elif isinstance(ts, int | float) and not isinstance(ts, bool):
            moment = datetime.fromtimestamp(ts / 1000, UTC)
        else:
            raise ValueError(ts)
    except (ValueError, OverflowError, OSError) as error:
        raise invalid(index, "ts", "must be milliseconds since 1970 or an ISO time") from error
    if not 1980 <= moment.year < 2100:
        raise invalid(index, "ts", "must lie between the years 1980 and 2100")
    return moment
