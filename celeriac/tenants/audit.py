"""The audit log: who changed what about a tenant, or about the installation, and when. Rows are only ever added.

Whoever changes keys, people, limits or secrets writes here in the same transaction; the API, the CLI and the dashboard
read. A detail says what was changed and to what, and never holds a key, a password or another secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from celeriac.database import db_now, reading, transaction
from celeriac.ids import new_id
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
    """Reads the log, and writes down what was done elsewhere; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        """Keep it in this database."""
        self._engine = engine

    def note(
        self, tenant_id: str | None, *, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Write down what somebody has just done to runs and functions, whose room knows of no audit log."""
        with transaction(self._engine) as connection:
            record(connection, tenant_id=tenant_id, actor=actor, action=action, subject=subject, detail=detail)

    def entries(self, tenant_id: str | None, *, before: str | None = None, most: int = 50) -> list[AuditEntry]:
        """Return a page of a tenant's entries (None: the installation's), newest first, from those before an id on."""
        statement = select(audit_log).where(audit_log.c.tenant_id.is_(None))
        if tenant_id is not None:
            statement = select(audit_log).where(audit_log.c.tenant_id == tenant_id)
        if before is not None:
            statement = statement.where(audit_log.c.id < before)
        with reading(self._engine, tenant_id) as connection:
            rows = connection.execute(statement.order_by(audit_log.c.id.desc()).limit(most)).all()
        return [AuditEntry(**{**row._asdict(), "detail": json.loads(row.detail)}) for row in rows]
