"""Keys of runs: what one run at a time stands for, or what runs are counted by, as the rules of a function say.

`starting.py` decides by what stands for them; the stores keep that under a lock of each key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.declared import Arrival, Declared
from celeriac.platform.expression import holds, key_of

#: an index holds no longer texts on Postgres
_LONGEST_KEY = 500

KeyKind = Literal["debounce", "batch", "idempotency", "rate_limit", "singleton"]


@dataclass(frozen=True, kw_only=True, order=True)
class RunKey:
    """What one run at a time stands for; `key` is the JSON text of the evaluated expression."""

    tenant_id: str
    app: str
    function_id: str
    kind: KeyKind
    key: str


def keys_of(arrival: Arrival, declared: Declared) -> list[RunKey]:
    """Return the keys of which a plan for the event has to know what stands for them."""
    keys: list[RunKey] = []
    for function in declared.started_by(arrival) if declared.has_rules else ():
        if declared.is_paused(arrival.tenant_id, function):
            continue
        found = [batch_key(arrival, function)]
        if found == [None]:
            found = [key(arrival, function) for key in (idempotency_key, rate_key, debounce_key, singleton_key)]
        keys += [key for key in found if key is not None]
    return keys


def batch_key(arrival: Arrival, function: Declaration) -> RunKey | None:
    """Return the key under which the event joins a batch; None where it starts a run of its own."""
    batch = function.rules.batch
    if batch is None or arrival.target is not None:
        return None
    if batch.if_ is not None and not holds(batch.if_, {"event": arrival.visible}):
        return None
    return _shared_key(arrival, function, "batch", batch.key)


def debounce_key(arrival: Arrival, function: Declaration) -> RunKey | None:
    """Return the key under which the event is held back."""
    debounce = function.rules.debounce
    if debounce is None or arrival.target is not None:
        return None
    return _shared_key(arrival, function, "debounce", debounce.key)


def idempotency_key(arrival: Arrival, function: Declaration) -> RunKey | None:
    """Return the key by which the event is known again; an event without it is like no other."""
    expression = function.rules.idempotency
    value = None if expression is None else key_of(expression, {"event": arrival.visible})
    return None if value in (None, "null") else _run_key(arrival, function, "idempotency", value or "")


def rate_key(arrival: Arrival, function: Declaration) -> RunKey | None:
    """Return the key under which runs that begin are counted; those without it share one."""
    rate = function.rules.rate_limit
    return None if rate is None else _shared_key(arrival, function, "rate_limit", rate.key)


def singleton_key(arrival: Arrival, function: Declaration) -> RunKey | None:
    """Return the key for which one run may stand; an event without it, or of which it is false, is no singleton."""
    singleton = function.rules.singleton
    if singleton is None:
        return None
    value = "" if singleton.key is None else key_of(singleton.key, {"event": arrival.visible})
    return None if value in (None, "null", "false") else _run_key(arrival, function, "singleton", value or "")


def _shared_key(arrival: Arrival, function: Declaration, kind: KeyKind, expression: str | None) -> RunKey:
    """Return the key under which events are gathered; those without it share one."""
    value = None if expression is None else key_of(expression, {"event": arrival.visible})
    return _run_key(arrival, function, kind, value or "null")


def _run_key(arrival: Arrival, function: Declaration, kind: KeyKind, key: str) -> RunKey:
    """Return the key; a long one is stood for by its hash, as it is part of an index."""
    if len(key) > _LONGEST_KEY:
        key = hashlib.sha256(key.encode()).hexdigest()
    return RunKey(tenant_id=arrival.tenant_id, app=function.app, function_id=function.function_id, kind=kind, key=key)
