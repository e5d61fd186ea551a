"""Channel tokens: what lets a browser listen to some topics of a channel for a while, and to nothing else.

A token is a JWT under HS256 whose key is the whole text of a signing key, named by `kid`; so a tenant's own backend can
make one with any library, without asking us. Pure: `signing.py` knows the keys and the time. Nothing here may show a
key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from celeriac.errors import ConfigError
from celeriac.tenants.signature import SigningKey

#: a browser asks its backend for another one after that
LONGEST_LIFE = timedelta(hours=1)

_LONGEST_TOKEN = 4_096
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, kw_only=True)
class ChannelGrant:
    """What a token lets its holder do, and until when."""

    tenant_id: str
    channel: str
    topics: tuple[str, ...]
    ends_at: datetime


class _Claims(BaseModel):
    """What stands in a token; claims of other names are passed over."""

    model_config = ConfigDict(strict=True)

    tenant: str = Field(pattern=r"^[A-Za-z0-9_]{1,64}$")
    channel: str = Field(min_length=1, max_length=255)
    topics: list[str] = Field(min_length=1, max_length=20)
    exp: int = Field(ge=0, le=10**11)


class _Head(BaseModel):
    """How a token was signed; there is one way, so that nobody can ask for a weaker one."""

    model_config = ConfigDict(strict=True)

    alg: str = Field(pattern=r"^HS256$")
    kid: str = Field(min_length=1, max_length=64)


def channel_token(grant: ChannelGrant, key: SigningKey, at: datetime) -> str:
    """Return the token; raise `ConfigError` for a grant that no token can hold, or that lasts too long."""
    if not at < grant.ends_at <= at + LONGEST_LIFE:
        raise ConfigError("A channel token lasts an hour at most, and not no time at all")
    given = {"tenant": grant.tenant_id, "channel": grant.channel, "topics": list(grant.topics)}
    try:
        claims = _Claims(**given, exp=int(grant.ends_at.timestamp()))  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError("A channel token is for a channel of 1 to 255 characters and 1 to 20 topics") from error
    parts = ({"alg": "HS256", "typ": "JWT", "kid": key.id}, claims.model_dump())
    token = _signer(key).sign(b".".join(map(_packed, parts))).decode()
    if len(token) > _LONGEST_TOKEN:
        raise ConfigError(f"A channel token has at most {_LONGEST_TOKEN} characters; name fewer topics")
    return token


def tenant_in(token: str) -> str | None:
    """Return whose token this claims to be, which nothing proves yet; None for a text that is no token."""
    found = _parsed(token)
    return None if found is None else found[1].tenant


def read_channel_token(token: str, tenant_id: str, keys: Sequence[SigningKey], at: datetime) -> ChannelGrant | None:
    """Return what the token grants at this time, if one of the tenant's keys made it; None otherwise.

    Whoever made it, none is good for longer than an hour from now.
    """
    found = _parsed(token)
    if found is None:
        return None
    head, claims = found
    key = next((one for one in keys if one.id == head.kid), None)
    if key is None or not _signer(key).validate(token):
        return None
    ends_at = datetime.fromtimestamp(claims.exp, UTC)
    if claims.tenant != tenant_id or not at < ends_at <= at + LONGEST_LIFE:
        return None
    return ChannelGrant(tenant_id=tenant_id, channel=claims.channel, topics=tuple(claims.topics), ends_at=ends_at)


def _parsed(token: str) -> tuple[_Head, _Claims] | None:
    if len(token) > _LONGEST_TOKEN or not _TOKEN.fullmatch(token):
        return None
    head, claims, _ = token.split(".")
    try:
        return _Head.model_validate_json(base64_decode(head)), _Claims.model_validate_json(base64_decode(claims))
    except (BadData, ValidationError):
        return None


def _packed(part: dict[str, Any]) -> bytes:
    return base64_encode(json.dumps(part, separators=(",", ":"), ensure_ascii=False))


def _signer(key: SigningKey) -> Signer:
    """Return what signs as a JWT is signed: with the key as it is, and SHA-256."""
    return Signer(key.secret, key_derivation="none", digest_method=hashlib.sha256)
