"""Plans: named sets of limits. A tenant that has a plan has its limits, but for those that are the tenant's own.

Operators make and change them; a change is known everywhere within a second, for all tenants that have the plan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select, update

from celeriac.database import db_now, reading, transaction
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.tenants.audit import record
from celeriac.tenants.quotas import read_limits
from celeriac.tenants.tables import plans, tenants

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A named set of limits."""

    name: str
    #: those that it sets; all others are the defaults
    limits: Mapping[str, Any]
    created_at: datetime
    #: how many tenants have it
    tenants: int = 0


class Plans:
    """The plans of an installation; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        """Keep them in this database."""
        self._engine = engine

    def list(self) -> list[Plan]:
        """Return all plans by name, each with the number of its tenants."""
        count = select(func.count()).where(tenants.c.plan == plans.c.name).scalar_subquery()
        with reading(self._engine) as connection:
            rows = connection.execute(select(plans, count.label("tenants")).order_by(plans.c.name)).all()
        return [
            Plan(name=row.name, limits=json.loads(row.limits), tenants=row.tenants, created_at=row.created_at)
            for row in rows
        ]

    def get(self, name: str) -> Plan:
        """Return the plan; raise `NotFoundError` where there is none."""
        for plan in self.list():
            if plan.name == name:
                return plan
        raise unknown_plan(name)

    def set(self, name: str, limits: Mapping[str, Any], *, unset: tuple[str, ...] = (), actor: str = "system") -> Plan:
        """Make the plan, or set some of its limits and take others from it.

        Raises `ConfigError` for a name that is none, and for a limit or a value that cannot be.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name[:80]!r} is no name of a plan; use lower case letters, digits, - and _")
        wanted = read_limits(limits)
        with transaction(self._engine) as connection:
            row = connection.execute(select(plans).where(plans.c.name == name).with_for_update()).one_or_none()
            before = {} if row is None else json.loads(row.limits)
            after = {key: value for key, value in {**before, **wanted}.items() if key not in unset}
            if row is None:
                new = {"name": name, "limits": json.dumps(after), "created_at": db_now(), "changed_at": db_now()}
                connection.execute(insert(plans).values(new))
            else:
                changed = {"limits": json.dumps(after), "changed_at": db_now()}
                connection.execute(update(plans).where(plans.c.name == name).values(changed))
            detail = {"before": before, "after": after}
            record(connection, tenant_id=None, actor=actor, action="plan.changed", subject=name, detail=detail)
        return self.get(name)

    def remove(self, name: str, *, actor: str = "system") -> None:
        """Remove a plan that no tenant has.

        Raises `NotFoundError` where there is none, and `ConflictError` while tenants have it.
        """
        with transaction(self._engine) as connection:
            if connection.execute(select(plans).where(plans.c.name == name).with_for_update()).one_or_none() is None:
                raise unknown_plan(name)
            statement = select(func.count()).select_from(tenants).where(tenants.c.plan == name)
            if held := connection.execute(statement).scalar_one():
                raise ConflictError(f"{held} tenants have the plan {name!r}; give them another one first")
            connection.execute(delete(plans).where(plans.c.name == name))
            record(connection, tenant_id=None, actor=actor, action="plan.removed", subject=name)


def unknown_plan(name: str) -> NotFoundError:
    """Return the error of a plan that there is not."""
    return NotFoundError(f"There is no plan {name!r}; `celeriac plans ls` shows them all")
