"""Open invitations: those that may still be accepted, and how they end before they are.

`invitations.py` makes them and takes them back; `people.py` ends them together with the role of whoever they are for,
or of whoever made them. What ends here is written to the audit log in the same transaction.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from celeriac.database import db_now
from celeriac.errors import ConflictError
from celeriac.tenants.audit import record
from celeriac.tenants.roles import EVERYTHING, ROLES, Role, may_change, permissions
from celeriac.tenants.tables import invitations, users

#: neither accepted nor ended, and in time
OPEN = (invitations.c.used_at.is_(None), invitations.c.expires_at > db_now())


def end_invitations(
    connection: Connection,
    tenant_id: str | None,
    *which: ColumnElement[bool],
    actor: str,
    may: frozenset[str] = EVERYTHING,
) -> int:
    """End those of the tenant's (None: of all tenants') open invitations that are so, and return how many were.

    `may` is what the actor may. Raises `ConflictError` where that is not enough for the role that one of them gives.
    """
    whose = () if tenant_id is None else (invitations.c.tenant_id == tenant_id,)
    ended = update(invitations).where(*whose, *OPEN, *which).values(used_at=db_now())
    rows = connection.execute(ended.returning(invitations.c.id, invitations.c.tenant_id, invitations.c.role)).all()
    if not all(may_change(may, row.role) for row in rows):
        detail = "An owner has invited this person to be one too. Only an owner may undo that"
        raise ConflictError(detail, code="owner_invited")
    for row in rows:
        record(connection, tenant_id=row.tenant_id, actor=actor, action="member.uninvited", subject=row.id)
    return len(rows)


def end_invitations_of(
    connection: Connection, tenant_id: str, user_id: str, left: Role | None, *, actor: str, may: frozenset[str]
) -> None:
    """End what would undo that a member may less: the invitations for them, and those that they may make no more.

    `left` is the role that they keep; None: they belong to the tenant no more, but do so until after this call. Raises
    as `end_invitations`.
    """
    found = select(users.c.email, users.c.is_platform_admin).where(users.c.id == user_id)
    user = connection.execute(found).one()
    may_yet = permissions(left, is_platform_admin=bool(user.is_platform_admin))
    beyond = [role for role in ROLES if not may_change(may_yet, role)]
    is_theirs = and_(invitations.c.created_by == f"user:{user_id}", invitations.c.role.in_(beyond))
    end_invitations(connection, tenant_id, or_(invitations.c.email == user.email, is_theirs), actor=actor, may=may)
