"""People: users with a password, the tenants that they belong to, and their roles there.

The web signs them in and asks for every request of a session whether it is still good; the answer is remembered for a
moment, shorter than the second within which somebody who was disabled, or changed the password, has to be out. Whatever
changes people is written to the audit log in the same transaction. Who may change what is decided by `roles.py`.

A user is no tenant's, so signing in, sessions and whatever changes users work beside the wall; who belongs to a tenant,
and as what, is read and changed behind it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, update

from celeriac.database import db_now, reading, single, transaction
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.ids import new_id
from celeriac.tenants.audit import record
from celeriac.tenants.inserting import insert_once
from celeriac.tenants.open_invitations import end_invitations, end_invitations_of
from celeriac.tenants.passwords import hash_password, is_outdated, is_password
from celeriac.tenants.roles import EVERYTHING, Role, check_role, is_more, may_change, permissions
from celeriac.tenants.tables import SHOWN_OF_USERS, invitations, memberships, tenants, users

#: how long a session is believed without asking the database
CACHE_SECONDS = 0.5

_MOST_CACHED = 10_000
_LONGEST_EMAIL = 254


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who may sign in."""

    id: str
    email: str
    is_platform_admin: bool
    #: a session carries it; it changes with the password
    session_stamp: str
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Member:
    """A user with the role that they have for a tenant; None: none, as a platform admin may."""

    user: User
    role: Role | None

    @property
    def permissions(self) -> frozenset[str]:
        """What they may do for the tenant."""
        return permissions(self.role, is_platform_admin=self.user.is_platform_admin)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A tenant that a user may act for."""

    tenant_id: str
    name: str
    role: Role | None


class People:
    """The users of an installation; safe to share between threads."""

    def __init__(
        self, engine: Engine, *, walled: Engine | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep them in this database; `walled` is its side on which a tenant has to be named."""
        self._engine, self._walled = engine, walled or engine
        self._clock = clock
        self._sessions: dict[tuple[str, str, str], tuple[float, Member]] = {}

    # -- signing in ---------------------------------------------------------------------------------------------

    def sign_in(self, email: str, password: str) -> User | None:
        """Return the user of this e-mail and password; None for a wrong one, an unknown user and a disabled one.

        All take equally long, so that nobody learns which addresses are known.
        """
        with reading(self._engine) as connection:
            row = connection.execute(select(users).where(users.c.email == email.strip().lower())).one_or_none()
        is_right = is_password(None if row is None else row.password_hash, password)
        if row is None or not is_right or row.disabled_at is not None:
            return None
        if is_outdated(row.password_hash):
            with single(self._engine) as connection:
                renewed = update(users).where(users.c.id == row.id, users.c.password_hash == row.password_hash)
                connection.execute(renewed.values(password_hash=hash_password(password)))
        return _user_of(row)

    def session(self, user_id: str, tenant_id: str, stamp: str) -> Member | None:
        """Return who a session belongs to, up to half a second old; None where it is good no more.

        It is until the user is disabled, gets another password, or belongs to the tenant no more.
        """
        name = (user_id, tenant_id, stamp)
        until, known = self._sessions.get(name, (0.0, None))
        if known is not None and self._clock() < until:
            return known
        asked_at, member = self._clock(), self._member(user_id, tenant_id)
        if member is None or member.user.session_stamp != stamp or member.user.disabled_at is not None:
            self._sessions.pop(name, None)
            return None
        if len(self._sessions) >= _MOST_CACHED:
            self._sessions.clear()
        self._sessions[name] = (asked_at + CACHE_SECONDS, member)
        return member

    def places(self, user: User, *, most: int = 100) -> list[Place]:
        """Return the tenants that the user may act for, by name; a platform admin may for all."""
        belongs = (memberships.c.tenant_id == tenants.c.id) & (memberships.c.user_id == user.id)
        statement = select(tenants.c.id, tenants.c.name, memberships.c.role)
        statement = statement.select_from(tenants.join(memberships, belongs, isouter=user.is_platform_admin))
        with reading(self._engine) as connection:
            # Those that the user belongs to stand first, as a platform admin may act for more than a list shows.
            order = (memberships.c.role.is_(None), tenants.c.name, tenants.c.id)
            rows = connection.execute(statement.order_by(*order).limit(most)).all()
        return [Place(tenant_id=row.id, name=row.name, role=row.role) for row in rows]

    def _member(self, user_id: str, tenant_id: str) -> Member | None:
        belongs = (memberships.c.user_id == users.c.id) & (memberships.c.tenant_id == tenant_id)
        statement = select(*_SHOWN, memberships.c.role).select_from(users.outerjoin(memberships, belongs))
        with reading(self._engine) as connection:
            row = connection.execute(statement.where(users.c.id == user_id)).one_or_none()
        if row is None or (row.role is None and not row.is_platform_admin):
            return None
        return Member(user=_user_of(row), role=row.role)

    # -- reading ------------------------------------------------------------------------------------------------

    def users(self) -> list[User]:
        """Return all users by their e-mail."""
        with reading(self._engine) as connection:
            return [_user_of(row) for row in connection.execute(select(*_SHOWN).order_by(users.c.email))]

    def members(self, tenant_id: str) -> list[Member]:
        """Return who belongs to the tenant, by e-mail."""
        statement = select(*_SHOWN, memberships.c.role).join(memberships, memberships.c.user_id == users.c.id)
        found = statement.where(memberships.c.tenant_id == tenant_id).order_by(users.c.email)
        with reading(self._walled, tenant_id) as connection:
            rows = connection.execute(found).all()
        return [Member(user=_user_of(row), role=row.role) for row in rows]

    def named(self, email: str) -> User:
        """Return the user of this e-mail; raise `NotFoundError`. For operators of the installation alone."""
        known = select(*_SHOWN).where(users.c.email == email.strip().lower())
        with reading(self._engine) as connection:
            row = connection.execute(known).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no user {email[:100]!r}; `celeriac users ls` shows them all")
        return _user_of(row)

    # -- changing -----------------------------------------------------------------------------------------------

    def create(self, email: str, password: str, *, is_platform_admin: bool = False, actor: str = "system") -> User:
        """Make a user who belongs to no tenant yet.

        Raises `ConfigError` for an address or a password that is none, and `ConflictError` for a known address.
        """
        with transaction(self._engine) as connection:
            return create_user(connection, email, password, is_platform_admin=is_platform_admin, actor=actor)

    def set_password(self, user_id: str, password: str, *, actor: str = "system") -> None:
        """Give the user another password; sessions that began with the old one end within a second."""
        hashed = hash_password(password)
        with transaction(self._engine) as connection:
            _change(connection, user_id, {"password_hash": hashed, "session_stamp": _stamp()})
            record(connection, tenant_id=None, actor=actor, action="user.password_changed", subject=user_id)
        self._forget(user_id)

    def disable(self, user_id: str, *, actor: str = "system") -> None:
        """Let the user in no more, end all sessions within a second, and the open invitations that they made.

        Raises `NotFoundError`, and `ConflictError` where a tenant would be left without an owner who may sign in.
        """
        with transaction(self._engine) as connection:
            is_owner = (memberships.c.user_id == user_id, memberships.c.role == "owner")
            owned = select(memberships.c.tenant_id).where(*is_owner).order_by(memberships.c.tenant_id)
            for tenant_id in connection.execute(owned).scalars().all():
                lock_tenant(connection, tenant_id)
                _keep_an_owner(connection, tenant_id, user_id)
            end_invitations(connection, None, invitations.c.created_by == f"user:{user_id}", actor=actor)
            _change(connection, user_id, {"disabled_at": func.coalesce(users.c.disabled_at, db_now())})
            record(connection, tenant_id=None, actor=actor, action="user.disabled", subject=user_id)
        self._forget(user_id)

    def enable(self, user_id: str, *, actor: str = "system") -> None:
        """Let the user in again; the sessions of before stay ended."""
        with transaction(self._engine) as connection:
            _change(connection, user_id, {"disabled_at": None, "session_stamp": _stamp()})
            record(connection, tenant_id=None, actor=actor, action="user.enabled", subject=user_id)
        self._forget(user_id)

    def set_role(self, tenant_id: str, user_id: str, role: Role, *, actor: str = "system") -> None:
        """Give any user this role for the tenant, whether or not they belonged to it: for operators alone.

        Raises `NotFoundError` for an unknown user or tenant, and `ConflictError` where no owner would be left.
        """
        check_role(role)
        self._check_known(user_id)
        with transaction(self._walled, tenant_id) as connection:
            lock_tenant(connection, tenant_id)
            _set_role(connection, tenant_id, user_id, role, actor=actor, may=EVERYTHING)
        self._forget(user_id)

    def change_role(
        self, tenant_id: str, user_id: str, role: Role, *, actor: str = "system", may: frozenset[str]
    ) -> None:
        """Give a member another role, on the word of an actor who `may` so much.

        Whoever may less by it keeps no open invitation that would give it back, neither for them nor by them. Raises
        `NotFoundError` for who is no member, and `ConflictError` where no owner would be left, or one is changed or
        made by who may not.
        """
        check_role(role)
        with transaction(self._walled, tenant_id) as connection:
            lock_tenant(connection, tenant_id)
            if role_of(connection, tenant_id, user_id) is None:
                raise NotFoundError(f"There is no member {user_id!r}")
            _set_role(connection, tenant_id, user_id, role, actor=actor, may=may)
        self._forget(user_id)

    def remove(self, tenant_id: str, user_id: str, *, actor: str = "system", may: frozenset[str] = EVERYTHING) -> None:
        """Let the user belong to the tenant no more, and end invitations as `change_role` does; raise as that."""
        with transaction(self._walled, tenant_id) as connection:
            lock_tenant(connection, tenant_id)
            before = role_of(connection, tenant_id, user_id)
            if before is None:
                raise NotFoundError(f"There is no member {user_id!r}")
            _check_may(may, before)
            _keep_an_owner(connection, tenant_id, user_id)
            end_invitations_of(connection, tenant_id, user_id, None, actor=actor, may=may)
            place = (memberships.c.tenant_id == tenant_id, memberships.c.user_id == user_id)
            connection.execute(memberships.delete().where(*place))
            record(connection, tenant_id=tenant_id, actor=actor, action="member.removed", subject=user_id)
        self._forget(user_id)

    def _check_known(self, user_id: str) -> None:
        """Raise `NotFoundError` where there is no such user; a tenant may be given one whom it does not see yet."""
        with reading(self._engine) as connection:
            if connection.execute(select(users.c.id).where(users.c.id == user_id)).one_or_none() is None:
                raise _unknown_user(user_id)

    def _forget(self, user_id: str) -> None:
        for name in [name for name in list(self._sessions) if name[0] == user_id]:
            self._sessions.pop(name, None)


