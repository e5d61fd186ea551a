"""Starting: what an event sets going, decided alike for every store.

An event may start a run at once, start one that waits until its time, join a run that is still gathering events
(debounce, batch), or come to nothing, which is a run that is skipped, with the reason. A `Plan` decides for the events
of one transaction, one after another, and the store makes it true in that transaction. The order of the gates: paused,
batch, idempotency, rate limit, debounce, singleton, the event's own time. An event that joins a run which gathers
begins none, so that no rate limit counts it and no singleton keeps it away; one that is skipped uses up nothing.

Whatever asks for one function by its name (`invoke`, `start`, a cron) gets a run of its own at once: debounce and batch
do not hold it back.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from celeriac.ids import derived_id
from celeriac.platform.codec import encode
from celeriac.platform.durable.admission import freeze, refused
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.declared import Arrival, Declared
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.run_keys import (
    RunKey,
    batch_key,
    debounce_key,
    idempotency_key,
    rate_key,
    singleton_key,
)
from celeriac.platform.expression import MISSING, look_up
from celeriac.platform.flow.limits import RateLimit
from celeriac.platform.run import Status

#: how long the value of an idempotency key is remembered
REMEMBERED = timedelta(hours=24)

#: a batch of so many bytes of data starts, however few its events
BATCH_BYTES = 10 * 1024 * 1024

#: what a run waits for at most
FOREVER = timedelta(days=366)

#: for how much longer the times of a rate limit are kept: for transactions that are late to come to its lock
_LATE = timedelta(minutes=1)


@dataclass(kw_only=True)
class Standing:
    """The run that stands for a key."""

    run_id: str
    #: when the key is free again, at the latest
    expires_at: datetime
    #: how many events it has gathered, and their bytes; when the first of them came
    count: int = 1
    size: int = 0
    begun_at: datetime
    #: the `ts` of the event that it will run with
    event_ts: datetime
    #: whether it still gathers: it is parked, and nothing has woken it
    is_gathering: bool = True
    #: whether it has not ended
    is_standing: bool = True
    #: of a rate limit: when runs of the key began, in order
    times: list[datetime] = field(default_factory=list)


@dataclass(kw_only=True)
class Start:
    """A run that begins."""

    run_id: str
    function: Declaration
    #: the event that it runs with: the first of a batch, the latest of a debounce
    arrival: Arrival
    status: Status = "queued"
    reason: str | None = None
    #: until when it is parked
    start_at: datetime | None = None
    #: ids of all events that it has gathered, in order; empty for a run of one event
    gathered: list[str] = field(default_factory=list)
    #: of one that is skipped: when the next may begin
    retry_at: datetime | None = None

    @cached_property
    def gate(self) -> str | None:
        """What the Gate has to know of it, or said; asked for when all that joins it has."""
        if self.status == "skipped":
            return None if self.retry_at is None else refused(self.retry_at)
        return freeze(self.function, self.arrival.visible)

    @property
    def is_internal(self) -> bool:
        """Whether its start takes no token."""
        return self.arrival.is_internal or self.function.is_internal

    @property
    def batch(self) -> list[str] | None:
        """The ids of its events where it is a run of many."""
        return self.gathered if self.function.rules.batch is not None and self.gathered else None

    @property
    def parent_id(self) -> str | None:
        """The run that invoked it."""
        return self.arrival.sender if self.arrival.target is not None else None

    def deadline(self, now: datetime) -> datetime | None:
        """Return when it is cancelled if it has not started."""
        return None if self.status == "skipped" else _deadline(self.function, self.start_at or now)

    def waits(self, now: datetime) -> list[Wait]:
        """Return what it waits for before its first link, and the events that cancel it."""
        if self.status == "skipped":
            return []
        cancels = cancelling_waits(
            self.function, self.arrival, since=min(now, self.arrival.received_at), begins_at=self.start_at or now
        )
        return cancels if self.start_at is None else [start_wait(self.start_at), *cancels]


@dataclass(kw_only=True)
class Join:
    """What events bring to a run that was gathering before they came."""

    run_id: str
    tenant_id: str
    function: Declaration
    #: the ids of the events, in order
    gathered: list[str] = field(default_factory=list)
    #: the event that it runs with from now on; None: it stays
    arrival: Arrival | None = None
    start_at: datetime
    #: whether it starts now
    is_full: bool = False

    @property
    def deadline(self) -> datetime | None:
        """When it is cancelled if it has not started."""
        return _deadline(self.function, self.start_at)


@dataclass(frozen=True, kw_only=True)
class Unstarted:
    """An invoked run that does not come to be; whoever waits for its end is told so."""

    run_id: str
    arrival: Arrival
    status: Literal["failed", "skipped"]
    reason: str
    retry_at: datetime | None = None


class Plan:
    """What events come to; the store lets it know what stands for their keys, as read under its locks."""

    def __init__(self, declared: Declared, now: datetime) -> None:
        """Plan for this moment."""
        self._declared, self.now = declared, now
        #: by key, for the store to write: those that were changed here
        self.keys: dict[RunKey, Standing] = {}
        self.starts: dict[str, Start] = {}
        self.joins: dict[str, Join] = {}
        self.unstarted: list[Unstarted] = []
        #: the runs that are to be cancelled, as another takes their place
        self.superseded: list[str] = []
        self._standing: dict[RunKey, Standing] = {}

    def know(self, key: RunKey, standing: Standing) -> None:
        """Take in what stands for a key that `keys_of` named."""
        self._standing.setdefault(key, standing)

    def take(self, arrival: Arrival) -> None:
        """Decide what the event comes to."""
        found = self._declared.started_by(arrival)
        if arrival.target is not None and not found:
            self._miss(arrival, arrival.target, "failed", "unknown_function")
        for function in found:
            self._start(arrival, function)

    def _start(self, arrival: Arrival, function: Declaration) -> None:
        start = Start(run_id=run_id_of(arrival, function.name), function=function, arrival=arrival)
        if self._declared.is_paused(arrival.tenant_id, function):
            self._skip(start, "paused")
        elif key := batch_key(arrival, function):
            self._gather(start, key)
        elif self._is_repeated(start):
            self._skip(start, "idempotency")
        else:
            key = debounce_key(arrival, function)
            if not self._gathers(key):
                reason = self._refusal(start)
                if reason is not None:
                    self._skip(start, reason)
                    return
                self._make_room(start)
            self._remember(start)
            self._begin(start, key)

    def _begin(self, start: Start, key: RunKey | None) -> None:
        if key is not None:
            self._gather(start, key)
            return
        if start.arrival.ts > self.now:
            start.status, start.start_at = "parked", start.arrival.ts
        self.starts[start.run_id] = start

    def _skip(self, start: Start, reason: str) -> None:
        start.status, start.reason, start.start_at, start.gathered = "skipped", reason, None, []
        self.starts[start.run_id] = start
        if start.arrival.target is not None:
            self._miss(start.arrival, start.function.name, "skipped", reason, start.retry_at)

    def _miss(
        self,
        arrival: Arrival,
        target: str,
        status: Literal["failed", "skipped"],
        reason: str,
        retry_at: datetime | None = None,
    ) -> None:
        if arrival.sender is not None:
            run_id = run_id_of(arrival, target)
            self.unstarted.append(
                Unstarted(run_id=run_id, arrival=arrival, status=status, reason=reason, retry_at=retry_at)
            )

    def _is_repeated(self, start: Start) -> bool:
        """Say whether the event's idempotency key is known."""
        key = idempotency_key(start.arrival, start.function)
        known = None if key is None else self._standing.get(key)
        return known is not None and known.expires_at > self.now

    def _refusal(self, start: Start) -> str | None:
        """Say why no run may begin with the event, if so."""
        rate, key = start.function.rules.rate_limit, rate_key(start.arrival, start.function)
        if rate is not None and key is not None and (known := self._standing.get(key)):
            start.retry_at = free_at(rate, known.times, self.now)
            if start.retry_at is not None:
                return "rate_limited"
        singleton, key = start.function.rules.singleton, singleton_key(start.arrival, start.function)
        known = None if key is None else self._standing.get(key)
        is_taken = singleton is not None and known is not None and known.is_standing
        return "singleton" if is_taken and singleton is not None and singleton.mode == "skip" else None

    def _make_room(self, start: Start) -> None:
        """Let the run stand for its singleton's key, in the place of whichever does."""
        key = singleton_key(start.arrival, start.function)
        if key is None:
            return
        known = self._standing.get(key)
        if known is not None and known.is_standing:
            for one in self._standing.values():
                one.is_gathering = one.is_gathering and one.run_id != known.run_id
            if known.run_id in self.starts:
                self._skip(self.starts[known.run_id], "singleton")
            else:
                self.superseded.append(known.run_id)
        self._stand(key, start, expires_at=self.now)

    def _remember(self, start: Start) -> None:
        """Note the event's idempotency key, and that a run of its rate limit's key begins."""
        if key := idempotency_key(start.arrival, start.function):
            self._stand(key, start, expires_at=self.now + REMEMBERED)
        rate, key = start.function.rules.rate_limit, rate_key(start.arrival, start.function)
        if rate is None or key is None or self._gathers(debounce_key(start.arrival, start.function)):
            return
        span, known = _span(rate), self._standing.get(key)
        kept = [] if known is None else known.times[bisect_right(known.times, self.now - span - _LATE) :]
        insort(kept, self.now)
        self._stand(key, start, expires_at=kept[-1] + span)
        self._standing[key].times = kept

    def _gathers(self, key: RunKey | None) -> bool:
        known = None if key is None else self._standing.get(key)
        return known is not None and known.is_gathering

    def _gather(self, start: Start, key: RunKey) -> None:
        known = self._standing.get(key)
        if known is not None and known.is_gathering:
            self._add(start.arrival, start.function, key, known)
            return
        start.status, start.gathered = "parked", [start.arrival.id]
        start.start_at = _gathers_until(start.function, self.now, self.now)
        self.starts[start.run_id] = start
        self._stand(key, start, expires_at=start.start_at)
        self._start_if_full(key, start)

    def _add(self, arrival: Arrival, function: Declaration, key: RunKey, known: Standing) -> None:
        run: Start | Join | None = self.starts.get(known.run_id) or self.joins.get(known.run_id)
        if run is None:
            run = self.joins[known.run_id] = Join(
                run_id=known.run_id, tenant_id=arrival.tenant_id, function=function, start_at=known.expires_at
            )
        run.gathered.append(arrival.id)
        known.count += 1
        known.size += arrival.size
        self.keys[key] = known
        if function.rules.debounce is not None:
            known.expires_at = run.start_at = _gathers_until(function, known.begun_at, self.now)
            if arrival.ts >= known.event_ts:
                known.event_ts, run.arrival = arrival.ts, arrival
        self._start_if_full(key, run)

    def _start_if_full(self, key: RunKey, run: Start | Join) -> None:
        batch, known = run.function.rules.batch, self.keys[key]
        if batch is None or (known.count < batch.size and known.size < BATCH_BYTES):
            return
        known.is_gathering, known.expires_at = False, self.now
        if isinstance(run, Start):
            run.status, run.start_at = "queued", None
        else:
            run.is_full, run.start_at = True, self.now

    def _stand(self, key: RunKey, start: Start, *, expires_at: datetime) -> None:
        self._standing[key] = self.keys[key] = Standing(
            run_id=start.run_id,
            expires_at=expires_at,
            size=start.arrival.size,
            begun_at=self.now,
            event_ts=start.arrival.ts,
            is_gathering=key.kind in ("batch", "debounce"),
        )


