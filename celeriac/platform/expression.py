"""Expressions over events: for now the dotted path, which `match=` and keys use.

A missing key is no value and never an error. Called by ingest and by the step that waits; knows nothing of either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from celeriac.errors import ConfigError

_PATH = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
_LONGEST = 1024


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        """Show the name."""
        return "MISSING"


MISSING: Final = Missing()


def check_path(path: str) -> str:
    """Return the path as it is; raise `ConfigError` where it is no dotted path such as `data.user_id`."""
    if len(path) > _LONGEST or not _PATH.fullmatch(path):
        raise ConfigError(f"{path[:80]!r} is no dotted path; write it like 'data.ticket_id'")
    return path


def look_up(path: str, root: Mapping[str, Any]) -> Any:
    """Return what stands at the dotted path below `root`, or `MISSING`."""
    value: Any = root
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return MISSING
        value = value[key]
    return value