#: what a tenant may see of those who belong to it, as the rule of the table grants it: all but the hash
_SHOWN = tuple(users.c[name] for name in SHOWN_OF_USERS)


def create_user(
    connection: Connection, email: str, password: str, *, is_platform_admin: bool = False, actor: str
) -> User:
    """Make a user as part of a transaction; raise as `People.create`."""
    row = {
        "id": new_id("usr"),
        "email": check_email(email),
        "password_hash": hash_password(password),
        "is_platform_admin": is_platform_admin,
        "session_stamp": _stamp(),
        "created_at": db_now(),
    }
    made = connection.execute(insert_once(connection, users).values(row).returning(*users.c)).one_or_none()
    if made is None:
        raise ConflictError(f"There is a user {row['email']!r} already", code="user_exists")
    detail = {"email": made.email, "is_platform_admin": is_platform_admin}
    record(connection, tenant_id=None, actor=actor, action="user.created", subject=made.id, detail=detail)
    return _user_of(made)


def _set_role(
    connection: Connection, tenant_id: str, user_id: str, role: Role, *, actor: str, may: frozenset[str]
) -> None:
    before = role_of(connection, tenant_id, user_id)
    _check_may(may, before, role)
    if role != "owner":
        _keep_an_owner(connection, tenant_id, user_id)
    give_role(connection, tenant_id, user_id, role, actor=actor)
    if is_more(before, role):
        end_invitations_of(connection, tenant_id, user_id, role, actor=actor, may=may)


