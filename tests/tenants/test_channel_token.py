"""Channel tokens: what they grant, to whom and for how long, and how others make them."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from celeriac.errors import ConfigError, NotFoundError
from celeriac.tenants.channel_token import ChannelGrant, channel_token, read_channel_token
from celeriac.tenants.encryption import Cipher, new_key
from celeriac.tenants.key_life import CACHE_SECONDS
from celeriac.tenants.keys import Keys
from celeriac.tenants.signature import SigningKey
from celeriac.tenants.tenant import Tenants

AT = datetime.fromtimestamp(1_764_304_496, UTC)
KEY = SigningKey(id="key", secret="cel_live_0000000000_key")
OTHER = SigningKey(id="other", secret="cel_live_1111111111_other")
GRANT = ChannelGrant(
    tenant_id="ten_1", channel="run:run_01", topics=("agent_stream", "ü"), ends_at=AT + timedelta(minutes=15)
)
HEAD = {"alg": "HS256", "typ": "JWT", "kid": "key"}
CLAIMS = {"tenant": "ten_1", "channel": "run:run_01", "topics": ["agent_stream", "ü"], "exp": 1_764_305_396}


def jwt(head: Any = HEAD, claims: Any = CLAIMS, key: SigningKey = KEY) -> str:
    """Make a token as a backend does that has the key and a library for JWT."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, claims)]
    mac = hmac.digest(key.secret.encode(), b".".join(parts), "sha256")
    return b".".join([*parts, urlsafe_b64encode(mac).rstrip(b"=")]).decode()


def test_a_token_grants_what_it_was_made_for() -> None:
    assert read_channel_token(channel_token(GRANT, KEY, AT), "ten_1", [OTHER, KEY], AT) == GRANT


def test_a_backend_can_make_one_by_itself() -> None:
    assert read_channel_token(jwt(), "ten_1", [KEY], AT) == GRANT
    assert read_channel_token(jwt(claims={**CLAIMS, "iat": 1, "sub": "ada"}), "ten_1", [KEY], AT) == GRANT


@pytest.mark.parametrize(
    "token",
    [
        jwt(key=OTHER),
        jwt(head={**HEAD, "kid": "other"}),
        jwt(head={**HEAD, "alg": "none"}),
        jwt(head={**HEAD, "alg": "HS512"}),
        jwt(head={"alg": "HS256"}),
        jwt(head={**HEAD, "alg": "none"}).rpartition(".")[0] + ".",
        jwt(claims={**CLAIMS, "tenant": "ten_2"}),
        jwt(claims={**CLAIMS, "tenant": "ten_1\0"}),
        jwt(claims={**CLAIMS, "topics": []}),
        jwt(claims={**CLAIMS, "topics": "agent_stream"}),
        jwt(claims={**CLAIMS, "exp": "1764305396"}),
        jwt(claims={**CLAIMS, "exp": 10**15}),
        jwt(claims={name: value for name, value in CLAIMS.items() if name != "exp"}),
        jwt(claims=["a"]),
        jwt(claims={**CLAIMS, "more": "x" * 4_096}),
        jwt() + "A",
        jwt() + "=",
        jwt() + "\n",
        f"{jwt()}.{jwt()}",
        "",
        "ü.ü.ü",
    ],
)
def test_what_is_no_token_of_the_tenant_s_grants_nothing(token: str) -> None:
    assert read_channel_token(token, "ten_1", [KEY], AT) is None


def test_a_changed_token_grants_nothing() -> None:
    """Wherever it was changed."""
    token = channel_token(GRANT, KEY, AT)
    for place in range(len(token) - 1):  # the last character holds two bits that mean nothing
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert read_channel_token(changed, "ten_1", [KEY], AT) is None


@pytest.mark.parametrize(
    ("at", "is_good"),
    [
        (AT + timedelta(minutes=15, seconds=-1), True),
        (AT + timedelta(minutes=15), False),
        (AT - timedelta(minutes=45), True),
        (AT - timedelta(minutes=45, seconds=1), False),
    ],
)
def test_a_token_is_good_until_its_end_and_never_for_more_than_an_hour(at: datetime, is_good: bool) -> None:
    assert (read_channel_token(jwt(), "ten_1", [KEY], at) is not None) is is_good


@pytest.mark.parametrize(
    "given",
    [
        {"ends_at": AT + timedelta(hours=1, seconds=1)},
        {"ends_at": AT},
        {"topics": ()},
        {"topics": ("x" * 300,) * 20},
        {"channel": ""},
    ],
)
def test_a_grant_that_no_token_holds_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="channel token"):
        channel_token(ChannelGrant(**{**vars(GRANT), **given}), KEY, AT)


def test_a_token_ends_with_its_key_within_a_second_everywhere(tenancy: Engine, tenants: Tenants) -> None:
    """And while keys overlap, tokens of both are good."""
    cipher, moment = Cipher(new_key("k1")), 0.0
    opened: Callable[[], Keys] = lambda: Keys(tenancy, lambda: cipher, clock=lambda: moment)  # noqa: E731
    here, elsewhere, tenant_id = opened(), opened(), tenants.create("bank").id
    old, _ = here.create(tenant_id, "signing")
    first = here.signing.channel_token(tenant_id, "run:1", ["agent_stream"])
    here.rotate(old, "1h")
    second = here.signing.channel_token(tenant_id, "run:1", ["agent_stream"], lasts="1h")
    assert [read is not None for read in map(elsewhere.signing.read_channel_token, (first, second))] == [True, True]
    here.revoke(old)
    assert here.signing.read_channel_token(first) is None
    moment = CACHE_SECONDS
    assert elsewhere.signing.read_channel_token(first) is None
    assert elsewhere.signing.read_channel_token(second) is not None


def test_a_tenant_without_a_signing_key_has_no_tokens(tenancy: Engine, tenants: Tenants) -> None:
    keys, tenant_id = Keys(tenancy), tenants.create("bank").id
    with pytest.raises(NotFoundError, match="--kind signing"):
        keys.signing.channel_token(tenant_id, "run:1", ["agent_stream"])
    assert keys.signing.read_channel_token(jwt(claims={**CLAIMS, "tenant": tenant_id})) is None
