"""Admission: what the Gate has to know of a run's limits.

The keys and the priority are evaluated once, when the run begins, and stand with it as names: `runs.gate`. The numbers
are those that are declared now, so that a changed one binds at once: the dispatcher puts both together for each run
that it takes to the Gate. A limit that is declared no more binds nobody; one with a new key binds new runs alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.limit_rules import FARTHEST
from celeriac.platform.expression import evaluate, key_of
from celeriac.platform.flow.gate import Pace, Pool, Queued
from celeriac.platform.flow.limits import Concurrency, Throttle

#: the number of a limit that is declared no more: its name stays, so that whoever holds it gives it back
UNBOUND = 1_000_000_000

_LONG = timedelta(days=14)

#: what stands for the time of a throttle until it is filled in
_UNKNOWN = timedelta(0)


def freeze(function: Declaration, event: Mapping[str, Any]) -> str | None:
    """Return what the Gate is to know of a run that begins with the event, as JSON text; None where it is nothing."""
    rules = function.rules
    if not rules.has_gate:
        return None
    scope = {"event": event}
    # The first key, by which an index tells the runs that hold a pool from all others.
    frozen: dict[str, Any] = {"held": True} if any(one.hold == "run" for one in rules.concurrency) else {}
    if rules.concurrency:
        frozen["pools"] = [_named(pool_stem(function, one), one.key, scope) for one in rules.concurrency]
    if rules.throttle is not None:
        frozen["pace"] = _named(pace_stem(function, rules.throttle), rules.throttle.key, scope)
    if rules.priority is not None and (seconds := _seconds(rules.priority.seconds, scope)):
        frozen["priority"] = seconds
    return json.dumps(frozen) if frozen else None


def refused(retry_at: datetime) -> str:
    """Return what stands in the place of it with a run that was skipped: when the next one may begin."""
    return json.dumps({"retry_at": retry_at.isoformat()})


def retry_at_of(frozen: str | None) -> datetime | None:
    """Return when the next run may begin, where this one was skipped until then."""
    text = None if frozen is None else json.loads(frozen).get("retry_at")
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def admission(frozen: str | None) -> Mapping[str, Any]:
    """Return the fields of a `Queued` that stand with its run; the numbers in them are unknown until `bind`."""
    return _NOTHING if frozen is None else _read(frozen)


def bind(run: Queued, function: Declaration | None) -> Queued:
    """Fill in the numbers as the function declares them now; those of what it does not declare bind nobody."""
    if not run.pools and run.pace is None:
        return run
    slots = {} if function is None else {pool_stem(function, one): one.limit for one in function.rules.concurrency}
    pools = tuple(replace(one, slots=slots.get(_stem_of(one.name), UNBOUND)) for one in run.pools)
    return replace(run, pools=pools, pace=None if run.pace is None else _bind_pace(run.pace, function))


def pool_stem(function: Declaration, limit: Concurrency) -> str:
    """Return the beginning that the names of all pools of the limit have, whatever its key says."""
    owner = {"function": function.name, "app": function.app, "tenant": ""}[limit.scope]
    return f"{limit.scope}:{owner}:{limit.hold}:{_short(limit.key)}"


def pace_stem(function: Declaration, throttle: Throttle) -> str:
    """Return the beginning that the names of all paces of the throttle have."""
    return f"throttle:{function.name}:{_short(throttle.key)}"


def _bind_pace(pace: Pace, function: Declaration | None) -> Pace:
    throttle = None if function is None else function.rules.throttle
    if function is None or throttle is None or pace_stem(function, throttle) != _stem_of(pace.name):
        return replace(pace, starts=UNBOUND, per=_LONG, burst=UNBOUND)
    assert isinstance(throttle.per, timedelta), "declarations hold timedeltas"
    return replace(pace, starts=throttle.limit, per=throttle.per, burst=throttle.burst)


def _named(stem: str, key: str | None, scope: Mapping[str, Any]) -> str:
    """Return the name for the value of the key; one that is missing is null."""
    return f"{stem}:{_short(None if key is None else key_of(key, scope) or 'null', 8)}"


def _stem_of(name: str) -> str:
    return name.rpartition(":")[0]


def _short(text: str | None, size: int = 4) -> str:
    return "" if text is None else hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def _seconds(given: str | int, scope: Mapping[str, Any]) -> int:
    """Return the priority, within its bounds; 0 where the expression says no number."""
    value = evaluate(given, scope) if isinstance(given, str) else given
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return 0
    return int(max(-FARTHEST, min(FARTHEST, value)))


@lru_cache(maxsize=4096)
def _read(frozen: str) -> Mapping[str, Any]:
    known = json.loads(frozen)
    pace = known.get("pace")
    return {
        "pools": tuple(Pool(name=name, slots=0, is_for_run=_is_for_run(name)) for name in known.get("pools", ())),
        "pace": None if pace is None else Pace(name=pace, starts=0, per=_UNKNOWN),
        "priority": known.get("priority", 0),
    }


def _is_for_run(name: str) -> bool:
    return name.rsplit(":", 3)[1] == "run"


_NOTHING: Mapping[str, Any] = {}
