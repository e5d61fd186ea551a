"""Invitations: a link by which somebody joins a tenant once, with a role that was chosen for them.

The token is in the link alone; what is stored of it cannot be turned back. It is good for an e-mail address: whoever
has a user there already proves it by the password, whoever has none chooses one.

Whoever comes with a token says no tenant, and may become a user, who is none's: both are done beside the wall between
tenants, and all else behind it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, insert, select, update

from celeriac.database import db_ago, db_now, reading, transaction
from celeriac.errors import ConflictError, NotFoundError
from celeriac.ids import new_id
from celeriac.tenants.audit import record
from celeriac.tenants.open_invitations import OPEN, end_invitations
from celeriac.tenants.passwords import check_password
from celeriac.tenants.people import People, User, check_email, create_user, give_role, lock_tenant, role_of
from celeriac.tenants.roles import EVERYTHING, Role, check_role, is_more
from celeriac.tenants.tables import invitations, tenants

#: how long an invitation is good
GOOD_FOR = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """An invitation that was not accepted yet; its token is not told again."""

    id: str
    tenant_id: str
    email: str
    role: Role
    created_by: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An invitation in the hands of whom it was sent to."""

    tenant_id: str
    tenant_name: str
    email: str
    role: Role


class Invitations:
    """The invitations of all tenants; safe to share between threads."""

    def __init__(
        self,
        engine: Engine,
        people: People,
        *,
        walled: Engine | None = None,
        good_for: timedelta = GOOD_FOR,
    ) -> None:
        """Keep them in this database; `walled` is its side on which a tenant has to be named."""
        self._engine, self._walled = engine, walled or engine
        self._people = people
        self._good_for = good_for

    def create(
        self, tenant_id: str, email: str, role: str, *, actor: str = "system", may: frozenset[str] = EVERYTHING
    ) -> tuple[Invitation, str]:
        """Invite somebody, and return the invitation with its token, which nobody can show again.

        An earlier one for the same address is good no more. Raises `ConfigError` for what is no address or no role,
        `NotFoundError` for an unknown tenant, and `ConflictError` where the earlier one is not for the actor to end,
        by what they `may`.
        """
        token = secrets.token_urlsafe(32)
        row = {
            "id": new_id("inv"),
            "tenant_id": tenant_id,
            "email": check_email(email),
            "role": check_role(role),
            "token_hash": _hash(token),
            "created_by": actor,
            "created_at": db_now(),
            "expires_at": db_ago(-self._good_for),
        }
        with transaction(self._walled, tenant_id) as connection:
            lock_tenant(connection, tenant_id)
            end_invitations(connection, tenant_id, invitations.c.email == row["email"], actor=actor, may=may)
            made = connection.execute(insert(invitations).values(row).returning(*invitations.c)).one()
            detail = {"email": made.email, "role": made.role}
            record(
                connection, tenant_id=tenant_id, actor=actor, action="member.invited", subject=made.id, detail=detail
            )
        return _invitation_of(made), token

    def open_ones(self, tenant_id: str) -> list[Invitation]:
        """Return the tenant's invitations that may still be accepted, newest first."""
        statement = select(invitations).where(invitations.c.tenant_id == tenant_id, *OPEN)
        with reading(self._walled, tenant_id) as connection:
            rows = connection.execute(statement.order_by(invitations.c.created_at.desc(), invitations.c.id)).all()
        return [_invitation_of(row) for row in rows]

    def get(self, tenant_id: str, invitation_id: str) -> Invitation:
        """Return one that may still be accepted; raise `NotFoundError`."""
        statement = select(invitations).where(
            invitations.c.id == invitation_id, invitations.c.tenant_id == tenant_id, *OPEN
        )
        with reading(self._walled, tenant_id) as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no invitation {invitation_id!r}")
        return _invitation_of(row)

    def take_back(self, tenant_id: str, invitation_id: str, *, actor: str = "system") -> None:
        """Let an invitation be good for nothing; raise `NotFoundError` where there is none that is open."""
        with transaction(self._walled, tenant_id) as connection:
            if not end_invitations(connection, tenant_id, invitations.c.id == invitation_id, actor=actor):
                raise NotFoundError(f"There is no invitation {invitation_id!r}")

    def opened(self, token: str) -> Opened | None:
        """Return what the token invites to; None for one that is forged, too old, or used.

        It does not say whether there is a user of this address: whoever made the link may look, too.
        """
        statement = (
            select(invitations, tenants.c.name.label("tenant_name"))
            .join(tenants, tenants.c.id == invitations.c.tenant_id)
            .where(invitations.c.token_hash == _hash(token), *OPEN)
        )
        with reading(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        return Opened(tenant_id=row.tenant_id, tenant_name=row.tenant_name, email=row.email, role=row.role)

    def accept(self, token: str, password: str) -> tuple[User, str] | None:
        """Let the invited person join, and return them with the tenant; None where token or password is not right.

        Raises `ConfigError` for what is no password, alike for somebody known and somebody new.
        """
        opened = self.opened(token)
        if opened is None:
            return None
        check_password(password)
        known = self._people.sign_in(opened.email, password)
        try:
            return self._join(opened, _hash(token), known, password)
        except ConflictError:  # there is such a user, with another password
            return None

    def _join(self, opened: Opened, token_hash: str, known: User | None, password: str) -> tuple[User, str] | None:
        with transaction(self._engine) as connection:
            lock_tenant(connection, opened.tenant_id)
            used = update(invitations).where(invitations.c.token_hash == token_hash, *OPEN).values(used_at=db_now())
            row = connection.execute(used.returning(*invitations.c)).one_or_none()
            if row is None:
                return None
            user = known or create_user(connection, row.email, password, actor=f"invitation:{row.id}")
            who, detail = f"user:{user.id}", {"invitation": row.id, "role": row.role}
            if is_more(row.role, role_of(connection, row.tenant_id, user.id)):
                give_role(connection, row.tenant_id, user.id, row.role, actor=who)
            record(
                connection, tenant_id=row.tenant_id, actor=who, action="member.joined", subject=user.id, detail=detail
            )
        return user, row.tenant_id


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _invitation_of(row: Row[Any]) -> Invitation:
    return Invitation(
        id=row.id,
        tenant_id=row.tenant_id,
        email=row.email,
        role=row.role,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
