"""Cron: at which times a schedule ticks, and when the run of each tick is due.

Pure arithmetic on times that the stores keep; nobody here knows the present. A time that the clocks jump over in
spring ticks when they have jumped. One that comes twice in autumn ticks at the first, unless the hours are a `*`: those
go by the time that passes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from celeriac.clock import duration
from celeriac.errors import ConfigError
from celeriac.ids import derived_id
from celeriac.platform.trigger import Cron

_LONGEST = 255
_JITTER = (timedelta(seconds=1), timedelta(minutes=5))

#: what other crons know and this one not: fields by a hash, and fields by chance, which no two workers share
_UNSTEADY = re.compile(r"(^|[\s,])[HR]($|[\s,/(])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A Cron as the store keeps it."""

    cron: str
    tz: str = "UTC"
    jitter: timedelta = timedelta(0)
    #: whose runs it starts; None: those of each active tenant
    tenant_id: str | None = None


def check_cron(cron: Cron, what: str) -> Schedule:
    """Return the cron as a schedule of each tenant; raise `ConfigError` for one that has no times."""
    fields = cron.schedule.split()
    if len(cron.schedule) > _LONGEST or len(fields) != 5 or _UNSTEADY.search(cron.schedule):
        raise ConfigError(f"{what}: Cron({cron.schedule[:80]!r}) must have five fields, such as '0 6 * * mon-fri'")
    try:
        ZoneInfo(cron.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"{what}: Cron(tz={cron.tz!r}) is no time zone; write it like 'Europe/Paris'") from error
    jitter = timedelta(0) if cron.jitter is None else duration(cron.jitter)
    if cron.jitter is not None and not _JITTER[0] <= jitter <= _JITTER[1]:
        raise ConfigError(f"{what}: Cron(jitter={cron.jitter!r}) must be 1 second to 5 minutes")
    schedule = Schedule(cron=" ".join(fields), tz=cron.tz, jitter=jitter)
    try:
        tick_after(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    except ValueError as error:  # croniter's own errors are among them
        raise ConfigError(f"{what}: Cron({cron.schedule!r}) has no times: {error}") from error
    return schedule


def tick_after(schedule: Schedule, moment: datetime) -> datetime:
    """Return the first tick behind the moment."""
    return _step(schedule, moment, forward=True)


def tick_until(schedule: Schedule, moment: datetime) -> datetime:
    """Return the last tick up to the moment, which may be one itself."""
    return _step(schedule, moment + timedelta(microseconds=1), forward=False)


def due(schedule: Schedule, key: str, tick: datetime) -> datetime:
    """Return when the tick's run starts: late by a part of the jitter that is always the same for `key` and tick.

    Always before the next tick, so that the runs keep the order of their ticks.
    """
    if not schedule.jitter:
        return tick
    span = min(schedule.jitter, tick_after(schedule, tick) - tick)
    digest = hashlib.blake2b(f"{key}\x1f{tick.isoformat()}".encode(), digest_size=4).digest()
    return tick + span * (int.from_bytes(digest, "big") / 2**32)


def next_due(schedule: Schedule, key: str, moment: datetime) -> datetime:
    """Return when the first tick behind the moment is due."""
    return due(schedule, key, tick_after(schedule, moment))


def last_due(schedule: Schedule, key: str, moment: datetime) -> datetime:
    """Return the last tick that is due at the moment."""
    tick = tick_until(schedule, moment)
    return tick if due(schedule, key, tick) <= moment else tick_until(schedule, tick - timedelta(microseconds=1))


def due_again(before: Schedule, schedule: Schedule, key: str, moment: datetime) -> datetime:
    """Return when the tick that was due at the moment is due, now that the schedule may have another jitter."""
    return due(schedule, key, tick_until(before, moment))


def tick_id(key: str, schedule: Schedule, tick: datetime, tenant_id: str) -> str:
    """Return the id of the event of a tick for a tenant, so that it is there once, whoever makes it."""
    return derived_id("evt", "cron", key, schedule.cron, schedule.tz, tick.isoformat(), tenant_id)


def _step(schedule: Schedule, moment: datetime, *, forward: bool) -> datetime:
    from croniter import croniter  # only fleets with crons need it

    times = croniter(schedule.cron, moment.astimezone(ZoneInfo(schedule.tz)))
    by_elapsed_time = "*" in schedule.cron.split()[1]
    while True:
        tick: datetime = times.get_next(datetime) if forward else times.get_prev(datetime)
        if by_elapsed_time or tick.replace(fold=0).utcoffset() == tick.utcoffset():
            return tick.astimezone(UTC)
