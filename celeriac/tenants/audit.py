"""The audit log: who changed what about a tenant, or about the installation, and when.

Whoever changes keys, people, limits or secrets writes here in the same transaction; the API, the CLI and the dashboard
read. A row is never changed, and goes by its age alone, on the side of the engine: the web may not delete. A detail
says what was changed and to what, and never holds a key, a password or another secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, tuple_

from celeriac.database import db_now, reading, single, transaction
from celeriac.ids import new_id
from celeriac.tenants.audit_filter import AuditFilter
from celeriac.tenants.tables import audit_log


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One change."""

    id: str
    #: whose it was; None: the installation's
    tenant_id: str | None
    #: who did it: `user:<id>`, `key:<id>`, `cli:<login>` or `system`
    actor: str
    #: what was done, such as `limits.changed` or `key.revoked`
    action: str
    #: what it was done to: an id
    subject: str
    #: what changed, as plain JSON
    detail: Mapping[str, Any]
    at: datetime


def record(
    connection: Connection,
    *,
    tenant_id: str | None,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an entry as part of the transaction that makes the change."""
    connection.execute(
        insert(audit_log).values(
            id=new_id("aud"),
            tenant_id=tenant_id,
            actor=actor,
            action=action,
            subject=subject,
            detail=json.dumps(detail or {}),
            at=db_now(),
        )
    )


class Audit:
    """Reads the log, writes down what was done elsewhere, and deletes what is old; safe to share between threads."""

    def __init__(self, engine: Engine, *, walled: Engine | None = None) -> None:
        """Keep it in this database; what is a tenant's own goes through `walled`, where there is one."""
        self._engine, self._walled = engine, walled or engine

    def note(
        self, tenant_id: str | None, *, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Write down what somebody has just done to runs and functions, whose room knows of no audit log."""
        with transaction(self._engine if tenant_id is None else self._walled, tenant_id) as connection:
            record(connection, tenant_id=tenant_id, actor=actor, action=action, subject=subject, detail=detail)

    def entries(
        self,
        tenant_id: str | None,
        where: AuditFilter | None = None,
        *,
        before: str | None = None,
        most: int = 50,
    ) -> list[AuditEntry]:
        """Return a page of a tenant's entries (None: the installation's), newest first, from those before an id on.

        Behind an entry that is deleted there is nothing, as the oldest ones go first.
        """
        columns = audit_log.c
        whose = columns.tenant_id.is_(None) if tenant_id is None else columns.tenant_id == tenant_id
        statement = select(audit_log).where(whose, *_conditions(where or AuditFilter()))
        if before is not None:
            last = select(columns.at, columns.id).where(whose, columns.id == before)
            statement = statement.where(tuple_(columns.at, columns.id) < last.scalar_subquery())
        newest_first = (columns.at.desc(), columns.id.desc())
        with reading(self._engine if tenant_id is None else self._walled, tenant_id) as connection:
            rows = connection.execute(statement.order_by(*newest_first).limit(most)).all()
        return [AuditEntry(**{**row._asdict(), "detail": json.loads(row.detail)}) for row in rows]

    def delete_before(self, before: datetime, *, most: int = 500) -> int:
        """Delete a batch of what was written before that time, of all tenants and of the installation, oldest first.

        Returns how many entries went.
        """
        old = select(audit_log.c.id).where(audit_log.c.at < before).order_by(audit_log.c.at).limit(most)
        with single(self._engine) as connection:
            return connection.execute(delete(audit_log).where(audit_log.c.id.in_(old))).rowcount


def _conditions(where: AuditFilter) -> Iterator[ColumnElement[bool]]:
    columns = audit_log.c
    if where.action is not None and where.action.endswith("."):
        # not by LIKE, to which `_` is any character, and on SQLite the case is nothing
        yield func.substr(columns.action, 1, len(where.action)) == where.action
    elif where.action is not None:
        yield columns.action == where.action
    if where.actor is not None:
        yield columns.actor == where.actor
    if where.subject is not None:
        yield columns.subject == where.subject
    if where.since is not None:
        yield columns.at >= where.since
    if where.until is not None:
        yield columns.at < where.until