def _check_may(may: frozenset[str], *roles: Role | None) -> None:
    """Ask under the tenant's lock, as what a page showed before it may be true no more."""
    if not may_change(may, *roles):
        raise ConflictError("Only an owner may make, change or remove owners", code="owners_only")


def give_role(connection: Connection, tenant_id: str, user_id: str, role: Role, *, actor: str) -> None:
    """Give a role as part of a transaction, and write it down where it is another one than before."""
    place = (memberships.c.tenant_id == tenant_id, memberships.c.user_id == user_id)
    before = role_of(connection, tenant_id, user_id)
    if before == role:
        return
    if before is None:
        row = {"tenant_id": tenant_id, "user_id": user_id, "role": role, "created_at": db_now()}
        connection.execute(insert(memberships).values(row))
    else:
        connection.execute(update(memberships).where(*place).values(role=role))
    detail = {"role": role, "before": before}
    record(connection, tenant_id=tenant_id, actor=actor, action="member.role_changed", subject=user_id, detail=detail)


def role_of(connection: Connection, tenant_id: str, user_id: str) -> Role | None:
    """Return the role that somebody has; None where they do not belong to the tenant."""
    place = (memberships.c.tenant_id == tenant_id, memberships.c.user_id == user_id)
    return connection.execute(select(memberships.c.role).where(*place)).scalar_one_or_none()


