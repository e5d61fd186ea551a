"""Hints: the little that the web itself asks of Redis.

Sign-in remembers here which links were used and how often passwords were tried, and `/readyz` asks whether Redis
answers. Nothing that must not be lost may go here: a link outlives its memory only if Redis is emptied within the ten
minutes that the link is good for, and passwords may be tried anew then.
"""

from __future__ import annotations

import hashlib
import logging
import math
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

#: nobody waits longer than this for a hint
_TIMEOUT_SECONDS = 0.5

#: How often passwords may be tried from one address, for one account from one address, and for one account in all. The
#: last is far more than one address can use up, so that nobody shuts somebody else out with a wrong password or ten.
TRIES_OF_ADDRESS, TRIES_OF_BOTH, TRIES_OF_ACCOUNT = 100, 10, 200

#: in which time
TRIES_WITHIN = timedelta(minutes=5)

#: the part of an IPv6 address that one customer of a provider has: they may use each address in it
_IPV6_PREFIX = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tries:
    """Whose password is tried, and from where."""

    account: str
    address: str

    @property
    def counts(self) -> tuple[Count, Count, Count]:
        """Where they are counted in turn: from this address, of both, and for this account."""
        place = _place(self.address)
        return (
            Count(name=f"address:{place}", most=TRIES_OF_ADDRESS, whose=place),
            Count(name=f"both:{place}:{self.account}", most=TRIES_OF_BOTH, whose=self.account),
            Count(name=f"account:{self.account}", most=TRIES_OF_ACCOUNT, whose=self.account),
        )


@dataclass(frozen=True, kw_only=True)
class Count:
    """One of the counts of tries."""

    name: str
    most: int
    #: who is shut out by it: an account or an address
    whose: str

    @property
    def key(self) -> str:
        """Its key in Redis; users belong to no tenant, nor does this."""
        return f"celeriac:signin:{hashlib.sha256(self.name.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A try that may not be made yet."""

    seconds: int
    #: who is shut out, where this is the first try that tells so
    shut_out: str | None = None


def _place(address: str) -> str:
    """Return what counts as one address: of IPv6 the network that somebody has of it."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        return str(known.ipv4_mapped or IPv6Network((int(known), _IPV6_PREFIX), strict=False))
    return str(known)


class Hints:
    """A small connection of the web's own; it connects at its first use."""

    def __init__(self, url: str) -> None:
        """Take the address of the installation's Redis."""
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            socket_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def is_reachable(self) -> bool:
        """Say whether Redis answers now."""
        try:
            return bool(self._redis.ping())
        except RedisError:
            return False

    def use_once(self, tenant_id: str, nonce: str, good_for: timedelta) -> bool:
        """Say, atomically, whether this is the first use of the nonce; False as well where Redis cannot tell."""
        key = f"celeriac:t:{tenant_id}:signin:{nonce}"
        try:
            return bool(self._redis.set(key, "used", nx=True, px=good_for))
        except RedisError:
            return False

    def next_try(self, tries: Tries, *, within: timedelta = TRIES_WITHIN) -> Wait | None:
        """Count a try; return None where it may be made, else how long it takes until the next one may.

        A window begins with its first try and is never drawn out, so what is returned is true. A try that is refused
        by one count adds to none after it: else one address would use up all that an account has. Without Redis nobody
        is kept out: the hash of a password is slow enough to be no open door.
        """
        seconds, shut_out = 0, None
        try:
            for one in tries.counts:
                added = 0 if seconds else 1
                with self._redis.pipeline() as together:
                    together.set(one.key, 0, nx=True, px=within)
                    together.incrby(one.key, added)
                    together.pttl(one.key)
                    _, count, left = together.execute()
                if left < 0:  # it ended between the commands; a count without an end would keep somebody out for ever
                    self._redis.pexpire(one.key, within)
                if count - added >= one.most:
                    shut_out = one.whose if added and count == one.most + 1 else shut_out
                    seconds = max(seconds, 1, math.ceil(left / 1000))
        except RedisError as error:
            log.warning("Tries of passwords are not counted, as Redis does not answer: %s", type(error).__name__)
            return None
        return Wait(seconds=seconds, shut_out=shut_out) if seconds else None

    def forget_tries(self, tries: Tries) -> None:
        """Begin anew for the account from this address: its password was right. What others try goes on to count."""
        try:
            self._redis.delete(tries.counts[1].key)
        except RedisError as error:
            log.warning("Redis does not answer: %s", type(error).__name__)
