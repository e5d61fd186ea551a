"""Keys: how a tenant proves who it is, and what it may do with which.

A key's plaintext is shown once and never stored, but for that of signing keys, which `signing.py` keeps encrypted. The
web verifies one for each request, so answers are remembered for a moment, shorter than the second within which a
revoked key has to be refused. Whatever changes a key is written to the audit log in the same transaction. Nothing here
may log or raise with a key in the message.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Engine, Row, case, insert, literal, or_, select, update

from celeriac.clock import Duration, duration
from celeriac.database import Moment, db_ago, db_now, reading, single, transaction
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.tenants.audit import record
from celeriac.tenants.encryption import Cipher
from celeriac.tenants.key_life import IS_LIVE, IS_USED_ANEW, LEFT, believed_for, note_use
from celeriac.tenants.key_text import KeyText, digest, id_in, new_key
from celeriac.tenants.roles import check_scopes, scopes_in, scopes_of
from celeriac.tenants.signing import SigningKeys
from celeriac.tenants.tables import api_keys, tenants

KeyKind = Literal["event", "api", "signing"]

_MOST_CACHED = 10_000
_LONGEST_NAME = 200
#: ten years
_LONGEST_LIFE = timedelta(days=3650)


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key that was verified: whose it is and what it is good for."""

    id: str
    tenant_id: str
    kind: KeyKind
    scopes: frozenset[str]
    #: None: never
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class KeyFacts:
    """What may be told about a key."""

    id: str
    tenant_id: str
    kind: KeyKind
    name: str
    #: None: all that its kind may
    scopes: tuple[str, ...] | None
    status: Literal["active", "expired", "revoked"]
    created_at: datetime
    created_by: str | None
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    #: the key that this one was made to replace
    successor_of: str | None


@dataclass(frozen=True, kw_only=True)
class KeyWish:
    """How a key is to be; raises `ConfigError` for what none can be."""

    kind: KeyKind
    name: str = ""
    #: None: all that its kind may
    scopes: frozenset[str] | None = None
    #: None: it never expires
    lasts: timedelta | None = None

    @property
    def ends_at(self) -> datetime | None:
        """When it would end, if it were made now; None: never."""
        return None if self.lasts is None else datetime.now(UTC) + self.lasts

    @classmethod
    def of(
        cls, kind: str, *, name: str = "", scopes: Collection[str] | None = None, lasts: Duration | None = None
    ) -> KeyWish:
        """Read what somebody gave."""
        known = next((one for one in get_args(KeyKind) if one == kind), None)
        if known is None:
            raise ConfigError(f"{kind!r} is no kind of key; use one of: {', '.join(get_args(KeyKind))}")
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise ConfigError(f"A key's name has at most {_LONGEST_NAME} printable characters")
        span = None if lasts is None else duration(lasts)
        if span is not None and not timedelta(0) < span <= _LONGEST_LIFE:
            raise ConfigError("A key lasts ten years at most, and not no time at all; without an expiry it stays")
        return cls(
            kind=known,
            name=name.strip(),
            scopes=check_scopes(known, None if scopes is None else list(scopes)),
            lasts=span,
        )