def free_at(rate: RateLimit, times: Sequence[datetime], now: datetime) -> datetime | None:
    """Return when the next run of the key may begin, by the times at which others did; None: now."""
    span = _span(rate)
    within = len(times) - bisect_right(times, now - span)
    return None if within < rate.limit else times[-rate.limit] + span


def run_id_of(arrival: Arrival, name: str) -> str:
    """Return the id of the run of the function `app/function_id` that the event starts."""
    return derived_id("run", arrival.id, *name.split("/", 1))


def start_wait(until: datetime) -> Wait:
    """Return the wait that holds a run back before its first link."""
    return Wait(path="", kind="start", wake_at=until)


def cancelling_waits(function: Declaration, arrival: Arrival, *, since: datetime, begins_at: datetime) -> list[Wait]:
    """Return a wait for each event of `cancel_on`; none for one that cannot come, as the run's own has no such key."""
    waits = []
    for number, trigger in enumerate(function.rules.cancel_on):
        value = None if trigger.match is None else look_up(trigger.match, arrival.visible)
        if value is MISSING:
            continue
        assert trigger.timeout is None or isinstance(trigger.timeout, timedelta), "declarations hold timedeltas"
        waits.append(
            Wait(
                path=f"~cancel:{number}",
                kind="cancel",
                wake_at=begins_at + (FOREVER if trigger.timeout is None else trigger.timeout),
                event_name=trigger.event,
                match_path=trigger.match,
                match_value=None if trigger.match is None else encode(value),
                condition=trigger.if_,
                since=since,
            )
        )
    return waits


def in_order(starts: Iterable[Start], now: datetime) -> Iterator[tuple[Start, datetime]]:
    """Return the starts and since when each is queued: a microsecond apart, so that their order stays."""
    return ((start, now + timedelta(microseconds=number)) for number, start in enumerate(starts))


def _span(rate: RateLimit) -> timedelta:
    assert isinstance(rate.per, timedelta), "declarations hold timedeltas"
    return rate.per


def _deadline(function: Declaration, starts_at: datetime) -> datetime | None:
    limit = function.rules.start_timeout
    return None if limit is None else starts_at + limit


def _gathers_until(function: Declaration, begun_at: datetime, now: datetime) -> datetime:
    """Return when a gathering run starts to which an event comes now."""
    batch, debounce = function.rules.batch, function.rules.debounce
    if batch is not None:
        assert isinstance(batch.timeout, timedelta), "declarations hold timedeltas"
        return begun_at + batch.timeout
    assert debounce is not None and isinstance(debounce.period, timedelta), "only these two gather"
    if debounce.max_wait is None:
        return now + debounce.period
    assert isinstance(debounce.max_wait, timedelta), "declarations hold timedeltas"
    return min(now + debounce.period, begun_at + debounce.max_wait)
