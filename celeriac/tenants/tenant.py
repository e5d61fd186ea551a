"""Tenants: made by an operator, read by everybody who acts for one.

The CLI and the demo create them; wiring reads their limits for the Gate. Nothing here looks into a tenant's data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, insert, select, update

from celeriac.database import db_now, reading, single
from celeriac.errors import ConfigError, NotFoundError
from celeriac.ids import new_id
from celeriac.tenants.quotas import Limits
from celeriac.tenants.tables import tenants

#: how long limits are believed without asking the database: they are asked for with every run that is queued
CACHE_SECONDS = 1.0

_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A customer of the installation."""

    id: str
    name: str
    limits: Limits = field(default_factory=Limits)
    created_at: datetime


class Tenants:
    """The tenants of an installation; safe to share between threads."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep them in this database."""
        self._engine = engine
        self._clock = clock
        self._limits: dict[str, tuple[float, Limits]] = {}

    def create(self, name: str, limits: Limits | None = None) -> Tenant:
        """Make a tenant; names may repeat, ids never do. Raises `ConfigError` for an empty name or a very long one."""
        if not name.strip() or len(name) > _LONGEST_NAME:
            raise ConfigError(f"A tenant's name has 1 to {_LONGEST_NAME} characters; {name[:40]!r} does not")
        statement = (
            insert(tenants)
            .values(id=new_id("ten"), name=name.strip(), created_at=db_now(), **asdict(limits or Limits()))
            .returning(*tenants.c)
        )
        with single(self._engine) as connection:
            return _tenant_of(connection.execute(statement).one()._asdict())

    def get(self, tenant_id: str) -> Tenant:
        """Return the tenant; raise `NotFoundError` where there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(select(tenants).where(tenants.c.id == tenant_id)).one_or_none()
        if row is None:
            raise _unknown(tenant_id)
        return _tenant_of(row._asdict())

    def limits(self, tenant_id: str) -> Limits:
        """Return the tenant's limits, up to a second old; raise `NotFoundError` where there is no such tenant."""
        until, limits = self._limits.get(tenant_id, (0.0, None))
        if limits is None or self._clock() >= until:
            limits = self.get(tenant_id).limits
            self._limits[tenant_id] = (self._clock() + CACHE_SECONDS, limits)
        return limits

    def list(self) -> list[Tenant]:
        """Return all tenants, oldest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(tenants).order_by(tenants.c.created_at, tenants.c.id)).all()
        return [_tenant_of(row._asdict()) for row in rows]

    def set_limits(self, tenant_id: str, limits: Limits) -> Tenant:
        """Give the tenant new limits, known everywhere within a second; raise `NotFoundError` where there is none."""
        statement = update(tenants).where(tenants.c.id == tenant_id).values(asdict(limits)).returning(*tenants.c)
        with single(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise _unknown(tenant_id)
        self._limits.pop(tenant_id, None)
        return _tenant_of(row._asdict())


def _unknown(tenant_id: str) -> NotFoundError:
    return NotFoundError(f"There is no tenant {tenant_id!r}; `celeriac tenants ls` shows them all")


def _tenant_of(row: Mapping[str, Any]) -> Tenant:
    limits = Limits(**{one.name: row[one.name] for one in fields(Limits)})
    return Tenant(id=row["id"], name=row["name"], limits=limits, created_at=row["created_at"])
