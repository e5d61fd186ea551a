"""Signing keys: encrypted where they lie, used by the server, and refused as soon as other keys are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, select, update

from celeriac.database import db_ago, reading, single
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.tenants.audit import Audit
from celeriac.tenants.channel_token import ChannelGrant, channel_token
from celeriac.tenants.encryption import Cipher, new_key
from celeriac.tenants.key_life import CACHE_SECONDS
from celeriac.tenants.keys import Keys, KeyWish
from celeriac.tenants.secrets import Secrets
from celeriac.tenants.signature import SigningKey, Verdict, signature
from celeriac.tenants.signing import MOST_LIVE
from celeriac.tenants.tables import api_keys, signing_secrets
from celeriac.tenants.tenant import Tenants

K1, K2 = new_key("k1"), new_key("k2")
BODY = b"{}"
UNKNOWN = Verdict(fault="unknown")


class Clock:
    """A clock that is moved."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def opened(engine: Engine, encryption_keys: str = K1, clock: Clock | None = None) -> Keys:
    """Return the keys as a process sees them that has just started."""
    return Keys(engine, lambda: Cipher(encryption_keys), clock=clock or Clock())


@pytest.fixture
def keys(tenancy: Engine) -> Keys:
    return opened(tenancy)


@pytest.fixture
def everywhere(tenancy: Engine, keys: Keys) -> Iterator[tuple[Keys, Keys, Clock]]:
    """This process, another one, and the clock of that."""
    yield keys, opened(tenancy, clock=(clock := Clock())), clock


