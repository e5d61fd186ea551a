"""What an event sets going: pure decisions about triggers and waits, made alike by every store.

Called by ingest, by `match_pending` and by the look back of `await_event`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from celeriac.platform.codec import canonical, encode
from celeriac.platform.durable.memo import OutgoingEvent, Wait, WaitKind
from celeriac.platform.event import RESERVED, Event, ended_name, signal_name, signal_of
from celeriac.platform.expression import MISSING, holds, look_up

#: the waits that a signal ends
SIGNALLED: tuple[WaitKind, ...] = ("signal", "order")

_ENDINGS = f"{RESERVED}run."

#: an event with more values than that is compared with all waits
_MOST_VALUES = 1_000


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


def names_of(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names under which runs wait for the event: its own, and that of the end of one run."""
    name: str = event["name"]
    run_id = event["data"].get("run_id") if name.startswith(_ENDINGS) else None
    return (name, ended_name(run_id)) if isinstance(run_id, str) else (name,)


def answers(wait: Wait, event: Mapping[str, Any], received_at: datetime, *, own: Mapping[str, Any]) -> bool:
    """Say whether the event is the one that the wait is for; `own` is the run's. Both are as `visible` shows them."""
    if not fits(wait, event, received_at):
        return False
    return wait.condition is None or holds(wait.condition, {"event": own, "async": event})


def fits(wait: Wait, event: Mapping[str, Any], received_at: datetime) -> bool:
    """Say whether the event is the one that the wait is for, as far as can be told without the run's own event."""
    if wait.event_name not in names_of(event) or (wait.since is not None and received_at < wait.since):
        return False
    if wait.match_path is None:
        return True
    found = look_up(wait.match_path, event)
    return found is not MISSING and canonical(found) == canonical(json.loads(wait.match_value or "null"))


def match_key(wait: Wait) -> int | None:
    """Return the number under which a wait that matches a value is found; None for one that matches none."""
    if wait.match_path is None:
        return None
    return _key(wait.match_path, canonical(json.loads(wait.match_value or "null")))


def match_keys_in(event: Mapping[str, Any]) -> set[int] | None:
    """Return the numbers of all waits that match a value of this event; None where it has too many values."""
    texts: dict[str, str] = {}
    _note_texts(event, "", texts)
    return None if len(texts) > _MOST_VALUES else {_key(path, text) for path, text in texts.items()}


def visible(name: str, data: Any, event_id: str, ts: datetime) -> dict[str, Any]:
    """Return the event as expressions and waits see it; `event_id` is the sender's id where there is one."""
    return {"name": name, "data": data, "id": event_id, "ts": ts.isoformat()}


def visible_event(event: Event) -> dict[str, Any]:
    """Return a run's own event, whose id and time are known, as expressions see it."""
    assert event.id is not None and event.ts is not None, "the store gives every event both"
    return visible(event.name, event.data, event.id, event.ts)


def signal_event(id: str, signal: str, data: Any) -> OutgoingEvent:
    """Return the event as which a signal travels to the run that waits for it."""
    sent = encode({"signal": signal, "data": data})
    return OutgoingEvent(id=id, name=signal_name(signal), data=sent, is_internal=True)


def taken_signal(event_name: str) -> str:
    """Say why a second wait cannot have a signal."""
    signal = signal_of(event_name)
    return f"Another run waits for signal {signal!r} already; give each wait a signal of its own, with an id in it"


def _key(path: str, text: str) -> int:
    digest = hashlib.blake2b(f"{path}={text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _note_texts(value: Mapping[str, Any], above: str, texts: dict[str, str]) -> str:
    """Note the canonical text of all that stands below the path, and return that of the whole."""
    parts = []
    for key in sorted(value):
        one, path = value[key], f"{above}{key}"
        if len(texts) > _MOST_VALUES:
            return ""
        text = _note_texts(one, f"{path}.", texts) if isinstance(one, Mapping) else canonical(one)
        texts[path] = text
        parts.append(f"{canonical(key)}:{text}")
    return "{" + ",".join(parts) + "}"
