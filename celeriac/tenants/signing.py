"""Signing: the signing keys of all tenants at work, for what is sent in a tenant's name.

A signing key signs with its text, so what is stored of it is encrypted, where of other keys only a hash is. `keys.py`
makes, rotates and revokes them and holds this room; the event door and the CLI ask it to sign and to check. A key does
only what its scopes say, whichever side asks. What is known of a tenant's keys is believed for a moment, as with keys.
Nothing here may log, show or raise with a secret.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, func, insert, select

from celeriac.clock import Duration, duration
from celeriac.database import reading, single
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.tenants.channel_token import ChannelGrant, channel_token, read_channel_token, tenant_in
from celeriac.tenants.encryption import Cipher, Sealed
from celeriac.tenants.key_life import CACHE_SECONDS, IS_LIVE, IS_USED_ANEW, LEFT, believed_for, note_use
from celeriac.tenants.key_text import KeyText
from celeriac.tenants.resealing import place_of_signing_key
from celeriac.tenants.roles import SigningScope, scopes_in, scopes_of
from celeriac.tenants.signature import SigningKey, Verdict, check_signature, signature
from celeriac.tenants.tables import api_keys, signing_secrets

log = logging.getLogger(__name__)

#: more would make headers that no server takes
MOST_LIVE = 10

_MOST_CACHED = 10_000


@dataclass(kw_only=True)
class _Known:
    """What is believed of a tenant's keys, newest first."""

    until: float
    keys: list[SigningKey] = field(default_factory=list)
    #: by the id of the key
    scopes: dict[str, frozenset[str]] = field(default_factory=dict)
    #: of which the time of the last use is to be written
    used_anew: set[str] = field(default_factory=set)

    def that_may(self, scope: SigningScope) -> list[SigningKey]:
        """Return the keys with this scope."""
        return [key for key in self.keys if scope in self.scopes[key.id]]


