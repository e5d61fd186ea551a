"""What the fleet has declared, as events are matched against it: functions by their triggers, pauses and schemas.

Built by the stores from what they keep. It is a value: what is declared anew is another one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celeriac.platform.durable.declaration import Declaration, EventSchema
from celeriac.platform.durable.matching import triggers
from celeriac.platform.event import RESERVED
from celeriac.platform.expression import holds
from celeriac.platform.trigger import Trigger

#: (tenant, app, function); an empty tenant stands for all of them
Pause = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A stored event that is to be matched now."""

    id: str
    tenant_id: str
    #: as expressions and waits see it
    visible: Mapping[str, Any]
    ts: datetime
    received_at: datetime
    #: bytes of its data
    size: int = 0
    is_internal: bool = False
    #: `app/function_id` where it is for this function alone
    target: str | None = None
    #: the run that sent it, or whose ending it tells of
    sender: str | None = None

    @property
    def name(self) -> str:
        """The event's name."""
        name: str = self.visible["name"]
        return name


class Declared:
    """Functions, pauses and schemas at one moment."""

    def __init__(
        self, functions: Iterable[Declaration], pauses: Collection[Pause] = (), schemas: Sequence[EventSchema] = ()
    ) -> None:
        """Take the active functions alone."""
        self.functions = {one.name: one for one in functions}
        self.has_rules = any(_looks_at_keys(one) for one in self.functions.values())
        #: whether runs of any of them hold a pool until they end
        self.has_held_pools = any(
            limit.hold == "run" for one in self.functions.values() for limit in one.rules.concurrency
        )
        self._pauses = frozenset(pauses)
        self._by_name: defaultdict[str, list[tuple[Declaration, Trigger]]] = defaultdict(list)
        self._patterns: list[tuple[Declaration, Trigger]] = []
        for one in self.functions.values():
            for trigger in one.on:
                (self._patterns if trigger.event.endswith("*") else self._by_name[trigger.event]).append((one, trigger))
        self._schemas: defaultdict[str, list[EventSchema]] = defaultdict(list)
        for schema in schemas:
            self._schemas[schema.name].append(schema)

    def schemas(self, names: Iterable[str]) -> list[EventSchema]:
        """Return the schemas bound to these names."""
        return [schema for name in names for schema in self._schemas.get(name, ())]

    def has_triggers(self, name: str) -> bool:
        """Say whether an event of this name may start anything."""
        return name in self._by_name or any(triggers(trigger.event, name) for _, trigger in self._patterns)

    def started_by(self, arrival: Arrival) -> list[Declaration]:
        """Return the functions that the event is to start, each once however many of its triggers fit.

        An ending starts no function whose own run it tells of, or such a function would never come to an end.
        """
        if arrival.target is not None:
            target = self.functions.get(arrival.target)
            return [] if target is None else [target]
        found = {}
        for one, trigger in (*self._by_name.get(arrival.name, ()), *self._patterns):
            if one.name in found or not triggers(trigger.event, arrival.name) or _is_of(one, arrival):
                continue
            if trigger.if_ is None or holds(trigger.if_, {"event": arrival.visible}):
                found[one.name] = one
        return [found[name] for name in sorted(found)]

    def is_paused(self, tenant_id: str, function: Declaration) -> bool:
        """Say whether events start no runs of the function for the tenant."""
        place = (function.app, function.function_id)
        return bool(self._pauses) and not self._pauses.isdisjoint({(tenant_id, *place), ("", *place)})


def _looks_at_keys(one: Declaration) -> bool:
    rules = one.rules
    return bool(rules.debounce or rules.batch or rules.idempotency or rules.rate_limit or rules.singleton)


def _is_of(one: Declaration, arrival: Arrival) -> bool:
    """Say whether the event tells of the end of a run of this function."""
    if not arrival.is_internal or not arrival.name.startswith(f"{RESERVED}run."):
        return False
    data = arrival.visible["data"]
    return (data.get("app"), data.get("function_id")) == (one.app, one.function_id)
