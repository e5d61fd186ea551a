"""Roles: what each may do, as one table of decisions. Pure; the web asks for every request, and keys for their scopes.

A permission is called alike whether a key has it as a scope or a person by a role. Only people change who belongs to a
tenant, so what is about people is no scope of keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from celeriac.errors import ConfigError

#: what a key may be made for
Scope = Literal[
    "events:send",
    "runs:read",
    "runs:write",
    "functions:read",
    "functions:write",
    "usage:read",
    "limits:read",
    "keys:read",
    "keys:write",
    "secrets:read",
    "secrets:write",
    "audit:read",
]

#: what a signing key may be made for: sign events and be believed for them, and grant channel tokens
SigningScope = Literal["events:sign", "channels:grant"]

#: what keys of any kind may be made for
KeyScope = Literal[Scope, SigningScope]

#: what people may besides: see and change who belongs to the tenant, give it away, and change its limits and plan
Permission = Scope | Literal["people:read", "people:write", "tenant:write", "limits:write"]

Role = Literal["viewer", "operator", "admin", "owner"]

#: from the least to the most
ROLES: tuple[Role, ...] = get_args(Role)

#: all that is the tenant's
SCOPES: frozenset[str] = frozenset(get_args(Scope))

_OF_SIGNING: frozenset[str] = frozenset(get_args(SigningScope))

#: what somebody has to be allowed who makes a key that may sign so
_COMES_WITH: dict[str, Scope] = {"events:sign": "events:send", "channels:grant": "runs:read"}

_READS = ("runs:read", "functions:read", "usage:read")
_RUNS = ("events:send", "runs:write", "functions:write")
_KEYS = ("keys:read", "keys:write", "secrets:read", "secrets:write")
_RULES = (*_KEYS, "limits:read", "audit:read", "people:read", "people:write")

#: the decisions: each role may what those before it may, and this
_OF_ROLES: dict[Role, frozenset[str]] = {
    "viewer": frozenset(_READS),
    "operator": frozenset((*_READS, *_RUNS)),
    "admin": frozenset((*_READS, *_RUNS, *_RULES)),
    "owner": frozenset((*_READS, *_RUNS, *_RULES, "tenant:write")),
}

#: what a platform admin may on every tenant
EVERYTHING: frozenset[str] = _OF_ROLES["owner"] | {"limits:write"}

#: what a key may by its kind, where it names no scopes
OF_KINDS: dict[str, frozenset[str]] = {
    "event": frozenset({"events:send"}),
    "api": SCOPES,
    "signing": _OF_SIGNING,
}


def permissions(role: Role | None, *, is_platform_admin: bool = False) -> frozenset[str]:
    """Return what somebody of this role may do."""
    if is_platform_admin:
        return EVERYTHING
    return frozenset() if role is None else _OF_ROLES[role]


def may_change(actor: frozenset[str], *roles: Role | None) -> bool:
    """Say whether somebody with these permissions may give, take or change these roles.

    Owners are made and unmade by owners alone, so that an admin cannot take the tenant over.
    """
    return "people:write" in actor and ("owner" not in roles or "tenant:write" in actor)


def is_more(role: Role | None, than: Role | None) -> bool:
    """Say whether one role may more than another; None is no role at all."""
    order = (None, *ROLES)
    return order.index(role) > order.index(than)


def scopes_of(kind: str, scopes: Iterable[str] | None) -> frozenset[str]:
    """Return what a key may do: what its scopes say, or all that its kind may."""
    return OF_KINDS[kind] if scopes is None else frozenset(scopes)


def scopes_in(text: str | None) -> frozenset[str] | None:
    """Return the scopes in the column of a key; None: all that its kind may."""
    return None if text is None else frozenset(text.split())


def beyond_reach(scopes: frozenset[str], actor: frozenset[str]) -> frozenset[str]:
    """Return which of a key's scopes somebody with these permissions may not give to it.

    Nobody gives what they may not do themselves. What signing keys are for, no request does: it goes with what comes
    of it, which is sent events and what runs tell.
    """
    return frozenset(one for one in scopes if _COMES_WITH.get(one, one) not in actor)


def check_role(given: str) -> Role:
    """Return the role; raise `ConfigError` for what is none."""
    for role in ROLES:
        if role == given:
            return role
    raise ConfigError(f"{given[:40]!r} is no role; use one of: {', '.join(ROLES)}")


def check_scopes(kind: str, given: list[str] | tuple[str, ...] | None) -> frozenset[str] | None:
    """Return the scopes of a key of this kind; None: all that its kind may. Raises `ConfigError` for what is none."""
    if given is None:
        return None
    allowed = OF_KINDS[kind]
    for scope in given:
        if scope not in allowed:
            known = ", ".join(sorted(allowed)) or "it has none"
            raise ConfigError(f"{scope[:40]!r} is no scope of a key of kind {kind!r}; use of: {known}")
    if not given:
        raise ConfigError("A key with no scope at all can do nothing; name one, or leave the scopes out")
    return frozenset(given)
