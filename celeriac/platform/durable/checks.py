"""Checks of declarations: the expressions and spans of time that rules and limits have in common.

Called at declaration, so that what cannot work is an error at import, which says why and of which function.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from celeriac.clock import Duration, duration
from celeriac.errors import ConfigError
from celeriac.platform.expression import check

SECOND = timedelta(seconds=1)
WEEK = timedelta(days=7)


def check_expression(what: str, name: str, expression: str, *, names: Sequence[str] = ("event",)) -> str:
    """Return an expression that can be evaluated, as it is."""
    if not isinstance(expression, str):
        raise ConfigError(f"{what}: {name} must be an expression in a text, such as 'event.data.user_id'")
    try:
        return check(expression, names=names)
    except ConfigError as error:
        raise ConfigError(f"{what}: {name}: {error}") from error


def check_span(what: str, name: str, given: Duration, least: timedelta, most: timedelta) -> timedelta:
    """Return the duration, which has to lie between the two."""
    span = duration(given)
    if not least <= span <= most:
        raise ConfigError(f"{what}: {name} is {given!r}; it must be {_words(least)} to {_words(most)}")
    return span


def _words(span: timedelta) -> str:
    return f"{span.days} days" if span.days else f"{span.total_seconds():g} s"
