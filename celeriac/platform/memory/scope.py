"""The scope of memories: whose they are, how a user is written in a key, which texts are taken, and how ids are made.

Every implementation of `Memories` passes its arguments through here first, so that nothing a caller or a model says
can reach beyond one user of one tenant.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from celeriac.errors import ConfigError, LimitError, NotFoundError
from celeriac.ids import derived_id
from celeriac.platform.codec import Uncodable, encode

#: longest text of one memory, in characters
LONGEST_TEXT = 8_000

#: most statements of one call, and most results of one search
MOST_AT_ONCE = 100

#: most memories of one scope that a search looks at, and that a listing returns; the newest count
MOST_OF_A_SCOPE = 5_000

_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN_USER = re.compile(r"[A-Za-z0-9._@+-]{1,128}")
_ID = re.compile(r"mem_[0-9A-Z]{26}")
_SEPARATOR = "::"


@dataclass(frozen=True)
class Scope:
    """One user of one tenant. `user_key` is the user id where that is plain, else a hash of it behind a `~`."""

    tenant_id: str
    user_key: str

    @classmethod
    def of(cls, tenant_id: str, user: str) -> Scope:
        """Make the scope; two users never share one, whatever characters they are written with."""
        _check_tenant(tenant_id)
        if not isinstance(user, str) or not user.strip():
            raise ConfigError(f"{user!r} is no user id; it must be a text that is not blank")
        if _PLAIN_USER.fullmatch(user):
            return cls(tenant_id, user)
        digest = hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        return cls(tenant_id, f"~{digest}")

    @classmethod
    def parse(cls, key: str) -> Scope:
        """Read what `key` wrote."""
        tenant_id, _, user_key = key.partition(_SEPARATOR)
        return cls(_check_tenant(tenant_id), user_key)

    @property
    def key(self) -> str:
        """The scope in one word, without blanks or wildcards."""
        return f"{self.tenant_id}{_SEPARATOR}{self.user_key}"

    def new_id(self, text: str, idempotency_key: str | None) -> str:
        """Return the id of a statement: the same one for the same text under the same key."""
        return derived_id("mem", self.tenant_id, self.user_key, idempotency_key or "", text)


def qualified(tenant_id: str, id: str) -> str:
    """Return the id with its tenant; raise `NotFoundError` for what cannot be an id."""
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise not_found(id)
    return f"{_check_tenant(tenant_id)}{_SEPARATOR}{id}"


def unqualified(qualified_id: str) -> tuple[str, str]:
    """Return the tenant and the id that `qualified` joined."""
    tenant_id, _, id = qualified_id.partition(_SEPARATOR)
    return tenant_id, id


def not_found(id: object) -> NotFoundError:
    """Make the error for an id that this tenant, or this user, does not have."""
    return NotFoundError(f"Memory {str(id)[:80]!r} is not found; ids come from search() and all()")


def accepted(statements: str | Sequence[str]) -> list[str]:
    """Return the texts to remember, trimmed, each once; blank ones say nothing and are left out."""
    given = [statements] if isinstance(statements, str) else list(statements)
    if len(given) > MOST_AT_ONCE:
        raise LimitError(f"{len(given)} statements at once; the limit is {MOST_AT_ONCE}, send them in several calls")
    return list(dict.fromkeys(accepted_text(text) for text in given if not isinstance(text, str) or text.strip()))


def accepted_text(text: str) -> str:
    """Return one text to remember, trimmed; raise for what is none, is blank or too long, or cannot be stored."""
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"A memory is a text that is not blank, not {str(text)[:80]!r}")
    if len(text) > LONGEST_TEXT:
        raise LimitError(f"A memory of {len(text)} characters; the limit is {LONGEST_TEXT}")
    try:
        encode(text)
    except Uncodable as error:
        raise Uncodable(f"The text of a memory {error}") from error
    return text.strip()


def accepted_query(query: str, limit: int) -> str:
    """Return the query, trimmed and cut to the length of a memory; raise `ConfigError` for a limit out of range."""
    if not isinstance(query, str):
        raise ConfigError(f"A query is a text, not {type(query).__name__}")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_AT_ONCE:
        raise ConfigError(f"limit={limit!r} must be a number from 1 to {MOST_AT_ONCE}")
    return query.strip()[:LONGEST_TEXT]


def _check_tenant(tenant_id: str) -> str:
    if not isinstance(tenant_id, str) or not _TENANT.fullmatch(tenant_id):
        raise ConfigError(f"{str(tenant_id)[:80]!r} is no tenant id")
    return tenant_id