class Keys:
    """The keys of all tenants; safe to share between threads."""

    def __init__(
        self,
        engine: Engine,
        cipher: Callable[[], Cipher] = lambda: Cipher(""),
        *,
        walled: Engine | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep them in this database; `walled` is its side on which a tenant has to be named.

        Only whose a key is, is asked beside the wall. The cipher is for signing keys, which cannot be made without an
        encryption key.
        """
        self._engine, self._walled = engine, walled or engine
        self.signing = SigningKeys(self._walled, cipher, clock=clock)
        self._clock = clock
        self._verified: dict[str, tuple[float, ApiKey]] = {}
        self._active: dict[str, tuple[float, ApiKey]] = {}

    # -- proving ------------------------------------------------------------------------------------------------

    def verify(self, plaintext: str) -> ApiKey | None:
        """Return whose key this is, or None for one that is malformed, unknown, expired or revoked.

        A malformed one costs no question to the database; raises `StoreUnavailable` when that does not answer.
        """
        key_id = id_in(plaintext)
        if key_id is None:
            return None
        hashed = digest(plaintext)
        until, known = self._verified.get(hashed, (0.0, None))
        if known is not None and self._clock() < until:
            return known
        asked_at, row = self._clock(), self._look_up(key_id)
        if row is None or not hmac.compare_digest(row.secret_hash, hashed):
            self._verified.pop(hashed, None)
            return None
        if row.is_used_anew:
            with single(self._walled, row.tenant_id) as connection:
                note_use(connection, row.tenant_id, key_id)
        return _remember(self._verified, hashed, asked_at, row)

    def active(self, key_id: str) -> ApiKey | None:
        """Return the key of this id unless it is expired or revoked; believed as long as a verified key.

        For sessions, which have shown their key once. Raises `StoreUnavailable`.
        """
        until, known = self._active.get(key_id, (0.0, None))
        if known is not None and self._clock() < until:
            return known
        asked_at, row = self._clock(), self._look_up(key_id)
        return None if row is None else _remember(self._active, key_id, asked_at, row)

    def _look_up(self, key_id: str) -> Row[Any] | None:
        """Return the key, whoever's it is: its tenant is known only by this."""
        statement = select(api_keys, IS_USED_ANEW, LEFT).where(api_keys.c.id == key_id, IS_LIVE)
        with reading(self._engine) as connection:
            return connection.execute(statement).one_or_none()

    def _owner(self, key_id: str) -> str:
        """Return whose key it is, for operators, who name the key alone."""
        with reading(self._engine) as connection:
            found = connection.execute(select(api_keys.c.tenant_id).where(api_keys.c.id == key_id)).scalar_one_or_none()
        if found is None:
            raise _unknown(key_id)
        return str(found)

    # -- changing -----------------------------------------------------------------------------------------------

    def create(
        self,
        tenant_id: str,
        wish: KeyKind | KeyWish,
        *,
        actor: str = "system",
        seed: bytes | None = None,
        until: datetime | None = None,
    ) -> tuple[str, str]:
        """Make a key and return its id and its plaintext, which nobody can show again.

        It ends at `until` at the latest, which is when its maker does, if that is a key. With a seed, a second call
        makes nothing and returns the same. Raises `NotFoundError` for an unknown tenant and
        `ConfigError` for an unknown kind, or a signing key that nothing encrypts.
        """
        wish = wish if isinstance(wish, KeyWish) else KeyWish.of(wish)
        text = new_key(seed)
        with transaction(self._walled, tenant_id) as connection:
            if connection.execute(select(tenants.c.id).where(tenants.c.id == tenant_id)).one_or_none() is None:
                raise NotFoundError(f"There is no tenant {tenant_id!r}; `celeriac tenants ls` shows them all")
            if not _is_there(connection, tenant_id, text):
                self._insert(connection, tenant_id, wish, text, actor=actor, until=until)
                detail = {"kind": wish.kind, "name": wish.name, "scopes": _listed(wish.scopes)}
                record(
                    connection, tenant_id=tenant_id, actor=actor, action="key.created", subject=text.id, detail=detail
                )
        self.signing.forget(tenant_id)
        return text.id, text.plaintext

    def rotate(
        self,
        key_id: str,
        overlap: Duration = "24h",
        *,
        tenant_id: str | None = None,
        actor: str = "system",
        seed: bytes | None = None,
        until: datetime | None = None,
    ) -> tuple[str, str]:
        """Make a successor of the same name, kind and scopes, and return its id and plaintext.

        The old key expires after the overlap; it is the tenant's, or, without one, anybody's. A successor of one that
        would expire by itself lives as long as that was meant to, and as with `create` until then at most. Raises
        `NotFoundError` for a key that is not there, or no more, and `ConflictError` for one that has a successor.
        """
        span = duration(overlap)
        if span > _LONGEST_LIFE:
            raise ConfigError("The overlap is longer than ten years; leave the old key alone for that")
        text = new_key(seed)
        owner = self._owner(key_id) if tenant_id is None else tenant_id
        with transaction(self._walled, owner) as connection:
            if seed is not None and _is_there(connection, owner, text):
                return text.id, text.plaintext
            place = _place(owner, key_id)
            old = connection.execute(select(api_keys).where(*place, IS_LIVE).with_for_update()).one_or_none()
            if old is None:
                raise _unknown(key_id)
            if _has_successor(connection, owner, key_id):
                raise ConflictError(f"Key {key_id!r} has a successor already; rotate that one", code="key_rotated")
            lasts = None if old.expires_at is None else old.expires_at - old.created_at
            wish = KeyWish(kind=old.kind, name=old.name, scopes=scopes_in(old.scopes), lasts=lasts)
            self._insert(connection, owner, wish, text, actor=actor, until=until, successor_of=key_id)
            ends = db_ago(-span)
            is_sooner = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > ends)
            connection.execute(update(api_keys).where(*place, is_sooner).values(expires_at=ends))
            detail = {"successor": text.id, "overlap_seconds": span.total_seconds()}
            record(connection, tenant_id=owner, actor=actor, action="key.rotated", subject=key_id, detail=detail)
        self._forget(owner, key_id)
        return text.id, text.plaintext

    def revoke(self, key_id: str, *, tenant_id: str | None = None, actor: str = "system") -> None:
        """Refuse the key from now on, in this process at once and elsewhere within a second.

        Raises `NotFoundError` where there is no such key; one that is revoked stays so.
        """
        owner = self._owner(key_id) if tenant_id is None else tenant_id
        place = _place(owner, key_id)
        with transaction(self._walled, owner) as connection:
            found = connection.execute(select(api_keys.c.revoked_at).where(*place).with_for_update()).one_or_none()
            if found is None:
                raise _unknown(key_id)
            if found.revoked_at is None:
                connection.execute(update(api_keys).where(*place).values(revoked_at=db_now()))
                record(connection, tenant_id=owner, actor=actor, action="key.revoked", subject=key_id)
        self._forget(owner, key_id)

    def list(self, tenant_id: str) -> list[KeyFacts]:
        """Return what may be told of the tenant's keys, newest first; never a key."""
        statement = select(api_keys, LEFT).where(api_keys.c.tenant_id == tenant_id)
        with reading(self._walled, tenant_id) as connection:
            rows = connection.execute(statement.order_by(api_keys.c.created_at.desc(), api_keys.c.id)).all()
        return [_facts(row) for row in rows]

    def get(self, tenant_id: str | None, key_id: str) -> KeyFacts:
        """Return what may be told of one key of the tenant (None: of any); raise `NotFoundError`."""
        owner = self._owner(key_id) if tenant_id is None else tenant_id
        with reading(self._walled, owner) as connection:
            row = connection.execute(select(api_keys, LEFT).where(*_place(owner, key_id))).one_or_none()
        if row is None:
            raise _unknown(key_id)
        return _facts(row)

    def _insert(
        self,
        connection: Connection,
        tenant_id: str,
        wish: KeyWish,
        text: KeyText,
        *,
        actor: str,
        until: datetime | None,
        successor_of: str | None = None,
    ) -> None:
        if wish.kind == "signing":
            self.signing.keep(connection, tenant_id, text)
        made = {"created_by": actor, "successor_of": successor_of, "expires_at": _end(wish.lasts, until)}
        row = _row(tenant_id, wish, text) | made
        connection.execute(insert(api_keys).values(row))

    def _forget(self, tenant_id: str, key_id: str) -> None:
        self.signing.forget(tenant_id)
        for hashed, (_, key) in list(self._verified.items()):
            if key.id == key_id:
                self._verified.pop(hashed, None)
        self._active.pop(key_id, None)


