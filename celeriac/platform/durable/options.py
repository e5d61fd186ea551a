"""The options of a function: what `@app.function`, `app.network` and `app.agent` take, and how it is read.

The one list of them; a new option is a line here, and one in `Options` where it stays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from celeriac.clock import Duration
from celeriac.errors import ConfigError, RunFailed
from celeriac.platform.context import Context
from celeriac.platform.durable.declaration import QUEUES, StartRules
from celeriac.platform.durable.limit_rules import Concurrencies
from celeriac.platform.durable.rules import CancelOn, On, read_rules, read_triggers
from celeriac.platform.flow.limits import Batch, Debounce, Priority, RateLimit, Singleton, Throttle
from celeriac.platform.signature import did_you_mean
from celeriac.platform.trigger import Cron, Trigger

Links = Literal["turn", "budget"]

#: what `on_failure=` takes: it is given the run's own event as `ctx.event`, and how the run failed
OnFailure = Callable[[Context[Any], RunFailed], Awaitable[Any]]

_MOST_RETRIES = 20

_OF_RULES = (
    *("debounce", "batch", "idempotency", "cancel_on", "start_timeout", "timeout"),
    *("concurrency", "throttle", "rate_limit", "priority", "singleton"),
)


class RunOptions(TypedDict, total=False):
    """What can be said of whatever starts runs; None and what is left out mean the default."""

    on: On
    retries: int | None
    links: Links | None
    queue: str | None
    debounce: Debounce | None
    idempotency: str | None
    cancel_on: CancelOn
    start_timeout: Duration | None
    timeout: Duration | None
    on_failure: OnFailure | None
    concurrency: Concurrencies | None
    throttle: Throttle | None
    rate_limit: RateLimit | None
    priority: Priority | None
    singleton: Singleton | None


class FunctionOptions(RunOptions, total=False):
    """What can be said of a function alone."""

    description: str | None
    batch: Batch | None


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options as they were read; None means the app's default."""

    on: tuple[Trigger, ...] = ()
    crons: tuple[Cron, ...] = ()
    rules: StartRules = field(default_factory=StartRules)
    description: str | None = None
    retries: int | None = None
    links: Links | None = None
    queue: str | None = None
    is_internal: bool = False


def check_names(given: Mapping[str, Any], known: type, owner: str) -> None:
    """Raise `ConfigError` for an option that `known`, one of the two dicts above, does not have."""
    names = [*known.__annotations__, "id"]
    for name in given:
        if name not in names:
            raise ConfigError(f"Unknown option {name!r} for {owner}{did_you_mean(name, names)}")


def read_options(what: str, given: Mapping[str, Any]) -> Options:
    """Read the options of `what`; raise `ConfigError` for a value that cannot work, with the reason."""
    triggers, crons = read_triggers(what, given.get("on") or ())
    retries, links, queue = given.get("retries"), given.get("links"), given.get("queue")
    if retries is not None and not 0 <= retries <= _MOST_RETRIES:
        raise ConfigError(f"{what}: retries={retries} must be 0 to {_MOST_RETRIES}")
    if links not in (None, "turn", "budget"):
        raise ConfigError(f"{what}: links={links!r} must be 'turn' or 'budget'")
    if queue is not None and queue not in QUEUES:
        raise ConfigError(f"{what}: queue={queue!r} is none of {', '.join(QUEUES)}{did_you_mean(queue, QUEUES)}")
    return Options(
        on=triggers,
        crons=crons,
        rules=read_rules(what, **{name: given[name] for name in _OF_RULES if given.get(name) is not None}),
        description=given.get("description"),
        retries=retries,
        links=links,
        queue=queue,
    )
