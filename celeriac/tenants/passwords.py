"""Passwords: how they are hashed and checked. `people.py` asks; nothing here stores or logs one.

argon2id with 19 MiB, two passes and one lane: what OWASP names as its least, about 20 ms of one core. A sign-in thus
costs the web little memory, and whoever steals the hashes a lot of time. A hash carries its parameters, so that they
may grow later; it is renewed at the next sign-in then.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from celeriac.errors import ConfigError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1

#: the least and the most characters; a longer one would only cost time
SHORTEST, LONGEST = 10, 200


def check_password(password: str) -> None:
    """Raise `ConfigError` for a password that is too short, too long, or all one character."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(f"A password has {SHORTEST} to {LONGEST} characters")
    if len(set(password)) < 4:
        raise ConfigError("This password is too easy to guess; use more different characters")


def hash_password(password: str) -> str:
    """Return what is stored of it; raise `ConfigError` for one that is no password."""
    check_password(password)
    return _hasher().hash(password)


def is_password(hashed: str | None, password: str) -> bool:
    """Say whether this is the password. Where there is none to compare with, it takes as long and says no."""
    from argon2.exceptions import InvalidHashError, VerificationError

    given = password[: LONGEST + 1]
    try:
        return _hasher().verify(hashed or _nobodys(), given) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(hashed: str) -> bool:
    """Say whether the hash was made with other parameters than those of today."""
    return _hasher().check_needs_rehash(hashed)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # heavy, and only needed where people sign in

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


@cache
def _nobodys() -> str:
    return _hasher().hash("the password of nobody at all")