def test_what_one_process_signs_another_one_knows(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    key_id, _ = keys.create(tenant_id, "signing")
    header = keys.signing.sign(tenant_id, BODY)
    assert opened(tenancy).signing.check(tenant_id, BODY, header) == Verdict(key_id=key_id)


def test_another_tenant_s_signature_is_none(keys: Keys, tenants: Tenants, tenant_id: str) -> None:
    other = tenants.create("other").id
    keys.create(tenant_id, "signing"), keys.create(other, "signing")
    assert keys.signing.check(other, BODY, keys.signing.sign(tenant_id, BODY)) == UNKNOWN


def test_keys_that_overlap_both_sign(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    old, _ = keys.create(tenant_id, KeyWish.of("signing", name="hooks"))
    signed_by_old = keys.signing.sign(tenant_id, BODY)
    new, _ = keys.rotate(old, "1h")
    assert keys.signing.sign(tenant_id, BODY).count("v1=") == 2
    assert keys.signing.check(tenant_id, BODY, signed_by_old).key_id == old
    expire(tenancy, old)
    alone = opened(tenancy).signing
    assert alone.check(tenant_id, BODY, alone.sign(tenant_id, BODY)).key_id == new
    assert alone.check(tenant_id, BODY, signed_by_old) == UNKNOWN


def test_a_revoked_key_signs_nothing_here_at_once_and_elsewhere_within_a_second(
    everywhere: tuple[Keys, Keys, Clock], tenant_id: str
) -> None:
    here, elsewhere, clock = everywhere
    key_id, _ = here.create(tenant_id, "signing")
    header = here.signing.sign(tenant_id, BODY)
    assert elsewhere.signing.check(tenant_id, BODY, header).key_id == key_id
    here.revoke(key_id)
    assert here.signing.check(tenant_id, BODY, header) == UNKNOWN
    clock.now = CACHE_SECONDS
    assert elsewhere.signing.check(tenant_id, BODY, header) == UNKNOWN
    with pytest.raises(NotFoundError, match="--kind signing"):
        elsewhere.signing.sign(tenant_id, BODY)


def test_a_new_key_is_known_elsewhere_within_a_second(everywhere: tuple[Keys, Keys, Clock], tenant_id: str) -> None:
    here, elsewhere, clock = everywhere
    assert elsewhere.signing.check(tenant_id, BODY, f"t=0,v1={'0' * 64}").key_id is None  # remembers that there is none
    key_id, _ = here.create(tenant_id, "signing")
    clock.now = CACHE_SECONDS
    assert elsewhere.signing.check(tenant_id, BODY, here.signing.sign(tenant_id, BODY)).key_id == key_id


def test_a_key_is_never_believed_beyond_its_expiry(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    clock = Clock()
    elsewhere = opened(tenancy, clock=clock)
    key_id, _ = keys.create(tenant_id, "signing")
    header = keys.signing.sign(tenant_id, BODY)
    expire(tenancy, key_id, left=timedelta(seconds=CACHE_SECONDS / 2))
    assert elsewhere.signing.check(tenant_id, BODY, header).key_id == key_id
    expire(tenancy, key_id)
    clock.now = CACHE_SECONDS / 2
    assert elsewhere.signing.check(tenant_id, BODY, header) == UNKNOWN


def test_a_key_signs_events_only_where_it_may(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    """And is believed for none: a signature by its text is refused, with what it lacks."""
    granting, text = keys.create(tenant_id, KeyWish.of("signing", scopes=["channels:grant"]))
    with pytest.raises(NotFoundError, match=r"no signing key with the scope 'events:sign'; .*--scope events:sign"):
        keys.signing.sign(tenant_id, BODY)
    assert keys.signing.check(tenant_id, BODY, by_hand(granting, text)) == Verdict(fault="not_for_events")
    signing, _ = keys.create(tenant_id, KeyWish.of("signing", scopes=["events:sign"]))
    header = keys.signing.sign(tenant_id, BODY)
    assert header.count("v1=") == 1
    assert opened(tenancy).signing.check(tenant_id, BODY, header) == Verdict(key_id=signing)
    assert keys.get(tenant_id, granting).last_used_at is None


def test_a_key_grants_channel_tokens_only_where_it_may(keys: Keys, tenant_id: str) -> None:
    """The newest that may grants; a token that the other one signed by itself is none."""
    with pytest.raises(NotFoundError, match=r"no signing key that is good; .*--scope channels:grant"):
        keys.signing.channel_token(tenant_id, "run:1", ["agent_stream"])
    signing, text = keys.create(tenant_id, KeyWish.of("signing", scopes=["events:sign"]))
    with pytest.raises(NotFoundError, match="no signing key with the scope 'channels:grant'"):
        keys.signing.channel_token(tenant_id, "run:1", ["agent_stream"])
    at = datetime.now(UTC)
    grant = ChannelGrant(tenant_id=tenant_id, channel="run:1", topics=("a",), ends_at=at + timedelta(minutes=5))
    assert keys.signing.read_channel_token(channel_token(grant, SigningKey(id=signing, secret=text), at)) is None
    keys.create(tenant_id, KeyWish.of("signing", scopes=["channels:grant"]))
    assert keys.signing.read_channel_token(keys.signing.channel_token(tenant_id, "run:1", ["a"])) is not None


def test_a_successor_may_what_the_old_key_may(keys: Keys, tenant_id: str) -> None:
    old, _ = keys.create(tenant_id, KeyWish.of("signing", scopes=["channels:grant"]))
    new, text = keys.rotate(old)
    assert keys.get(tenant_id, new).scopes == ("channels:grant",)
    assert keys.signing.check(tenant_id, BODY, by_hand(new, text)) == Verdict(fault="not_for_events")


def test_the_time_of_the_last_use_is_kept(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    """By those who sign and by those who check; not for what does not fit."""
    key_id, _ = keys.create(tenant_id, "signing")
    keys.signing.check(tenant_id, BODY, f"t=0,v1={'0' * 64}")
    assert keys.get(tenant_id, key_id).last_used_at is None
    header = keys.signing.sign(tenant_id, BODY)
    assert keys.get(tenant_id, key_id).last_used_at is not None
    with single(tenancy) as connection:
        connection.execute(update(api_keys).values(last_used_at=None))
    opened(tenancy).signing.check(tenant_id, BODY, header)
    assert keys.get(tenant_id, key_id).last_used_at is not None


def test_the_plaintext_is_nowhere_in_the_database(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    _, plaintext = keys.create(tenant_id, "signing")
    with reading(tenancy) as connection:
        box = bytes(connection.execute(select(signing_secrets.c.box)).scalar_one())
        row = connection.execute(select(api_keys)).one()
    secret = plaintext.rpartition("_")[2][:32]
    assert secret.encode() not in box
    assert secret not in repr((row, keys.list(tenant_id), Audit(tenancy).entries(tenant_id)))


def test_without_an_encryption_key_nothing_is_made(tenancy: Engine, tenant_id: str) -> None:
    plain = opened(tenancy, "")
    with pytest.raises(ConfigError, match="CELERIAC_ENCRYPTION_KEYS"):
        plain.create(tenant_id, "signing")
    assert plain.list(tenant_id) == []
    assert [one.action for one in Audit(tenancy).entries(tenant_id)] == ["tenant.created"]


def test_a_rotation_of_the_encryption_key_lets_the_old_one_go(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    """With the secrets of tenants, in pages that may be cut off."""
    for _ in range(3):
        keys.create(tenant_id, "signing")
    header = keys.signing.sign(tenant_id, BODY)
    secrets = Secrets(tenancy, lambda: Cipher(f"{K2},{K1}"))
    secrets.put(tenant_id, "openai", "sk-1", actor="a")
    assert secrets.keys_in_use() == {"k1", "k2"}
    assert (secrets.rotate(actor="a", most=2), secrets.rotate(actor="a")) == (3, 0)
    assert secrets.keys_in_use() == {"k2"}
    assert opened(tenancy, K2).signing.check(tenant_id, BODY, header).fault is None


def test_a_secret_that_is_given_to_another_key_or_tenant_does_not_open(
    tenancy: Engine, keys: Keys, tenants: Tenants, tenant_id: str
) -> None:
    (mine, _), thief = keys.create(tenant_id, "signing"), tenants.create("thief").id
    theirs, _ = keys.create(thief, "signing")
    with single(tenancy) as connection:
        box = connection.execute(select(signing_secrets.c.box).where(signing_secrets.c.id == mine)).scalar_one()
        connection.execute(update(signing_secrets).where(signing_secrets.c.id == theirs).values(box=box))
    with pytest.raises(ConfigError, match="does not open"):
        opened(tenancy).signing.sign(thief, BODY)


def test_a_key_that_does_not_open_spoils_none_that_was_made_in_its_place(
    tenancy: Engine, keys: Keys, tenant_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As when the encryption key was lost; the log names it, once."""
    lost, _ = keys.create(tenant_id, "signing")
    made, _ = (later := opened(tenancy, K2, clock=(clock := Clock()))).create(tenant_id, "signing")
    header = later.signing.sign(tenant_id, BODY)
    clock.now += CACHE_SECONDS
    assert later.signing.check(tenant_id, BODY, header) == Verdict(key_id=made)
    assert header.count("v1=") == 1
    (told,) = caplog.messages
    assert lost in told and made not in told


def test_where_no_key_opens_the_sender_is_not_to_blame(tenancy: Engine, keys: Keys, tenant_id: str) -> None:
    for _ in range(2):
        keys.create(tenant_id, "signing")
    header = keys.signing.sign(tenant_id, BODY)
    with pytest.raises(ConfigError, match="needs the encryption key 'k1'"):
        opened(tenancy, K2).signing.check(tenant_id, BODY, header)


def test_a_tenant_has_so_many_signing_keys_and_no_more(keys: Keys, tenant_id: str) -> None:
    """The header would be too long; one that is revoked makes room."""
    made = [keys.create(tenant_id, "signing")[0] for _ in range(MOST_LIVE)]
    with pytest.raises(ConflictError, match="at most 10"):
        keys.create(tenant_id, "signing")
    keys.create(tenant_id, "event")
    keys.revoke(made[0])
    keys.create(tenant_id, "signing")
    assert keys.signing.sign(tenant_id, BODY).count("v1=") == MOST_LIVE


def test_a_key_from_before_signing_signs_nothing_and_may_be_replaced(
    tenancy: Engine, keys: Keys, tenant_id: str
) -> None:
    """Of it a hash was stored and no more."""
    old, _ = keys.create(tenant_id, "signing")
    with single(tenancy) as connection:
        connection.execute(delete(signing_secrets))
    again = opened(tenancy)
    with pytest.raises(NotFoundError):
        again.signing.sign(tenant_id, BODY)
    new, _ = again.rotate(old)
    assert again.signing.check(tenant_id, BODY, again.signing.sign(tenant_id, BODY)).key_id == new


def by_hand(key_id: str, text: str) -> str:
    """Sign as somebody does who has the key and does not ask us."""
    return signature(BODY, [SigningKey(id=key_id, secret=text)], datetime.now(UTC))


def expire(engine: Engine, key_id: str, left: timedelta = timedelta(0)) -> None:
    """Let a key have this long yet, by the database's clock."""
    with single(engine) as connection:
        connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(expires_at=db_ago(-left)))
