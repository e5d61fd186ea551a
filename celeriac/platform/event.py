"""The event: the only thing that comes in, and the only thing that goes out to start other runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: names below this prefix are the platform's own; nobody outside may send them
RESERVED = "celeriac/"

#: the events that signals travel as
_SIGNAL = f"{RESERVED}signal:"


def signal_name(signal: str) -> str:
    """Return the name of the event as which a signal travels."""
    return _SIGNAL + signal


def signal_of(event_name: str) -> str:
    """Return the signal that travels as the event of this name."""
    return event_name.removeprefix(_SIGNAL)


@dataclass(frozen=True)
class Event:
    """Something that happened.

    `id` is the sender's own: a second event with it within 24 h starts nothing. `ts` is when it happened; the
    platform's time of receipt where it is left out. In `ctx.event` the data is plain JSON, or an instance of the
    model that `app.event(name, Model)` bound to the name.
    """

    name: str
    data: Any = None
    id: str | None = None
    ts: datetime | None = None

    def export(self) -> dict[str, Any]:
        """Return plain JSON, as it is stored."""
        out: dict[str, Any] = {"name": self.name, "data": {} if self.data is None else self.data}
        if self.id is not None:
            out["id"] = self.id
        if self.ts is not None:
            out["ts"] = self.ts.isoformat()
        return out
