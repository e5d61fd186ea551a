"""Idempotency: what was answered to a request that carries an `Idempotency-Key`, so that sending it again does nothing.

The key is written down, with a random seed, before anything is done; the answer after it. What the request makes has
ids that are derived from the seed: an event by a sender's id, a run, a bulk action or a key by its own. Whoever does
it again, because a process died between doing and answering or because two came at once, thus makes the same
things and finds them there. The time for which a key is held only spares the second one that trouble; nothing rests on
it. A stored answer holds no secret: a key that was made is derived from the seed again, and the seed alone, without the
installation's secret, tells nothing.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, delete, select, tuple_, update
from sqlalchemy import type_coerce as coerce

from celeriac.database import db_ago, db_now, single
from celeriac.tenants.inserting import insert_once
from celeriac.tenants.tables import given_answers

#: how long an answer is given again
KEPT_FOR = timedelta(hours=24)

#: how long a request has a key to itself
HELD_FOR = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class KeyedRequest:
    """A request with a key: whose, where to, and what it holds."""

    tenant_id: str
    #: method and path
    route: str
    key: str
    #: plain JSON
    body: Any

    @property
    def digest(self) -> str:
        """What tells its body from another one; the order of fields does not count."""
        text = json.dumps(self.body, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The request is to be done now, with ids that are derived from the seed."""

    seed: str
    #: whether nobody has tried before
    is_first: bool


@dataclass(frozen=True, kw_only=True)
class Given:
    """It was answered already."""

    status: int
    body: Any
    seed: str


@dataclass(frozen=True, kw_only=True)
class Held:
    """Somebody is at it, for no longer than this."""

    left: timedelta


class Reused:
    """The key came with another body before."""


class GivenAnswers:
    """The answers of all tenants; safe to share between threads."""

    def __init__(self, engine: Engine, *, walled: Engine | None = None, held_for: timedelta = HELD_FOR) -> None:
        """Keep them in this database; what is a tenant's own goes through `walled`, where there is one."""
        self._engine, self._walled = engine, walled or engine
        self._held_for = held_for

    def begin(self, keyed: KeyedRequest) -> Begun | Given | Held | Reused:
        """Take the key, or say why not."""
        place = _place(keyed)
        row = {
            "tenant_id": keyed.tenant_id,
            "route": keyed.route,
            "key": keyed.key,
            "request_hash": keyed.digest,
            "seed": secrets.token_hex(16),
            "held_until": db_ago(-self._held_for),
            "created_at": db_now(),
        }
        with single(self._walled, keyed.tenant_id) as connection:
            _delete_old(connection, keyed.tenant_id)
            made = insert_once(connection, given_answers).values(row).returning(given_answers.c.seed)
            if (seed := connection.execute(made).scalar_one_or_none()) is not None:
                return Begun(seed=seed, is_first=True)
            left = (coerce(given_answers.c.held_until, BigInteger) - coerce(db_now(), BigInteger)).label("left")
            found = connection.execute(select(given_answers, left).where(*place)).one_or_none()
            if found is None:  # it was let go between the two statements
                return Held(left=timedelta(seconds=1))
            if found.request_hash != keyed.digest:
                return Reused()
            if found.status is not None:
                return Given(status=found.status, body=json.loads(found.body), seed=found.seed)
            is_free = given_answers.c.held_until <= db_now()
            taken = update(given_answers).where(*place, given_answers.c.seed == found.seed, is_free)
            taken = taken.where(given_answers.c.status.is_(None)).values(held_until=db_ago(-self._held_for))
            if connection.execute(taken.returning(given_answers.c.seed)).one_or_none() is None:
                return Held(left=timedelta(microseconds=max(found.left, 0)))
            return Begun(seed=found.seed, is_first=False)

    def answer(self, keyed: KeyedRequest, seed: str, status: int, body: Any) -> None:
        """Keep what is answered; the first answer stays."""
        place = (*_place(keyed), given_answers.c.seed == seed, given_answers.c.status.is_(None))
        with single(self._walled, keyed.tenant_id) as connection:
            connection.execute(update(given_answers).where(*place).values(status=status, body=json.dumps(body)))

    def let_go(self, keyed: KeyedRequest, seed: str, *, is_done: bool) -> None:
        """Leave the key to the next one: as if it had never come, or, where something may be done, with its seed."""
        place = (*_place(keyed), given_answers.c.seed == seed, given_answers.c.status.is_(None))
        with single(self._walled, keyed.tenant_id) as connection:
            if is_done:
                connection.execute(update(given_answers).where(*place).values(held_until=db_now()))
            else:
                connection.execute(delete(given_answers).where(*place))

    def delete_old(self, *, most: int = 500) -> int:
        """Delete a batch of answers, of all tenants, that are given no more; return how many went."""
        key = (given_answers.c.tenant_id, given_answers.c.route, given_answers.c.key)
        old = select(*key).where(given_answers.c.created_at <= db_ago(KEPT_FOR)).limit(most)
        with single(self._engine) as connection:
            return connection.execute(delete(given_answers).where(tuple_(*key).in_(old))).rowcount


def _place(keyed: KeyedRequest) -> tuple[Any, ...]:
    table = given_answers.c
    return (table.tenant_id == keyed.tenant_id, table.route == keyed.route, table.key == keyed.key)


def _delete_old(connection: Connection, tenant_id: str) -> None:
    """Forget what the tenant was answered longer ago; whoever sends keys pays for it, by an index."""
    is_old = (given_answers.c.tenant_id == tenant_id, given_answers.c.created_at <= db_ago(KEPT_FOR))
    connection.execute(delete(given_answers).where(*is_old))
