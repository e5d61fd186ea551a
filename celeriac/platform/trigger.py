"""Triggers: what starts a function, and what cancels its runs. Frozen values that user code writes down."""

from __future__ import annotations

from dataclasses import dataclass

from celeriac.clock import Duration


@dataclass(frozen=True)
class Trigger:
    """An event by its name, which may end in `*`, and what has to hold of it.

    `if_` is an expression over `event`. In `cancel_on` it is one over `event` (the run's own) and `async` (the one
    that comes); there `match="data.order"` says that both have the same at this path, and `timeout` how long after
    its start a run may still be cancelled by it.
    """

    event: str
    if_: str | None = None
    match: str | None = None
    timeout: Duration | None = None


@dataclass(frozen=True)
class Cron:
    """Times by the five fields of cron, read in a time zone: `Cron("0 6 * * *", tz="Europe/Paris", jitter="5m")`.

    A start may be late by up to `jitter` (1 s to 5 m), never by so much that the next one overtakes it. Runs belong to
    the deployment's default tenant, or with `each_tenant` there is one for each active tenant.
    """

    schedule: str
    tz: str = "UTC"
    jitter: Duration | None = None
    each_tenant: bool = False
