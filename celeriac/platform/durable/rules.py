"""The rules that a declaration has to keep: what it says of triggers, of waiting to start and of ending too late.

Called when user code declares a function, so that what cannot work is an error at import, which says why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from celeriac.clock import Duration, duration
from celeriac.errors import ConfigError
from celeriac.platform.durable.checks import SECOND, WEEK, check_expression, check_span
from celeriac.platform.durable.cron import check_cron
from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.limit_rules import Concurrencies, read_limits
from celeriac.platform.event import RESERVED
from celeriac.platform.expression import check_path
from celeriac.platform.flow.limits import Batch, Debounce, Priority, RateLimit, Singleton, Throttle
from celeriac.platform.trigger import Cron, Trigger

#: what `on=` takes
On = str | Trigger | Cron | Sequence[str | Trigger | Cron]

#: what `cancel_on=` takes
CancelOn = str | Trigger | Sequence[str | Trigger]

MOST_TRIGGERS = 10
MOST_CANCEL_ON = 5
MOST_OF_A_BATCH = 10_000

#: nothing stands still for longer
_LONGEST = timedelta(days=366)

_NAME = re.compile(r"[^\s\x00-\x1f\ud800-\udfff*]{1,255}")
_PATTERN = re.compile(r"[^\s\x00-\x1f\ud800-\udfff*]{0,254}\*")

#: why a function with `batch` may not have the other option
_NOT_WITH_BATCH = {
    "debounce": "both hold events back, each by its own time; a batch already takes all events of its time as one run",
    "idempotency": "its key is that of one event, and a batch has many",
    "cancel_on": "it compares an event with the run's own, and a batch has many",
    "rate_limit": "it decides for each event, and a batch has many; a throttle holds its runs back instead",
    "singleton": "its key is that of one event, and a batch has many",
    "priority": "it is that of one event, and a batch has many",
}


def read_triggers(what: str, on: On) -> tuple[tuple[Trigger, ...], tuple[Cron, ...]]:
    """Return the events and the crons of an `on=`; raise `ConfigError` for what starts nothing."""
    given = [on] if isinstance(on, str | Trigger | Cron) else list(on)
    if len(given) > MOST_TRIGGERS:
        raise ConfigError(f"{what}: {len(given)} triggers in on=; a function has at most {MOST_TRIGGERS}")
    crons = [one for one in given if isinstance(one, Cron)]
    triggers = [_check_trigger(what, one) for one in given if not isinstance(one, Cron)]
    _refuse_twins(what, [(trigger.event, trigger.if_) for trigger in triggers])
    _refuse_twins(what, [(schedule.cron, schedule.tz) for schedule in (check_cron(cron, what) for cron in crons)])
    return tuple(triggers), tuple(crons)


def read_rules(
    what: str,
    *,
    debounce: Debounce | None = None,
    batch: Batch | None = None,
    idempotency: str | None = None,
    cancel_on: CancelOn = (),
    start_timeout: Duration | None = None,
    timeout: Duration | None = None,
    concurrency: Concurrencies = (),
    throttle: Throttle | None = None,
    rate_limit: RateLimit | None = None,
    priority: Priority | None = None,
    singleton: Singleton | None = None,
) -> StartRules:
    """Return the rules as they are stored; raise `ConfigError` for one that cannot work, or not beside another."""
    cancelling = [cancel_on] if isinstance(cancel_on, str | Trigger) else list(cancel_on)
    if batch is not None:
        beside: dict[str, object] = {"debounce": debounce, "idempotency": idempotency, "cancel_on": cancelling}
        beside |= {"rate_limit": rate_limit, "singleton": singleton, "priority": priority}
        for name, reason in _NOT_WITH_BATCH.items():
            if beside[name]:
                raise ConfigError(f"{what}: batch= and {name}= do not go together: {reason}")
    if len(cancelling) > MOST_CANCEL_ON:
        raise ConfigError(f"{what}: {len(cancelling)} events in cancel_on=; there may be at most {MOST_CANCEL_ON}")
    read_batch = None if batch is None else _read_batch(what, batch)
    return StartRules(
        debounce=None if debounce is None else _read_debounce(what, debounce),
        batch=read_batch,
        idempotency=None if idempotency is None else check_expression(what, "idempotency", idempotency),
        cancel_on=tuple(_read_cancelling(what, one) for one in cancelling),
        start_timeout=None if start_timeout is None else _limit(what, "start_timeout", start_timeout),
        timeout=None if timeout is None else _limit(what, "timeout", timeout),
        **read_limits(
            what,
            batch=read_batch,
            concurrency=concurrency,
            throttle=throttle,
            rate_limit=rate_limit,
            priority=priority,
            singleton=singleton,
        ),
    )


def _check_trigger(what: str, given: str | Trigger) -> Trigger:
    trigger = Trigger(given) if isinstance(given, str) else given
    if not isinstance(trigger, Trigger):
        raise ConfigError(f"{what}: on={trigger!r} must be an event's name, a Trigger or a Cron")
    name = trigger.event
    if not isinstance(name, str) or not (_NAME.fullmatch(name) or _PATTERN.fullmatch(name)):
        raise ConfigError(f"{what}: on={name!r} must be an event's name of at most 255 characters; it may end in '*'")
    if name.startswith(RESERVED) and not name.startswith(f"{RESERVED}run."):
        raise ConfigError(f"{what}: events below {RESERVED!r} are the platform's own, but for celeriac/run.*")
    if trigger.match is not None or trigger.timeout is not None:
        raise ConfigError(f"{what}: Trigger(match=, timeout=) of {name!r} belongs into cancel_on=; on= takes if_=")
    if trigger.if_ is not None:
        check_expression(what, f"if_ of {name!r}", trigger.if_)
    return trigger


def _refuse_twins(what: str, triggers: Sequence[tuple[str, str | None]]) -> None:
    for place, one in enumerate(triggers):
        if one in triggers[:place]:
            raise ConfigError(f"{what}: on= names {one[0]!r} twice; leave one of them out")


def _read_debounce(what: str, debounce: Debounce) -> Debounce:
    if not isinstance(debounce, Debounce):
        raise ConfigError(f"{what}: debounce={debounce!r} must be a Debounce, such as Debounce('10s')")
    period = check_span(what, "Debounce(period=)", debounce.period, SECOND, WEEK)
    if debounce.key is not None:
        check_expression(what, "Debounce(key=)", debounce.key)
    max_wait = None
    if debounce.max_wait is not None:
        max_wait = check_span(what, "Debounce(max_wait=)", debounce.max_wait, period, _LONGEST)
    return Debounce(period=period, key=debounce.key, max_wait=max_wait)


def _read_batch(what: str, batch: Batch) -> Batch:
    if not isinstance(batch, Batch):
        raise ConfigError(f"{what}: batch={batch!r} must be a Batch, such as Batch(100, timeout='10s')")
    if not isinstance(batch.size, int) or isinstance(batch.size, bool) or batch.size < 2:
        raise ConfigError(f"{what}: Batch(size={batch.size!r}) must be 2 or more; without batch= each event is a run")
    if batch.size > MOST_OF_A_BATCH:
        raise ConfigError(f"{what}: Batch(size={batch.size}) must be at most {MOST_OF_A_BATCH}")
    timeout = check_span(what, "Batch(timeout=)", batch.timeout, SECOND, _LONGEST)
    for name in ("key", "if_"):
        if (expression := getattr(batch, name)) is not None:
            check_expression(what, f"Batch({name}=)", expression)
    return Batch(batch.size, timeout=timeout, key=batch.key, if_=batch.if_)


def _read_cancelling(what: str, given: str | Trigger) -> Trigger:
    trigger = Trigger(given) if isinstance(given, str) else given
    if not isinstance(trigger, Trigger):
        raise ConfigError(f"{what}: cancel_on={trigger!r} must be an event's name or a Trigger")
    if not isinstance(trigger.event, str) or not _NAME.fullmatch(trigger.event):
        raise ConfigError(f"{what}: cancel_on={trigger.event!r} must be the whole name of an event, without '*'")
    if trigger.match is not None:
        check_path(trigger.match)
    if trigger.if_ is not None:
        check_expression(what, f"if_ of {trigger.event!r} in cancel_on=", trigger.if_, names=("event", "async"))
    timeout = trigger.timeout
    if timeout is not None:
        timeout = _limit(what, f"the timeout of {trigger.event!r} in cancel_on", timeout)
    return replace(trigger, timeout=timeout)


def _limit(what: str, name: str, given: Duration) -> timedelta:
    span = duration(given)
    if not timedelta(0) < span <= _LONGEST:
        raise ConfigError(f"{what}: {name}={given!r} must be more than nothing and at most 366 days")
    return span