class SigningKeys:
    """The signing keys of all tenants; safe to share between threads."""

    def __init__(
        self,
        engine: Engine,
        cipher: Callable[[], Cipher],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Read them from this side of the database, on which a tenant may have to be named.

        `clock` counts how long they are believed; `now` is the time that signatures tell.
        """
        self._engine, self._cipher = engine, cipher
        self._clock, self._now = clock, now
        self._known: dict[str, _Known] = {}
        self._passed_over: set[str] = set()

    def sign(self, tenant_id: str, body: bytes) -> str:
        """Return the header by which the tenant signs the body now, with one signature for each live key that may.

        Raises `NotFoundError` for a tenant without one, and `ConfigError` where none can be decrypted.
        """
        known, keys = self._look_for("events:sign", tenant_id)
        for key in keys:
            self._note_use(tenant_id, known, key.id)
        return signature(body, keys, self._now())

    def check(self, tenant_id: str, body: bytes, header: str) -> Verdict:
        """Judge the header that came with a body in the tenant's name; raise `ConfigError` as `sign` does."""
        known, now = self._look(tenant_id), self._now()
        verdict = check_signature(body, header, known.that_may("events:sign"), now)
        if verdict.key_id is not None:
            self._note_use(tenant_id, known, verdict.key_id)
        elif verdict.fault == "unknown" and check_signature(body, header, known.keys, now).fault is None:
            return Verdict(fault="not_for_events")  # whoever has the key may learn what it lacks
        return verdict

    def channel_token(self, tenant_id: str, channel: str, topics: Sequence[str], *, lasts: Duration = "15m") -> str:
        """Return a token that lets its holder listen to these topics of a channel, under the newest key that may.

        Raises `ConfigError` for more than an hour or what no token can hold, and what `sign` raises.
        """
        (known, keys), now = self._look_for("channels:grant", tenant_id), self._now()
        key, ends_at = keys[0], now + duration(lasts)
        grant = ChannelGrant(tenant_id=tenant_id, channel=channel, topics=tuple(topics), ends_at=ends_at)
        token = channel_token(grant, key, now)
        self._note_use(tenant_id, known, key.id)
        return token

    def read_channel_token(self, token: str) -> ChannelGrant | None:
        """Return what the token grants; None where it is none, is over, or its key is no more or may not grant it."""
        tenant_id = tenant_in(token)
        if tenant_id is None:
            return None
        keys = self._look(tenant_id).that_may("channels:grant")
        return read_channel_token(token, tenant_id, keys, self._now())

    # -- for `keys.py` ------------------------------------------------------------------------------------------

    def keep(self, connection: Connection, tenant_id: str, text: KeyText) -> None:
        """Keep a new key as part of the transaction that makes it.

        Raises `ConfigError` where nothing encrypts it, and `ConflictError` where the tenant has too many.
        """
        mine = select(func.count()).select_from(api_keys)
        mine = mine.where(api_keys.c.tenant_id == tenant_id, api_keys.c.kind == "signing", IS_LIVE)
        if connection.execute(mine).scalar_one() >= MOST_LIVE:
            detail = f"A tenant has at most {MOST_LIVE} signing keys that are good; revoke one first"
            raise ConflictError(detail, code="too_many_signing_keys")
        sealed = self._cipher().seal(text.plaintext, place_of_signing_key(tenant_id, text.id))
        row = {"tenant_id": tenant_id, "id": text.id, "key_id": sealed.key_id, "box": sealed.box}
        connection.execute(insert(signing_secrets).values(row))

    def forget(self, tenant_id: str) -> None:
        """Believe nothing of the tenant's keys, as they were changed here."""
        self._known.pop(tenant_id, None)

    # -- what is known ------------------------------------------------------------------------------------------

    def _look_for(self, scope: SigningScope, tenant_id: str) -> tuple[_Known, list[SigningKey]]:
        """Return what is known, and the keys with this scope; raise `NotFoundError` where there is none."""
        known = self._look(tenant_id)
        keys = known.that_may(scope)
        if not keys:
            lack = f"with the scope {scope!r}" if known.keys else "that is good"
            how = f"`celeriac keys create {tenant_id} --kind signing --scope {scope}`"
            raise NotFoundError(f"Tenant {tenant_id!r} has no signing key {lack}; {how} makes one")
        return known, keys

    def _look(self, tenant_id: str) -> _Known:
        known = self._known.get(tenant_id)
        if known is None or self._clock() >= known.until:
            known = self._look_up(tenant_id)
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            self._known[tenant_id] = known
        return known

    def _look_up(self, tenant_id: str) -> _Known:
        asked_at, known = self._clock(), _Known(until=0.0)
        statement = (
            select(signing_secrets, api_keys.c.scopes, LEFT, IS_USED_ANEW)
            .join(api_keys, api_keys.c.id == signing_secrets.c.id)
            .where(signing_secrets.c.tenant_id == tenant_id, api_keys.c.tenant_id == tenant_id, IS_LIVE)
            .order_by(api_keys.c.created_at.desc(), api_keys.c.id)
        )
        with reading(self._engine, tenant_id) as connection:
            rows = connection.execute(statement).all()
        for row in rows:
            sealed = Sealed(key_id=row.key_id, box=row.box)
            try:
                secret = self._cipher().open(sealed, place_of_signing_key(tenant_id, row.id))
            except ConfigError as error:
                if row is rows[-1] and not known.keys:
                    raise
                self._tell(tenant_id, row.id, error)
                continue
            known.keys.append(SigningKey(id=row.id, secret=secret))
            known.scopes[row.id] = scopes_of("signing", scopes_in(row.scopes))
            if row.is_used_anew:
                known.used_anew.add(row.id)
        known.until = asked_at + min((believed_for(row.left) for row in rows), default=CACHE_SECONDS)
        return known

    def _tell(self, tenant_id: str, key_id: str, error: ConfigError) -> None:
        """Say once that a key is passed over, so that one that was lost spoils none that was made in its place."""
        if key_id not in self._passed_over:
            self._passed_over.add(key_id)
            log.warning("Signing key %s of tenant %s is passed over: %s", key_id, tenant_id, error.message)

    def _note_use(self, tenant_id: str, known: _Known, key_id: str) -> None:
        if key_id in known.used_anew:
            with single(self._engine, tenant_id) as connection:
                note_use(connection, tenant_id, key_id)
            known.used_anew.discard(key_id)
