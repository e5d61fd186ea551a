"""The ground: what a play needs to know of an installation, a private one or somebody's staging system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine

from celeriac.chaos.plan import Database
from celeriac.chaos.record import Record
from celeriac.tenants.quotas import Limits
from celeriac.wiring import Installation


class Ground(Protocol):
    """An installation on which a play takes place; `stage.py` and `foreign.py` are the two there are."""

    @property
    def rooms(self) -> Installation:
        """The installation, past everything that spoils connections."""
        ...

    @property
    def front(self) -> Installation:
        """The installation as those who send events reach it."""
        ...

    @property
    def engine(self) -> Engine:
        """The database, past everything that spoils connections."""
        ...

    @property
    def record(self) -> Record:
        """What was done and seen."""
        ...

    @property
    def database(self) -> Database:
        """What it has for a database."""
        ...

    @property
    def redis_url(self) -> str:
        """The Redis of the gate, past everything that spoils connections."""
        ...

    @property
    def effects(self) -> Path | None:
        """Where its workers keep the effect log; None where they keep none."""
        ...

    @property
    def has_chronicle(self) -> bool:
        """Whether triggers note every move."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether others work there too."""
        ...

    @property
    def times(self) -> tuple[float, float]:
        """The seconds between two heartbeats, and those after which a silent worker counts as dead."""
        ...

    @property
    def limits(self) -> tuple[Limits, Limits]:
        """The limits of the play's two tenants."""
        ...

    def revive(self) -> None:
        """Start workers again that have ended, where that is the play's business."""
        ...

    async def look_for_joined(self) -> None:
        """Note which processes have joined the fleet since the last look."""
        ...

    async def read(self, statement: str, **values: Any) -> Sequence[Any]:
        """Read from the database."""
        ...
