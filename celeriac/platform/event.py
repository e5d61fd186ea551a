"""The event: the only thing that comes in, and the only thing that goes out to start other runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: names below this prefix are the platform's own; nobody outside may send them
RESERVED = "celeriac/"

#: the event of a run that was asked for by the name of its function, and that of a cron's run
INVOKED = f"{RESERVED}invoked"
CRON = f"{RESERVED}cron"

#: the events that signals travel as
_SIGNAL = f"{RESERVED}signal:"

#: what those wait for who wait for the end of one run
_ENDED = f"{RESERVED}ended:"


def signal_name(signal: str) -> str:
    """Return the name of the event as which a signal travels."""
    return _SIGNAL + signal


def signal_of(event_name: str) -> str:
    """Return the signal that travels as the event of this name."""
    return event_name.removeprefix(_SIGNAL)


def ended_name(run_id: str) -> str:
    """Return the name under which the end of one run is waited for."""
    return _ENDED + run_id


def ended_run(event_name: str) -> str:
    """Return the id of the run whose end is waited for under this name."""
    return event_name.removeprefix(_ENDED)


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
