"""Secrets: what a tenant entrusts to the installation, above all its keys at the providers of models.

The API and the CLI write, remove and list them; nobody can read one back. Workers ask for the key of a provider when
they call a model. Each change is told in the audit log, without the value. Nothing here may log or raise with a value.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, or_, select, update

from celeriac.database import db_ago, db_now, reading, single, transaction
from celeriac.errors import ConfigError, NotFoundError
from celeriac.tenants import audit
from celeriac.tenants.encryption import Cipher, Sealed
from celeriac.tenants.inserting import insert_or_change
from celeriac.tenants.resealing import keys_in_use, place_of_secret, reseal_page
from celeriac.tenants.tables import tenant_secrets, tenants

#: how long a key is believed without asking the database
CACHE_SECONDS = 0.5

LONGEST_VALUE = 8_192

#: rows that one transaction encrypts anew
PAGE = 200

_USED_EVERY = timedelta(minutes=1)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_CACHED = 10_000


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A secret, without its value."""

    name: str
    #: the provider of models whose key it is
    provider: str | None
    created_at: datetime
    updated_at: datetime
    #: up to a minute late
    last_used_at: datetime | None


class Secrets:
    """The secrets of all tenants; safe to share between threads."""

    def __init__(
        self,
        engine: Engine,
        cipher: Callable[[], Cipher],
        *,
        walled: Engine | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep them in this database; `walled` is its side on which a tenant has to be named."""
        self._engine, self._walled = engine, walled or engine
        self._cipher, self._clock = cipher, clock
        self._keys: dict[tuple[str, str], tuple[float, str | None]] = {}

    def put(self, tenant_id: str, name: str, value: str, *, provider: str | None = None, actor: str) -> Secret:
        """Keep a value under a name, in place of the one that was there.

        Raises `ConfigError` for what cannot be kept, and `NotFoundError` for an unknown tenant.
        """
        _check(name, value, provider)
        sealed = self._cipher().seal(value, place_of_secret(tenant_id, name))
        given = {"provider": provider, "key_id": sealed.key_id, "box": sealed.box, "updated_at": db_now()}
        given["last_used_at"] = None
        row = {**given, "tenant_id": tenant_id, "name": name, "created_at": db_now()}
        with transaction(self._walled, tenant_id) as connection:
            if connection.execute(select(tenants.c.id).where(tenants.c.id == tenant_id)).one_or_none() is None:
                raise NotFoundError(f"There is no tenant {tenant_id!r}; `celeriac tenants ls` shows them all")
            put = insert_or_change(connection, tenant_secrets, row, given).returning(*_SHOWN)
            kept = connection.execute(put).one()
            detail = {"provider": provider} if provider else {}
            audit.record(connection, tenant_id=tenant_id, actor=actor, action="secret.set", subject=name, detail=detail)
        self._keys.clear()
        return Secret(**kept._asdict())

    def list(self, tenant_id: str) -> list[Secret]:
        """Return the tenant's secrets by name, without their values."""
        found = select(*_SHOWN).where(tenant_secrets.c.tenant_id == tenant_id).order_by(tenant_secrets.c.name)
        with reading(self._walled, tenant_id) as connection:
            return [Secret(**row._asdict()) for row in connection.execute(found)]

    def remove(self, tenant_id: str, name: str, *, actor: str) -> None:
        """Forget a secret, here at once and elsewhere within a second; raise `NotFoundError` where there is none."""
        gone = delete(tenant_secrets).where(tenant_secrets.c.tenant_id == tenant_id, tenant_secrets.c.name == name)
        with transaction(self._walled, tenant_id) as connection:
            if not connection.execute(gone).rowcount:
                raise NotFoundError(f"There is no secret {name!r}; `celeriac secrets ls` shows them")
            audit.record(connection, tenant_id=tenant_id, actor=actor, action="secret.removed", subject=name)
        self._keys.clear()

    def key_of(self, tenant_id: str, provider: str) -> str | None:
        """Return the tenant's own key at a provider, up to a second old; the one set last where there are more.

        Raises `ConfigError` where it does not open.
        """
        until, key = self._keys.get((tenant_id, provider), (0.0, None))
        if self._clock() >= until:
            key = self._look_up(tenant_id, provider)
            if len(self._keys) >= _MOST_CACHED:
                self._keys.clear()
            self._keys[tenant_id, provider] = (self._clock() + CACHE_SECONDS, key)
        return key

    def rotate(self, *, actor: str, most: int = PAGE) -> int:
        """Encrypt with the first key what another one encrypted, signing keys too; return how many that were.

        In pages, so that it may be cut off and repeated. Raises `ConfigError` where one does not open.
        """
        cipher, moved = self._cipher(), 0
        if not cipher.key_ids:
            cipher.seal("", ("",))  # says how to make one
        while page := reseal_page(self._engine, cipher, most):
            moved += page
        with single(self._engine) as connection:
            detail = {"secrets": moved, "key_id": cipher.key_ids[0]}
            audit.record(
                connection, tenant_id=None, actor=actor, action="secrets.rotated", subject="secrets", detail=detail
            )
        return moved

    def keys_in_use(self) -> set[str]:
        """Return the ids of the encryption keys that secrets and signing keys were encrypted with."""
        return keys_in_use(self._engine)

    def _look_up(self, tenant_id: str, provider: str) -> str | None:
        is_used_anew = or_(
            tenant_secrets.c.last_used_at.is_(None), tenant_secrets.c.last_used_at <= db_ago(_USED_EVERY)
        )
        found = (
            select(*_SEALED, is_used_anew.label("is_used_anew"))
            .where(tenant_secrets.c.tenant_id == tenant_id, tenant_secrets.c.provider == provider)
            .order_by(tenant_secrets.c.updated_at.desc(), tenant_secrets.c.name)
            .limit(1)
        )
        with reading(self._walled, tenant_id) as connection:
            row = connection.execute(found).one_or_none()
        if row is None:
            return None
        if row.is_used_anew:
            place = (tenant_secrets.c.tenant_id == tenant_id, tenant_secrets.c.name == row.name)
            with single(self._walled, tenant_id) as connection:
                connection.execute(update(tenant_secrets).where(*place).values(last_used_at=db_now()))
        return self._cipher().open(Sealed(key_id=row.key_id, box=row.box), place_of_secret(tenant_id, row.name))


_SHOWN = tuple(tenant_secrets.c[name] for name in ("name", "provider", "created_at", "updated_at", "last_used_at"))
_SEALED = tuple(tenant_secrets.c[name] for name in ("tenant_id", "name", "key_id", "box"))


def _check(name: str, value: str, provider: str | None) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError("The name of a secret has 1 to 64 letters, digits, dots, dashes and underscores")
    if provider is not None and not _NAME.fullmatch(provider):
        raise ConfigError("A provider is named as in a model's name, such as 'openai'")
    if not value.strip() or len(value) > LONGEST_VALUE or "\0" in value:
        raise ConfigError(f"The value of secret {name!r} is empty, longer than {LONGEST_VALUE} characters, or no text")
    if provider is not None and not (value.strip().isascii() and value.strip().isprintable()):
        raise ConfigError(f"The value of secret {name!r} has characters that no provider's key has")
