"""Short words for what tests do with events that start runs by rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from store_stage import TENANT, Stage, function

from celeriac.ids import derived_id
from celeriac.platform.durable.declaration import Declaration, StartRules
from celeriac.platform.event import Event
from celeriac.platform.flow.limits import Batch, Debounce
from celeriac.platform.run import Run
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.sql_reads import SqlReads

AT_ONCE = timedelta(0)
HOUR = timedelta(hours=1)


def ruled(name: str = "work", *triggers: Any, **rules: Any) -> Declaration:
    """Declare a function with start rules."""
    return function(name, *triggers, rules=StartRules(**rules))


def debounced(period: timedelta = HOUR, **options: Any) -> Declaration:
    """Declare `work` with a debounce by `data.key`."""
    return ruled(debounce=Debounce(period, key="event.data.key", **options))


def batched(size: int = 3, timeout: timedelta = HOUR, **options: Any) -> Declaration:
    """Declare `work` with a batch by `data.key`."""
    return ruled(batch=Batch(size, timeout=timeout, key="event.data.key", **options))


def ticket(n: int = 0, key: Any = "a", **options: Any) -> Event:
    """Make an event that starts `work`."""
    return Event("ticket", {"n": n, "key": key}, **options)


def sent(stage: Stage, event: Event, target: str | None = None) -> Run:
    """Take in an event that is alone for its function; return the run of its own."""
    [accepted] = stage.store.ingest(TENANT, [event], target=target).accepted
    return run_of(stage, accepted.id)


def run_of(stage: Stage, event_id: str, name: str = "work") -> Run:
    """Return the run that an event started."""
    return run(stage, derived_id("run", event_id, "desk", name))


def run(stage: Stage, run_id: str) -> Run:
    """Return a run as it stands."""
    if isinstance(stage.store, LocalStore):
        return stage.store.all[run_id].run
    return SqlReads(stage.store._engine).run(TENANT, run_id)  # type: ignore[attr-defined]


def woken(stage: Stage) -> list[str]:
    """Wake what is due, and return the ids of the runs that are queued by it."""
    return [queued.run_id for queued in stage.store.wake_due()]


def numbers(stage: Stage, run_id: str) -> list[int]:
    """Claim a run, and return what stands in its events."""
    claim = stage.claim(run_id)
    return [event.data["n"] for event in claim.events or (claim.event,)]
