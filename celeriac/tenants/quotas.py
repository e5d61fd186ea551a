"""Quotas: what a tenant may take, as frozen values. Wiring hands them to the Gate and the meter, which enforce them.

A limit comes from the tenant's own values, else from its plan, else from the defaults here. `None` is no limit, or what
the installation says. What is written to the database or typed by a person is read by `read_limits`, which refuses a
name or a value that cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from math import isfinite
from typing import Any, get_type_hints

from celeriac.errors import ConfigError

#: a hundred years
MOST_RETENTION_DAYS = 36_500

#: the largest body that the web takes
MOST_EVENT_BYTES = 8 * 1024 * 1024

#: the names under which a person asks for no limit
_NONE = ("none", "unlimited")

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A tenant's limits; the defaults are generous. Raises `ConfigError` for one that stops the tenant for ever."""

    #: links running at the same time
    running: int = 1_000
    #: run starts that are refilled each second
    starts_per_second: float = 1_000.0
    #: run starts that may be saved up
    starts_burst: int = 5_000
    #: how long ended runs and their events are kept; None: as the installation says; 0: for ever
    retention_days: int | None = None
    #: the share of the fleet beside other tenants who wait: one with 2 is picked twice as often as one with 1
    weight: float = 1.0
    #: requests to the API that are refilled each second
    api_requests_per_second: float | None = None
    #: requests that may be saved up; None: as many as two seconds bring
    api_burst: int | None = None
    #: calls of models a minute, of each provider
    model_requests_per_minute: int | None = None
    #: tokens, read and written, a minute, of each provider
    model_tokens_per_minute: int | None = None
    #: what models may cost in a day of UTC, and in a month, in US dollars
    cost_usd_per_day: float | None = None
    cost_usd_per_month: float | None = None
    #: most runs that may be queued; events that would queue more are refused
    queued_runs: int | None = None
    #: the largest event, in bytes of JSON; never more than the installation takes
    event_bytes: int | None = None
    #: most conversations and memories that are kept
    threads: int | None = None
    memories: int | None = None
    #: whether models may be called with the keys of the installation
    may_use_operator_keys: bool = True
    #: whether events that come by an event key are taken only with a signature
    must_sign_events: bool = False

    def __post_init__(self) -> None:
        """Refuse what would stop the tenant for ever, and what is no number."""
        for name, value in vars(self).items():
            if isinstance(value, bool) != (name in _YES_OR_NO):
                raise _wrong(name, value, "give true or false" if name in _YES_OR_NO else "give a number")
            if value is None and name in _NEVER_NONE:
                raise _wrong(name, value, "give a number above zero")
            if value is None or isinstance(value, bool):
                continue
            if name in _ALSO_ZERO:
                if not value >= 0 or not isfinite(value):
                    raise _wrong(name, value, "give a number that is not below zero, or none")
            elif not value > 0 or not isfinite(value):
                raise _wrong(name, value, "give a number above zero")
        if self.retention_days is not None and self.retention_days > MOST_RETENTION_DAYS:
            raise _wrong("retention_days", self.retention_days, f"give 1 to {MOST_RETENTION_DAYS}, or 0 for ever")
        if self.event_bytes is not None and self.event_bytes > MOST_EVENT_BYTES:
            raise _wrong("event_bytes", self.event_bytes, f"give at most {MOST_EVENT_BYTES}")


#: those that are no numbers
_YES_OR_NO = ("may_use_operator_keys", "must_sign_events")

#: those that the Gate cannot be without
_NEVER_NONE = ("running", "starts_per_second", "starts_burst", "weight")

#: those of which zero means something: kept for ever, nothing may be spent, queued or kept
_ALSO_ZERO = (
    "retention_days",
    "cost_usd_per_day",
    "cost_usd_per_month",
    "queued_runs",
    "threads",
    "memories",
)

#: the names of all limits, in their order
NAMES = tuple(one.name for one in fields(Limits))


def read_limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return some limits with the types that they have, from JSON or from what a person typed.

    Raises `ConfigError` for a name that is no limit, with the likely one, and for a value that it cannot have.
    """
    return {name: _read(name, value) for name, value in given.items()}


def joined(*parts: Mapping[str, Any]) -> Limits:
    """Return the limits that the parts make: what stands in a later one goes before what stands in an earlier one."""
    values: dict[str, Any] = {}
    for part in parts:
        values |= part
    # a newer version may have written a limit that this one does not know yet
    return Limits(**{name: value for name, value in values.items() if name in NAMES})


def set_apart(limits: Limits) -> dict[str, Any]:
    """Return those of the limits that are not the defaults."""
    defaults = vars(Limits())
    return {name: value for name, value in vars(limits).items() if value != defaults[name]}


def _read(name: str, value: Any) -> Any:
    if name not in NAMES:
        close = get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(NAMES)}"
        raise ConfigError(f"There is no limit {name!r}; {hint}")
    kind = _kind(name)
    if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
        read: Any = None
    elif kind is bool:
        read = _read_bool(name, value)
    else:
        read = _read_number(name, value, kind)
    joined({name: read})  # refuses what the limit cannot be
    return read


def _kind(name: str) -> type[Any]:
    hint = get_type_hints(Limits)[name]
    kinds: tuple[type[Any], ...] = getattr(hint, "__args__", (hint,))
    return kinds[0]


def _read_bool(name: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in (*_TRUE, *_FALSE):
        raise _wrong(name, value, "give true or false")
    return text in _TRUE


def _read_number(name: str, value: Any, kind: type[Any]) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError(value)
        number = float(value.replace(",", "").replace("_", "") if isinstance(value, str) else value)
        if kind is int and number != int(number):
            raise ValueError(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise _wrong(name, value, "give a whole number" if kind is int else "give a number") from error
    return int(number) if kind is int else number


def _wrong(name: str, value: Any, advice: str) -> ConfigError:
    return ConfigError(f"The limit {name!r} is {value!r}; {advice}")
