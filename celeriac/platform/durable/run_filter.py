"""The run filter: which runs somebody means, in lists and in bulk actions.

A value that the API, the CLI and the dashboard make and the stores read. What SQL can tell is asked of SQL; the
expression is looked at here, run by run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from celeriac.errors import ConfigError
from celeriac.platform.expression import check, holds
from celeriac.platform.run import Run, Status

_TIMES = ("created_after", "created_before")


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which runs are meant; everything left out matches. Raises `ConfigError` for an expression that says nothing."""

    status: Status | None = None
    app: str | None = None
    function_id: str | None = None
    event_id: str | None = None
    event_name: str | None = None
    #: created at this time or later
    created_after: datetime | None = None
    #: created before this time
    created_before: datetime | None = None
    #: an expression over `event`, the one that it runs with, and `run`
    if_: str | None = None

    def __post_init__(self) -> None:
        """Refuse what can never match."""
        if self.if_ is not None:
            check(self.if_, names=("event", "run"))
        if self.created_after and self.created_before and self.created_after >= self.created_before:
            raise ConfigError("No run was created after that and before this; give created_after the earlier time")

    @property
    def is_empty(self) -> bool:
        """Whether every run is meant."""
        return self == RunFilter()

    def holds_for(self, run: Run, event: Mapping[str, Any] | None) -> bool:
        """Say whether the expression is true of a run and its event, as expressions see it; None: it is not kept."""
        return self.if_ is None or holds(self.if_, {"event": event or {}, "run": _visible(run)})

    def encode(self) -> str:
        """Return the filter as JSON text."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return json.dumps({name: value for name, value in given.items() if value is not None}, default=_told)

    @classmethod
    def decode(cls, text: str) -> RunFilter:
        """Read back what `encode` wrote."""
        given: dict[str, Any] = json.loads(text)
        given |= {name: datetime.fromisoformat(given[name]) for name in _TIMES if name in given}
        return cls(**given)


def function_named(name: str | None) -> dict[str, str | None]:
    """Return the parts of a filter that a function's name means: its id, or `app/id`."""
    app, _, function_id = (name or "").rpartition("/")
    return {"app": app or None, "function_id": function_id or None}


def _visible(run: Run) -> dict[str, Any]:
    """Return the run as expressions see it; times are texts, as in events."""
    return {
        "id": run.id,
        "app": run.app,
        "function_id": run.function_id,
        "version": run.version,
        "event_id": run.event_id,
        "status": run.status,
        "reason": run.reason,
        "output": run.output,
        "error": run.error,
        "usage": run.usage.export(),
        "created_at": _told(run.created_at),
        "started_at": _told(run.started_at),
        "ended_at": _told(run.ended_at),
    }


def _told(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
