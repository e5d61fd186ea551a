"""What an event sets going: pure decisions about triggers and waits, made alike by every store.

Called by ingest, by `match_pending` and by the look back of `await_event`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from celeriac.platform.durable.memo import Wait
from celeriac.platform.event import RESERVED
from celeriac.platform.expression import look_up


def triggers(pattern: str, name: str) -> bool:
    """Say whether a trigger fits the event name; a `*` at its end stands for anything.

    Names of the platform's own events fit only patterns that name their prefix, so that a function on `*` is not
    started by its own ending.
    """
    if not pattern.endswith("*"):
        return pattern == name
    if name.startswith(RESERVED) and not pattern.startswith(RESERVED):
        return False
    return name.startswith(pattern[:-1])


def answers(wait: Wait, event: Mapping[str, Any], received_at: datetime) -> bool:
    """Say whether the event, as `visible` shows it, is the one that the wait is for."""
    if event["name"] != wait.event_name or (wait.since is not None and received_at < wait.since):
        return False
    if wait.match_path is None:
        return True
    found, wanted = look_up(wait.match_path, event), json.loads(wait.match_value or "null")
    # In JSON true is not 1, whatever Python says.
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def visible(name: str, data: Any, event_id: str, ts: datetime) -> dict[str, Any]:
    """Return the event as expressions and waits see it; `event_id` is the sender's id where there is one."""
    return {"name": name, "data": data, "id": event_id, "ts": ts.isoformat()}