def _remember(cache: dict[str, tuple[float, ApiKey]], name: str, asked_at: float, row: Row[Any]) -> ApiKey:
    """Believe the row for a moment from the time of the question on, and never beyond the key's expiry."""
    scopes = scopes_of(row.kind, scopes_in(row.scopes))
    key = ApiKey(id=row.id, tenant_id=row.tenant_id, kind=row.kind, scopes=scopes, expires_at=row.expires_at)
    if len(cache) >= _MOST_CACHED:
        cache.clear()
    cache[name] = (asked_at + believed_for(row.left), key)
    return key


def _is_there(connection: Connection, tenant_id: str, text: KeyText) -> bool:
    found = select(api_keys.c.secret_hash).where(*_place(tenant_id, text.id))
    return connection.execute(found).scalar_one_or_none() == text.digest


def _has_successor(connection: Connection, tenant_id: str, key_id: str) -> bool:
    successor = select(api_keys.c.id).where(api_keys.c.tenant_id == tenant_id, api_keys.c.successor_of == key_id)
    return connection.execute(successor).first() is not None


def _row(tenant_id: str, wish: KeyWish, text: KeyText) -> dict[str, Any]:
    scopes = _listed(wish.scopes)
    return {
        "id": text.id,
        "tenant_id": tenant_id,
        "kind": wish.kind,
        "name": wish.name,
        "scopes": None if scopes is None else " ".join(scopes),
        "secret_hash": text.digest,
        "created_at": db_now(),
    }


def _place(tenant_id: str, key_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id


def _end(lasts: timedelta | None, until: datetime | None) -> Any:
    """Return for a statement when a key ends, by the database's clock."""
    if lasts is None or until is None:
        return until if lasts is None else db_ago(-lasts)
    ends = db_ago(-lasts)
    return case((ends < until, ends), else_=literal(until, Moment))


def _facts(row: Row[Any]) -> KeyFacts:
    scopes = _listed(scopes_in(row.scopes))
    return KeyFacts(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=row.kind,
        name=row.name,
        scopes=None if scopes is None else tuple(scopes),
        status="revoked" if row.revoked_at else "expired" if row.left is not None and row.left <= 0 else "active",
        created_at=row.created_at,
        created_by=row.created_by,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        successor_of=row.successor_of,
    )


def _listed(scopes: frozenset[str] | None) -> list[str] | None:
    return None if scopes is None else sorted(scopes)


def _unknown(key_id: str) -> NotFoundError:
    return NotFoundError(f"There is no key {key_id!r}")
