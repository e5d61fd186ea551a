"""The dotted path: what a key or a comparison looks at in an event. A missing key is no value and never an error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    return follow(path.split("."), root)


def follow(keys: Sequence[str], root: Any) -> Any:
    """Return what the keys lead to, one below the other, or `MISSING`."""
    value = root
    for key in keys:
        # The exact type first: to ask for the protocol takes longer than all the rest.
        if (type(value) is not dict and not isinstance(value, Mapping)) or key not in value:
            return MISSING
        value = value[key]
    return value
