"""Keys: how a tenant proves who it is.

A key is `cel_live_<id>_<secret><checksum>`. The plaintext is shown once and never stored; what is stored cannot be
turned back. The web verifies one for each request, so answers are remembered for a moment, shorter than the second
within which a revoked key has to be refused. Nothing here may log or raise with a key in the message.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from sqlalchemy import Engine, func, insert, or_, select, update

from celeriac.database import db_ago, db_now, reading, single
from celeriac.errors import ConfigError, NotFoundError
from celeriac.tenants.tables import api_keys, tenants

KeyKind = Literal["event", "api", "signing"]

#: how long a verified key is believed without asking the database
CACHE_SECONDS = 0.5

#: how often the time of the last use is written
_USED_EVERY = timedelta(minutes=1)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(r"cel_live_([0-9A-Za-z]{10})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})")
_MOST_CACHED = 10_000


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key that was verified: whose it is and what it is good for."""

    id: str
    tenant_id: str
    kind: KeyKind


class Keys:
    """The keys of all tenants; safe to share between threads."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep them in this database."""
        self._engine = engine
        self._clock = clock
        self._verified: dict[str, tuple[float, ApiKey]] = {}
        self._active: dict[str, float] = {}

    def create(self, tenant_id: str, kind: KeyKind) -> tuple[str, str]:
        """Make a key and return its id and its plaintext, which nobody can show again.

        Raises `NotFoundError` for an unknown tenant and `ConfigError` for an unknown kind.
        """
        if kind not in get_args(KeyKind):
            raise ConfigError(f"{kind!r} is no kind of key; use one of: {', '.join(get_args(KeyKind))}")
        key_id, secret = _random(10), _random(32)
        plaintext = f"cel_live_{key_id}_{secret}{_checksum(key_id + secret)}"
        row = {"id": key_id, "tenant_id": tenant_id, "kind": kind, "secret_hash": _hash(plaintext)}
        with single(self._engine) as connection:
            if connection.execute(select(tenants.c.id).where(tenants.c.id == tenant_id)).one_or_none() is None:
                raise NotFoundError(f"There is no tenant {tenant_id!r}; `celeriac tenants ls` shows them all")
            connection.execute(insert(api_keys).values(**row, created_at=db_now()))
        return key_id, plaintext

    def verify(self, plaintext: str) -> ApiKey | None:
        """Return whose key this is, or None for one that is malformed, unknown or revoked.

        A malformed one costs no question to the database; raises `StoreUnavailable` when that does not answer.
        """
        parts = _KEY.fullmatch(plaintext)
        if parts is None or _checksum(parts[1] + parts[2]) != parts[3]:
            return None
        digest = _hash(plaintext)
        until, known = self._verified.get(digest, (0.0, None))
        if known is not None and self._clock() < until:
            return known
        key = self._look_up(parts[1], digest)
        self._remember(digest, key)
        return key

    def is_active(self, key_id: str) -> bool:
        """Say whether there is such a key and it is not revoked; believed as long as a verified key.

        For sessions, which have shown their key once. Raises `StoreUnavailable`.
        """
        if self._clock() < self._active.get(key_id, 0.0):
            return True
        statement = select(api_keys.c.id).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        with reading(self._engine) as connection:
            is_active = connection.execute(statement).one_or_none() is not None
        if is_active:
            if len(self._active) >= _MOST_CACHED:
                self._active.clear()
            self._active[key_id] = self._clock() + CACHE_SECONDS
        return is_active

    def revoke(self, key_id: str) -> None:
        """Refuse the key from now on, in this process at once and elsewhere within a second.

        Raises `NotFoundError` where there is no such key; one that is revoked stays so.
        """
        statement = update(api_keys).where(api_keys.c.id == key_id).returning(api_keys.c.id)
        with single(self._engine) as connection:
            if (
                connection.execute(
                    statement.values(revoked_at=func.coalesce(api_keys.c.revoked_at, db_now()))
                ).one_or_none()
                is None
            ):
                raise NotFoundError(f"There is no key {key_id!r}")
        for digest, (_, key) in list(self._verified.items()):
            if key.id == key_id:
                self._verified.pop(digest, None)
        self._active.pop(key_id, None)

    def _look_up(self, key_id: str, digest: str) -> ApiKey | None:
        is_used_anew = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= db_ago(_USED_EVERY))
        statement = select(api_keys, is_used_anew.label("is_used_anew")).where(
            api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)
        )
        with reading(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        if row is None or not hmac.compare_digest(row.secret_hash, digest):
            return None
        if row.is_used_anew:
            with single(self._engine) as connection:
                connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=db_now()))
        return ApiKey(id=row.id, tenant_id=row.tenant_id, kind=row.kind)

    def _remember(self, digest: str, key: ApiKey | None) -> None:
        if key is None:
            self._verified.pop(digest, None)
            return
        if len(self._verified) >= _MOST_CACHED:
            self._verified.clear()
        self._verified[digest] = (self._clock() + CACHE_SECONDS, key)


def _hash(plaintext: str) -> str:
    return hashlib.sha256(plaintext.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    """Return the CRC-32 of the text in six characters, so that a mistyped key is known without a look-up."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits
