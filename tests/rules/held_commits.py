"""Held commits: lets a transaction on Postgres stand still between its last statement and its COMMIT.

A race that shows itself once in a thousand tries becomes one that shows itself each time: the first of two moves has
done everything but commit when the second begins. A deferred trigger does it, so that the code under test is as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine, text

from celeriac.database import single, transaction
from waiting import wait_until

T = TypeVar("T")

_KEY = 20_260_000_101

#: as the login, since the engine's role makes nothing
_MAKE = """
SET LOCAL ROLE NONE;
CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared({key}); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER stand_still AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION stand_still();"""

_DROP = "SET LOCAL ROLE NONE; DROP FUNCTION stand_still CASCADE"

#: sessions of this database that wait for a lock
_WAITING = text(
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()"
)


def until_one_waits(engine: Engine) -> None:
    """Return when a session of this database waits for a lock."""
    with single(engine) as watching:
        wait_until(lambda: int(watching.execute(_WAITING).scalar_one()) == 1, what="a move to wait for a lock")


class HeldCommits:
    """Two moves in threads of their own, of which the first stands before its COMMIT until the block ends."""

    def __init__(self, watching: Connection) -> None:
        self._watching = watching
        self._threads = ThreadPoolExecutor(2)

    def begin(self, move: Callable[[], T]) -> Future[T]:
        """Begin the first move; return when it stands before its COMMIT."""
        future = self._threads.submit(move)
        wait_until(lambda: self._waiting() == 1, what="the first move to stand before its COMMIT")
        return future

    def meet(self, move: Callable[[], T]) -> Future[T]:
        """Begin the second move; return when it has ended, or waits for the first one."""
        future = self._threads.submit(move)
        wait_until(lambda: future.done() or self._waiting() == 2, what="the second move to end or to wait")
        return future

    def _waiting(self) -> int:
        return int(self._watching.execute(_WAITING).scalar_one())


@contextmanager
def held_commits(engine: Engine, table: str) -> Iterator[HeldCommits]:
    """Hold each transaction that writes to the table before its COMMIT, until the block ends."""
    with transaction(engine) as connection:
        connection.exec_driver_sql(_MAKE.format(key=_KEY, table=table))
    try:
        with single(engine) as watching:
            watching.execute(text(f"SELECT pg_advisory_lock({_KEY})"))
            try:
                yield HeldCommits(watching)
            finally:
                watching.execute(text(f"SELECT pg_advisory_unlock({_KEY})"))
    finally:
        with transaction(engine) as connection:
            connection.exec_driver_sql(_DROP)
