"""The formats of event data: dates, ids and addresses that stand in JSON as texts.

The check of schemas hands the checker to its validator. Each format is read by the type that writes it into a schema,
so that the door takes exactly what the worker's model takes: JSON Schema's own idea of a time, for one, is narrower.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import pydantic
from jsonschema import FormatChecker

_TYPES: dict[str, Any] = {
    "date": date,
    "date-time": datetime,
    "duration": timedelta,
    "ipv4": ipaddress.IPv4Address,
    "ipv4network": ipaddress.IPv4Network,
    "ipv6": ipaddress.IPv6Address,
    "ipv6network": ipaddress.IPv6Network,
    "ipvanyaddress": pydantic.IPvAnyAddress,
    "ipvanynetwork": pydantic.IPvAnyNetwork,
    "json-string": pydantic.Json,
    "time": time,
    "uri": pydantic.AnyUrl,
    "uuid": UUID,
    "uuid1": pydantic.UUID1,
    "uuid3": pydantic.UUID3,
    "uuid4": pydantic.UUID4,
    "uuid5": pydantic.UUID5,
}


@cache
def format_checker() -> FormatChecker:
    """Return the checker; a format that it does not know fits everything."""
    checker = FormatChecker(formats=("email", "idn-email"))
    checker.checks("regex", raises=(re.error, RecursionError, OverflowError))(_is_pattern)
    for name, type_ in _TYPES.items():
        checker.checks(name, raises=ValueError)(_reads(pydantic.TypeAdapter(type_)))
    return checker


def _is_pattern(value: object) -> bool:
    if isinstance(value, str):
        re.compile(value)
    return True


def _reads(adapter: pydantic.TypeAdapter[Any]) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        if isinstance(value, str):  # a format says nothing of other types
            adapter.validate_python(value)
        return True

    return fits
