"""Keys that change: scopes, expiry, rotation with overlap, and what is told and written down of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from celeriac.database import db_ago, transaction
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.tenants.audit import Audit
from celeriac.tenants.key_life import CACHE_SECONDS
from celeriac.tenants.keys import Keys, KeyWish
from celeriac.tenants.roles import SCOPES
from celeriac.tenants.tables import api_keys
from celeriac.tenants.tenant import Tenants


@pytest.fixture
def keys(tenancy: Engine) -> Keys:
    return Keys(tenancy)


def move_expiry(engine: Engine, key_id: str, left: timedelta) -> None:
    """Let a key have this long yet, by the database's clock."""
    with transaction(engine) as connection:
        connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(expires_at=db_ago(-left)))


def test_a_key_may_what_its_scopes_say(keys: Keys, tenant_id: str) -> None:
    """Without scopes an API key may all, and an event key can only send."""
    _, some = keys.create(tenant_id, KeyWish.of("api", scopes=["runs:read"]))
    (_, all_of_them), (_, sender) = keys.create(tenant_id, "api"), keys.create(tenant_id, "event")
    found = [key.scopes for key in map(keys.verify, (some, all_of_them, sender)) if key is not None]
    assert found == [{"runs:read"}, SCOPES, {"events:send"}]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (lambda: KeyWish.of("event", scopes=["runs:read"]), "events:send"),
        (lambda: KeyWish.of("api", scopes=["all"]), "'all' is no scope"),
        (lambda: KeyWish.of("api", scopes=["events:sign"]), "'events:sign' is no scope"),
        (lambda: KeyWish.of("signing", scopes=["events:send"]), "channels:grant, events:sign"),
        (lambda: KeyWish.of("api", scopes=[]), "no scope at all"),
        (lambda: KeyWish.of("api", lasts="0s"), "ten years"),
        (lambda: KeyWish.of("api", name="x" * 201), "200"),
        (lambda: KeyWish.of("admin"), "event, api, signing"),
    ],
)
def test_a_key_that_cannot_be_is_refused(wish: Callable[[], KeyWish], says: str) -> None:
    """The message says what can be."""
    with pytest.raises(ConfigError, match=says):
        wish()


def test_an_expired_key_is_refused(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    """From the moment on, also for sessions that began with it."""
    key_id, plaintext = keys.create(tenant_id, KeyWish.of("api", lasts="1h"))
    assert keys.verify(plaintext) is not None
    move_expiry(tenancy, key_id, timedelta(0))
    fresh = Keys(tenancy)
    assert fresh.verify(plaintext) is None
    assert fresh.active(key_id) is None
    assert [key.status for key in keys.list(tenant_id)] == ["expired"]


def test_a_key_is_never_believed_beyond_its_expiry(tenancy: Engine, tenant_id: str) -> None:
    """What was remembered ends with the key, not half a second later."""
    moment = 0.0
    keys = Keys(tenancy, clock=lambda: moment)
    key_id, plaintext = keys.create(tenant_id, "api")
    move_expiry(tenancy, key_id, timedelta(seconds=CACHE_SECONDS / 2))
    assert keys.verify(plaintext) is not None
    tenancy.dispose()
    move_expiry(tenancy, key_id, timedelta(seconds=-1))
    moment = CACHE_SECONDS / 2
    assert keys.verify(plaintext) is None


def test_a_rotated_key_goes_on_for_the_overlap(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    """Then the successor, which may the same, is alone."""
    old_id, old = keys.create(tenant_id, KeyWish.of("api", name="billing", scopes=["runs:read", "keys:read"]))
    new_id, new = keys.rotate(old_id, "1h")
    facts = {key.id: key for key in keys.list(tenant_id)}
    assert (facts[new_id].name, facts[new_id].scopes) == ("billing", ("keys:read", "runs:read"))
    assert facts[new_id].successor_of == old_id
    assert keys.verify(old) is not None and keys.verify(new) is not None
    move_expiry(tenancy, old_id, timedelta(0))
    assert Keys(tenancy).verify(old) is None
    assert Keys(tenancy).verify(new) is not None


def test_an_overlap_never_lengthens_a_key(keys: Keys, tenant_id: str) -> None:
    """And the successor lives as long as its key was meant to."""
    old_id, _ = keys.create(tenant_id, KeyWish.of("api", lasts="1h"))
    before = keys.get(tenant_id, old_id).expires_at
    new_id, _ = keys.rotate(old_id, "24h")
    assert keys.get(tenant_id, old_id).expires_at == before
    new = keys.get(tenant_id, new_id)
    assert new.expires_at is not None and new.expires_at - new.created_at - timedelta(hours=1) < timedelta(seconds=1)


def test_a_key_is_rotated_once_and_only_by_its_tenant(keys: Keys, tenants: Tenants, tenant_id: str) -> None:
    """A key that is gone, or another tenant's, is not found."""
    old_id, _ = keys.create(tenant_id, "api")
    with pytest.raises(NotFoundError):
        keys.rotate(old_id, tenant_id=tenants.create("other").id)
    new_id, _ = keys.rotate(old_id)
    with pytest.raises(ConflictError, match="successor"):
        keys.rotate(old_id)
    keys.revoke(new_id)
    with pytest.raises(NotFoundError):
        keys.rotate(new_id)


def test_the_same_seed_makes_the_same_key_once(keys: Keys, tenant_id: str) -> None:
    """So a request that is sent again is answered alike, with no key stored."""
    first = keys.create(tenant_id, "api", seed=b"secret")
    assert keys.create(tenant_id, "api", seed=b"secret") == first
    assert keys.rotate(first[0], seed=b"other") == keys.rotate(first[0], seed=b"other")
    assert len(keys.list(tenant_id)) == 2


def test_what_happens_to_keys_is_written_down_without_them(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    """Each with who did it; a second revocation changes nothing."""
    old_id, old = keys.create(tenant_id, "event", actor="user:a")
    new_id, new = keys.rotate(old_id, actor="user:b")
    keys.revoke(new_id, actor="user:c")
    keys.revoke(new_id, actor="user:d")
    entries = Audit(tenancy).entries(tenant_id)
    done = {(entry.actor, entry.action, entry.subject) for entry in entries if entry.action.startswith("key.")}
    assert done == {
        ("user:a", "key.created", old_id),
        ("user:b", "key.rotated", old_id),
        ("user:c", "key.revoked", new_id),
    }
    assert not any(secret[-38:-6] in repr(entries) for secret in (old, new))