def check_email(given: str) -> str:
    """Return the address in lower case; raise `ConfigError` for what is none."""
    email = given.strip().lower()
    name, at, host = email.rpartition("@")
    is_one = bool(name and at and "." in host.strip(".")) and len(email) <= _LONGEST_EMAIL
    if not is_one or not email.isprintable() or any(character.isspace() for character in email):
        raise ConfigError(f"{given[:100]!r} is no e-mail address")
    return email


def lock_tenant(connection: Connection, tenant_id: str) -> None:
    """Hold the tenant until the end of the transaction, so that its people are changed by one at a time.

    Else two at once leave it without an owner, or somebody joins by a link while they are removed. Raises
    `NotFoundError`.
    """
    found = select(tenants.c.id).where(tenants.c.id == tenant_id).with_for_update()
    if connection.execute(found).one_or_none() is None:
        raise NotFoundError(f"There is no tenant {tenant_id!r}; `celeriac tenants ls` shows them all")


def _keep_an_owner(connection: Connection, tenant_id: str, leaving: str) -> None:
    """Raise `ConflictError` where somebody is the last owner who may sign in."""
    found = select(memberships.c.user_id, users.c.disabled_at).join(users, users.c.id == memberships.c.user_id)
    owners = found.where(memberships.c.tenant_id == tenant_id, memberships.c.role == "owner")
    disabled_at = {row.user_id: row.disabled_at for row in connection.execute(owners)}
    if leaving in disabled_at and all(at is not None for user, at in disabled_at.items() if user != leaving):
        detail = f"Tenant {tenant_id!r} has no other owner who may sign in; make somebody else an owner first"
        raise ConflictError(detail, code="last_owner")


def _change(connection: Connection, user_id: str, values: dict[str, Any]) -> None:
    changed = update(users).where(users.c.id == user_id).values(values).returning(users.c.id)
    if connection.execute(changed).one_or_none() is None:
        raise _unknown_user(user_id)


def _unknown_user(user_id: str) -> NotFoundError:
    return NotFoundError(f"There is no user {user_id!r}; `celeriac users ls` shows them all")


def _stamp() -> str:
    return secrets.token_urlsafe(12)


def _user_of(row: Row[*tuple[Any, ...]]) -> User:
    return User(
        id=row.id,
        email=row.email,
        is_platform_admin=bool(row.is_platform_admin),
        session_stamp=row.session_stamp,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
