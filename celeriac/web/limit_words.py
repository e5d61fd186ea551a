"""Limits in words: how the dashboard and the CLI write what a function says about when its runs may begin."""

from __future__ import annotations

from datetime import timedelta

from celeriac.clock import Duration, duration
from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.flow.limits import Concurrency


def limits_in_words(rules: StartRules) -> list[str]:
    """Return a short line for each limit."""
    words = [_concurrency(one) for one in rules.concurrency]
    if (throttle := rules.throttle) is not None:
        words.append(f"{throttle.limit} starts per {_span(throttle.per)}{_each(throttle.key)}")
    if (rate := rules.rate_limit) is not None:
        words.append(f"at most {rate.limit} runs per {_span(rate.per)}{_each(rate.key)}, others are skipped")
    if (singleton := rules.singleton) is not None:
        other = "others are skipped" if singleton.mode == "skip" else "a new one cancels it"
        words.append(f"one run{_each(singleton.key)}, {other}")
    if rules.priority is not None:
        words.append(f"priority {rules.priority.seconds}")
    return words


def _concurrency(limit: Concurrency) -> str:
    what = "runs at a time" if limit.hold == "run" else "at a time"
    shared = "" if limit.scope == "function" else f", shared by the {limit.scope}"
    return f"{limit.limit} {what}{_each(limit.key)}{shared}"


def _each(key: str | None) -> str:
    return "" if key is None else f" for each {key}"


def _span(given: Duration) -> str:
    span: timedelta = duration(given)
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if span >= unit and span % unit == timedelta(0):
            count = span // unit
            return name if count == 1 else f"{count} {name}s"
    return f"{span.total_seconds():g} s"
