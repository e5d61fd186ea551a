"""Secrets of tenants: encrypted where they lie, bound to their tenant, and never to be read back."""

from __future__ import annotations

import base64

import pytest
from sqlalchemy import Connection, Engine, event, select, update

from celeriac.database import connect, reading, single
from celeriac.errors import ConfigError, NotFoundError
from celeriac.tenants.audit import Audit
from celeriac.tenants.encryption import Cipher, new_key
from celeriac.tenants.secrets import Secret, Secrets
from celeriac.tenants.tables import tenant_secrets
from celeriac.tenants.tenant import Tenants

OLD, NEW = new_key("old"), new_key("new")
CANARY = "sk-canary-0123456789"


class Clock:
    """A clock that is moved."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def opened(engine: Engine, keys: str = OLD, clock: Clock | None = None) -> Secrets:
    """Return the secrets as a process with these keys sees them."""
    return Secrets(engine, lambda: Cipher(keys), clock=clock or Clock())


def kept(engine: Engine, *names: str) -> str:
    """Make a tenant with these secrets."""
    tenant_id = Tenants(engine).create("Acme").id
    for name in names:
        opened(engine).put(tenant_id, name, f"{CANARY}-{name}", provider=name, actor="cli:me")
    return tenant_id


def test_a_kept_key_is_used_for_its_provider_alone(tenancy: Engine) -> None:
    tenant_id = kept(tenancy, "openai")
    found = opened(tenancy)
    assert found.key_of(tenant_id, "openai") == f"{CANARY}-openai"
    assert found.key_of(tenant_id, "anthropic") is None
    assert [one.last_used_at is None for one in found.list(tenant_id)] == [False]


def test_a_value_is_nowhere_in_the_database(tenancy: Engine) -> None:
    tenant_id = kept(tenancy, "openai")
    with reading(tenancy) as connection:
        [row] = connection.execute(select(tenant_secrets)).all()
    assert CANARY.encode() not in bytes(row.box)
    assert CANARY not in repr((row, opened(tenancy).list(tenant_id), Audit(tenancy).entries(tenant_id)))


def test_every_change_is_told_in_the_audit_log(tenancy: Engine) -> None:
    tenant_id = kept(tenancy, "openai")
    opened(tenancy).remove(tenant_id, "openai", actor="key:1")
    told = {(one.actor, one.action, one.subject) for one in Audit(tenancy).entries(tenant_id)}
    assert told >= {("key:1", "secret.removed", "openai"), ("cli:me", "secret.set", "openai")}


def test_a_value_that_is_replaced_is_of_the_same_secret(tenancy: Engine) -> None:
    tenant_id, secrets = kept(tenancy, "openai"), opened(tenancy)
    (first,) = secrets.list(tenant_id)
    secrets.key_of(tenant_id, "openai")
    second = secrets.put(tenant_id, "openai", "sk-new", provider="azure", actor="a")
    assert secrets.list(tenant_id) == [second]
    assert (second.created_at, second.provider, second.last_used_at) == (first.created_at, "azure", None)
    assert secrets.key_of(tenant_id, "azure") == "sk-new"


def test_two_who_keep_the_first_value_of_a_name_at_once_both_do(migrated_postgres: str) -> None:
    """The other one comes between what is asked and what is written; on SQLite nobody can."""
    engine, other = connect(migrated_postgres), connect(migrated_postgres)
    tenant_id = kept(engine)
    was_between: list[Secret] = []

    def come_between(_: Connection, __: object, statement: str, *rest: object) -> None:
        if statement.startswith("INSERT INTO tenant_secrets") and not was_between:
            was_between.append(opened(other).put(tenant_id, "a", "first", actor="a"))

    event.listen(engine, "before_cursor_execute", come_between)
    second = opened(engine).put(tenant_id, "a", "second", actor="b")
    assert was_between and second.created_at == was_between[0].created_at
    assert len(opened(engine).list(tenant_id)) == 1
    for one in (engine, other):
        one.dispose()


def test_a_row_that_is_given_to_another_tenant_does_not_open(tenancy: Engine) -> None:
    kept(tenancy, "openai")
    thief = Tenants(tenancy).create("Thief").id
    with single(tenancy) as connection:
        connection.execute(update(tenant_secrets).values(tenant_id=thief))
    with pytest.raises(ConfigError, match="does not open"):
        opened(tenancy).key_of(thief, "openai")


def test_a_removed_or_replaced_key_is_not_used_a_second_later(tenancy: Engine) -> None:
    clock, tenant_id = Clock(), kept(tenancy, "openai", "anthropic")
    worker = opened(tenancy, clock=clock)
    worker.key_of(tenant_id, "openai"), worker.key_of(tenant_id, "anthropic")
    opened(tenancy).remove(tenant_id, "openai", actor="a")
    opened(tenancy).put(tenant_id, "anthropic", "sk-other", provider="anthropic", actor="a")
    clock.now = 1.0
    assert (worker.key_of(tenant_id, "openai"), worker.key_of(tenant_id, "anthropic")) == (None, "sk-other")


def test_a_rotation_lets_the_old_key_go(tenancy: Engine) -> None:
    """Prepend, rotate, remove; it goes on where it was cut off."""
    tenant_id = kept(tenancy, "a", "b", "c")
    both = opened(tenancy, f"{NEW},{OLD}")
    assert both.key_of(tenant_id, "a") == f"{CANARY}-a"
    assert (both.rotate(actor="a", most=2), both.rotate(actor="a")) == (3, 0)
    assert opened(tenancy, NEW).key_of(tenant_id, "c") == f"{CANARY}-c"


def test_a_key_that_is_gone_too_early_is_named(tenancy: Engine) -> None:
    tenant_id = kept(tenancy, "openai")
    with pytest.raises(ConfigError, match="needs the encryption key 'old'") as refused:
        opened(tenancy, NEW).key_of(tenant_id, "openai")
    assert NEW.partition(":")[2] not in str(refused.value)


@pytest.mark.parametrize(
    "setting",
    ["k1", "k1:short", f"k 1:{base64.b64encode(bytes(32)).decode()}", f"{OLD},k2:?"],
    ids=["no-key", "short", "space", "no-base64"],
)
def test_a_setting_that_is_no_list_of_keys_is_refused_without_showing_it(setting: str) -> None:
    with pytest.raises(ConfigError, match="CELERIAC_ENCRYPTION_KEYS") as refused:
        Cipher(setting)
    assert OLD.partition(":")[2] not in str(refused.value)
    assert OLD.partition(":")[2] not in repr(Cipher(OLD))


def test_what_cannot_be_kept_is_refused_without_showing_it(tenancy: Engine) -> None:
    tenant_id, secrets = kept(tenancy), opened(tenancy)
    for name, value, provider in (("a b", CANARY, None), ("a", " ", None), ("a", CANARY + "é", "openai")):
        with pytest.raises(ConfigError) as refused:
            secrets.put(tenant_id, name, value, provider=provider, actor="a")
        assert CANARY not in str(refused.value)
    with pytest.raises(ConfigError, match="new-key"):
        opened(tenancy, "").put(tenant_id, "a", CANARY, actor="a")


def test_a_secret_of_nobody_is_not_found(tenancy: Engine) -> None:
    secrets, tenant_id = opened(tenancy), kept(tenancy, "openai")
    with pytest.raises(NotFoundError):
        secrets.put("ten_none", "a", "b", actor="a")
    with pytest.raises(NotFoundError):
        secrets.remove(Tenants(tenancy).create("Other").id, "openai", actor="a")
    assert len(secrets.list(tenant_id)) == 1
