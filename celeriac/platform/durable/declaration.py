"""The declaration: what the fleet has to know of a function without loading its code.

A worker writes its app's declarations to the store at boot; ingest and web match events from there, so that an event
for a stopped fleet still gets its run, and the versions of two deploys may overlap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from celeriac.clock import duration
from celeriac.platform.durable.cron import Schedule
from celeriac.platform.flow.limits import (
    Batch,
    Concurrency,
    Debounce,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
)
from celeriac.platform.trigger import Trigger

#: the Celery queues of the fleet
QUEUES = ("runs", "cpu", "memory")


@dataclass(frozen=True, kw_only=True)
class StartRules:
    """What a function says about the beginning and the end of its runs.

    All durations in it are timedeltas.
    """

    debounce: Debounce | None = None
    batch: Batch | None = None
    #: an expression over `event`: one run for each of its values within 24 h
    idempotency: str | None = None
    cancel_on: tuple[Trigger, ...] = ()
    start_timeout: timedelta | None = None
    timeout: timedelta | None = None
    concurrency: tuple[Concurrency, ...] = ()
    throttle: Throttle | None = None
    rate_limit: RateLimit | None = None
    priority: Priority | None = None
    singleton: Singleton | None = None

    @property
    def has_gate(self) -> bool:
        """Whether the Gate has to know more of a run than its tenant."""
        return bool(self.concurrency or self.throttle or self.priority)

    @property
    def limits(self) -> dict[str, Any]:
        """The limits among them, as JSON; durations are seconds."""
        values: dict[str, Any] = {
            "concurrency": [asdict(one) for one in self.concurrency],
            **{name: None if (one := getattr(self, name)) is None else asdict(one) for name in _LIMITS},
        }
        for name in ("throttle", "rate_limit"):
            if values[name] is not None:
                values[name]["per"] = values[name]["per"].total_seconds()
        return values

    def encode(self) -> str | None:
        """Return the rules as JSON text, durations in seconds; None where there are none."""
        return None if self == _NO_RULES else json.dumps(asdict(self), default=timedelta.total_seconds)

    @classmethod
    def decode(cls, text: str | None) -> StartRules:
        """Read back what `encode` wrote; what an older version did not write yet is not there."""
        if text is None:
            return _NO_RULES
        rules = json.loads(text)
        return cls(
            debounce=Debounce(**_timed(rules["debounce"])) if rules["debounce"] else None,
            batch=Batch(**_timed(rules["batch"])) if rules["batch"] else None,
            idempotency=rules["idempotency"],
            cancel_on=tuple(Trigger(**_timed(one)) for one in rules["cancel_on"]),
            **{name: value for name, value in _timed(rules).items() if name in ("start_timeout", "timeout")},
            concurrency=tuple(Concurrency(**one) for one in rules.get("concurrency") or ()),
            **{name: kind(**_timed(rules[name])) for name, kind in _LIMITS.items() if rules.get(name)},
        )


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A function as it stands in the store; (app, function_id) is its key."""

    app: str
    function_id: str
    #: the events that start it; a name alone is a trigger without conditions, and may end in `*`
    triggers: tuple[str | Trigger, ...] = ()
    crons: tuple[Schedule, ...] = ()
    rules: StartRules = field(default_factory=StartRules)
    #: the Celery queue of its links
    queue: str = "runs"
    version: str = ""
    description: str = ""
    #: whether it is the platform's own (memory writes, …): its starts take no token
    is_internal: bool = False
    retries: int = 4

    @property
    def name(self) -> str:
        """The name that is unique in a fleet: `app/function_id`."""
        return f"{self.app}/{self.function_id}"

    @property
    def on(self) -> tuple[Trigger, ...]:
        """The triggers, names alone among them."""
        return tuple(Trigger(one) if isinstance(one, str) else one for one in self.triggers)


@dataclass(frozen=True, kw_only=True)
class EventSchema:
    """The JSON schema that an app bound to an event name; ingest answers data that does not fit with 422."""

    app: str
    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)


_NO_RULES = StartRules()

#: what of the rules is a duration
_DURATIONS = {"period", "max_wait", "timeout", "start_timeout", "per"}

_LIMITS: dict[str, type[Any]] = {
    "throttle": Throttle,
    "rate_limit": RateLimit,
    "priority": Priority,
    "singleton": Singleton,
}


def _timed(rules: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: duration(value) if name in _DURATIONS and value is not None else value for name, value in rules.items()
    }
