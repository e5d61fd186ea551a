"""Tenants: made by an operator, read by everybody who acts for one.

The CLI and the demo create them; wiring reads their limits for the Gate and the meter. Nothing here looks into a
tenant's data.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, case, func, insert, select, union, update

from celeriac.database import db_ago, db_now, reading, transaction
from celeriac.errors import ConfigError, NotFoundError, StoreUnavailable
from celeriac.ids import new_id
from celeriac.tenants.audit import record
from celeriac.tenants.plans import unknown_plan
from celeriac.tenants.quotas import Limits, joined, read_limits, set_apart
from celeriac.tenants.tables import plans, tenants

log = logging.getLogger(__name__)

#: how long limits are believed without asking the database: they are asked for with every run that is queued
CACHE_SECONDS = 1.0

_PAUSED = select(tenants.c.id).where(tenants.c.paused_at.is_not(None))

_LONGEST_NAME = 200
_MOST_CACHED = 100_000


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A customer of the installation."""

    id: str
    name: str
    #: those that hold: its own, else its plan's, else the defaults
    limits: Limits = field(default_factory=Limits)
    #: those that are its own
    own_limits: Mapping[str, Any] = field(default_factory=dict)
    plan: str | None = None
    paused_at: datetime | None = None
    created_at: datetime

    @property
    def is_paused(self) -> bool:
        """Whether nothing of it starts."""
        return self.paused_at is not None


class Tenants:
    """The tenants of an installation; safe to share between threads."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep them in this database."""
        self._engine = engine
        self._clock = clock
        self._known: dict[str, tuple[float, Tenant]] = {}
        self._paused: tuple[float, frozenset[str]] = (-1.0, frozenset())

    def create(
        self,
        name: str,
        limits: Limits | Mapping[str, Any] | None = None,
        *,
        plan: str | None = None,
        actor: str = "system",
    ) -> Tenant:
        """Make a tenant, with limits of its own and a plan; names may repeat, ids never do.

        Of a `Limits` those that are the defaults are not its own. Raises `ConfigError` for an empty name, a very long
        one, and a limit or a value that cannot be; `NotFoundError` where there is no such plan.
        """
        if not name.strip() or len(name) > _LONGEST_NAME:
            raise ConfigError(f"A tenant's name has 1 to {_LONGEST_NAME} characters; {name[:40]!r} does not")
        own = set_apart(limits) if isinstance(limits, Limits) else read_limits(limits or {})
        tenant_id = new_id("ten")
        row = {"id": tenant_id, "name": name.strip(), "limits": json.dumps(own), "plan": plan}
        with transaction(self._engine) as connection:
            if plan is not None and not _has_plan(connection, plan):
                raise unknown_plan(plan)
            connection.execute(insert(tenants).values(**row, created_at=db_now()))
            detail = own if plan is None else {**own, "plan": plan}
            record(
                connection, tenant_id=tenant_id, actor=actor, action="tenant.created", subject=tenant_id, detail=detail
            )
            return _read(connection, tenant_id)

    def get(self, tenant_id: str) -> Tenant:
        """Return the tenant; raise `NotFoundError` where there is none."""
        with reading(self._engine) as connection:
            return _read(connection, tenant_id)

    def limits(self, tenant_id: str) -> Limits:
        """Return the tenant's limits, up to a second old; raise `NotFoundError` where there is no such tenant."""
        return self.recent(tenant_id).limits

    def recent(self, tenant_id: str) -> Tenant:
        """Return the tenant as it was within the last second; raise `NotFoundError` where there is no such tenant."""
        known = self.remembered(tenant_id)
        if known is None:
            known = self.get(tenant_id)
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            self._known[tenant_id] = (self._clock() + CACHE_SECONDS, known)
        return known

    def remembered(self, tenant_id: str) -> Tenant | None:
        """Return what `recent` would without asking the database; None where it would ask."""
        until, known = self._known.get(tenant_id, (0.0, None))
        return known if self._clock() < until else None

    def is_paused(self, tenant_id: str) -> bool:
        """Say whether nothing of the tenant starts, up to a second old, and older while the database is away.

        All paused tenants are read at once: it is asked for every run that is about to start.
        """
        until, paused = self._paused
        if self._clock() >= until:
            try:
                with reading(self._engine) as connection:
                    paused = frozenset(connection.execute(_PAUSED).scalars())
            except StoreUnavailable:
                log.warning("Who is paused cannot be read; %d tenants are held back as before", len(paused))
            self._paused = (self._clock() + CACHE_SECONDS, paused)
        return tenant_id in paused

    def active(self) -> Sequence[str]:
        """Return the ids of the tenants that are not paused."""
        return [tenant.id for tenant in self.list() if not tenant.is_paused]

    def changed_within(self, span: timedelta) -> Sequence[str]:
        """Return the ids of the tenants that were changed that lately, by themselves or by their plan."""
        since = db_ago(span)
        planned = select(tenants.c.id).join(plans, plans.c.name == tenants.c.plan).where(plans.c.changed_at > since)
        statement = union(select(tenants.c.id).where(tenants.c.changed_at > since), planned)
        with reading(self._engine) as connection:
            return list(connection.execute(statement).scalars())

    def list(self) -> list[Tenant]:
        """Return all tenants, oldest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(_selected().order_by(tenants.c.created_at, tenants.c.id)).all()
        return [_tenant_of(row) for row in rows]

    def set_limits(self, tenant_id: str, limits: Limits, *, actor: str = "system") -> Tenant:
        """Give the tenant these limits in place of its own, known everywhere within a second.

        Those that are the defaults are not its own. Raises `NotFoundError` where there is no such tenant.
        """
        return self._change(tenant_id, actor, lambda _: {"limits": json.dumps(set_apart(limits))})

    def change_limits(
        self,
        tenant_id: str,
        set: Mapping[str, Any] | None = None,
        *,
        unset: Sequence[str] = (),
        plan: str | None = None,
        actor: str = "system",
    ) -> Tenant:
        """Set some of the tenant's own limits, take others from it, and give it a plan ("" for none).

        Known everywhere within a second. Raises `ConfigError` for a limit or a value that cannot be, and
        `NotFoundError` where there is no such tenant or plan.
        """
        wanted = read_limits(set or {})

        def changed(tenant: Tenant) -> dict[str, Any]:
            own = {name: value for name, value in {**tenant.own_limits, **wanted}.items() if name not in unset}
            given = {} if plan is None else {"plan": plan or None}
            return {"limits": json.dumps(own), **given}

        return self._change(tenant_id, actor, changed)

    def pause(self, tenant_id: str, *, actor: str = "system") -> Tenant:
        """Let nothing of the tenant start from now on, in this process at once and elsewhere within a second."""
        since = {"paused_at": case((tenants.c.paused_at.is_(None), db_now()), else_=tenants.c.paused_at)}
        return self._change(tenant_id, actor, lambda _: since, action="tenant.paused")

    def resume(self, tenant_id: str, *, actor: str = "system") -> Tenant:
        """Let a paused tenant's runs start again."""
        return self._change(tenant_id, actor, lambda _: {"paused_at": None}, action="tenant.resumed")

    def _change(
        self,
        tenant_id: str,
        actor: str,
        changed: Callable[[Tenant], Mapping[str, Any]],
        action: str = "limits.changed",
    ) -> Tenant:
        with transaction(self._engine) as connection:
            connection.execute(select(tenants.c.id).where(tenants.c.id == tenant_id).with_for_update()).one_or_none()
            before = _read(connection, tenant_id)
            values = changed(before)
            if values.get("plan") and not _has_plan(connection, values["plan"]):
                raise unknown_plan(values["plan"])
            changed_now = {**values, "changed_at": db_now()}
            connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(changed_now))
            after = _read(connection, tenant_id)
            detail = _told(before, after) if action == "limits.changed" else {}
            record(connection, tenant_id=tenant_id, actor=actor, action=action, subject=tenant_id, detail=detail)
        self._known.pop(tenant_id, None)
        self._paused = (-1.0, self._paused[1])
        return after


