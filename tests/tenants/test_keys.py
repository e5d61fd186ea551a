"""Keys: shown once, kept as hashes, refused as soon as they are revoked."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select

from celeriac.database import reading
from celeriac.errors import ConfigError, NotFoundError
from celeriac.tenants.encryption import Cipher, new_key
from celeriac.tenants.key_life import CACHE_SECONDS
from celeriac.tenants.keys import ApiKey, KeyKind, Keys
from celeriac.tenants.roles import OF_KINDS
from celeriac.tenants.tables import api_keys
from celeriac.tenants.tenant import Tenants


@pytest.fixture
def keys(tenancy: Engine) -> Keys:
    return Keys(tenancy, lambda: Cipher(new_key("k1")))


@pytest.fixture
def tenant_id(tenants: Tenants) -> str:
    return tenants.create("bank").id


@pytest.mark.parametrize("kind", ["event", "api", "signing"])
def test_a_key_proves_whose_it_is(keys: Keys, tenant_id: str, kind: KeyKind) -> None:
    key_id, plaintext = keys.create(tenant_id, kind)
    assert re.fullmatch(r"cel_live_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}", plaintext)
    assert keys.verify(plaintext) == ApiKey(id=key_id, tenant_id=tenant_id, kind=kind, scopes=OF_KINDS[kind])


def test_the_plaintext_is_nowhere_in_the_database(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    _, plaintext = keys.create(tenant_id, "api")
    with reading(tenancy) as connection:
        row = connection.execute(select(api_keys)).one()
    assert plaintext.rpartition("_")[2][:32] not in repr(row)


@pytest.mark.parametrize("spoil", [str.swapcase, lambda key: key[:-1], lambda key: key + "a", lambda _: "", str.strip])
def test_a_key_that_was_mistyped_is_refused(keys: Keys, tenant_id: str, spoil: Callable[[str], str]) -> None:
    _, plaintext = keys.create(tenant_id, "api")
    spoilt = spoil(plaintext)
    assert (keys.verify(spoilt) is None) == (spoilt != plaintext)


def test_a_mistyped_key_costs_no_question_to_the_database(keys: Keys, tenant_id: str, tenancy: Engine) -> None:
    _, plaintext = keys.create(tenant_id, "api")
    tenancy.dispose()
    swapped = plaintext[:-1] + ("a" if plaintext[-1] != "a" else "b")
    assert keys.verify(swapped) is None
    assert tenancy.pool.checkedin() == 0  # type: ignore[attr-defined]


def test_a_revoked_key_is_refused_at_once_here_and_within_a_second_elsewhere(
    tenancy: Engine, keys: Keys, tenant_id: str
) -> None:
    moment = 0.0
    elsewhere = Keys(tenancy, clock=lambda: moment)
    key_id, plaintext = keys.create(tenant_id, "api")
    assert keys.verify(plaintext)
    assert elsewhere.verify(plaintext)
    keys.revoke(key_id)
    assert keys.verify(plaintext) is None
    moment = CACHE_SECONDS
    assert CACHE_SECONDS < 1
    assert elsewhere.verify(plaintext) is None


def test_a_key_is_active_until_it_is_revoked(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    moment = 0.0
    elsewhere = Keys(tenancy, clock=lambda: moment)
    key_id, _ = keys.create(tenant_id, "api")
    assert keys.active(key_id) is not None
    assert elsewhere.active(key_id) is not None
    keys.revoke(key_id)
    assert keys.active(key_id) is None
    assert elsewhere.active(key_id) is not None  # remembered
    moment = CACHE_SECONDS
    assert elsewhere.active(key_id) is None
    assert keys.active("unknown") is None


def test_the_time_of_the_last_use_is_kept(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    _, plaintext = keys.create(tenant_id, "api")
    keys.verify(plaintext)
    with reading(tenancy) as connection:
        first = connection.execute(select(api_keys.c.last_used_at)).scalar_one()
    Keys(tenancy).verify(plaintext)
    with reading(tenancy) as connection:
        assert first == connection.execute(select(api_keys.c.last_used_at)).scalar_one()
    assert first is not None


def test_unknown_names_are_answered_clearly(keys: Keys, tenant_id: str) -> None:
    with pytest.raises(NotFoundError, match="ten_unknown"):
        keys.create("ten_unknown", "api")
    with pytest.raises(ConfigError, match="event, api, signing"):
        keys.create(tenant_id, "admin")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        keys.revoke("unknown")