def _selected() -> Select[*tuple[Any, ...]]:
    joined_plans = tenants.outerjoin(plans, plans.c.name == tenants.c.plan)
    return select(tenants, func.coalesce(plans.c.limits, "{}").label("of_plan")).select_from(joined_plans)


def _read(connection: Connection, tenant_id: str) -> Tenant:
    row = connection.execute(_selected().where(tenants.c.id == tenant_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no tenant {tenant_id!r}; `celeriac tenants ls` shows them all")
    return _tenant_of(row)


def _has_plan(connection: Connection, name: str) -> bool:
    """Say whether there is such a plan, which stays until the transaction ends."""
    statement = select(plans.c.name).where(plans.c.name == name).with_for_update(read=True)
    return connection.execute(statement).one_or_none() is not None


def _tenant_of(row: Row[*tuple[Any, ...]]) -> Tenant:
    own = json.loads(row.limits)
    return Tenant(
        id=row.id,
        name=row.name,
        limits=joined(json.loads(row.of_plan), own),
        own_limits=own,
        plan=row.plan,
        paused_at=row.paused_at,
        created_at=row.created_at,
    )


def _told(before: Tenant, after: Tenant) -> dict[str, Any]:
    """Return what was changed, for the audit log."""
    names = sorted({*before.own_limits, *after.own_limits})
    changed = {
        name: [before.own_limits.get(name, "plan"), after.own_limits.get(name, "plan")]
        for name in names
        if before.own_limits.get(name, "plan") != after.own_limits.get(name, "plan")
    }
    plan = {} if before.plan == after.plan else {"plan": [before.plan, after.plan]}
    return changed | plan
