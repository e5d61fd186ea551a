"""The connection to Postgres: one that watches the clock, is replaced when it is dead, and enters its role.

`celeriac.database` makes its pools of them. Nothing here knows what is stored.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import InvalidatePoolError

from celeriac import row_security
from celeriac.errors import ConfigError

if TYPE_CHECKING:
    from psycopg import Connection as PostgresConnection

log = logging.getLogger(__name__)

#: seconds that Postgres has for each answer; None for as long as it takes
_patience: ContextVar[float | None] = ContextVar("_patience", default=None)


@contextmanager
def answers_within(span: timedelta) -> Iterator[None]:
    """Give Postgres this long for the answer to each statement inside; after that raise `StoreUnavailable`.

    The connection is cut then. Whether the statement was carried out is unknown, as with every cut.
    """
    token = _patience.set(span.total_seconds())
    try:
        yield
    finally:
        _patience.reset(token)


@cache
def watchful_connection() -> type[PostgresConnection[Any]]:
    """Return psycopg's connection, made to watch the clock while it waits for the server."""
    import psycopg

    class LastCursor(psycopg.Cursor[Any]):
        """Stands at the rows of its last statement, where it was given more than one."""

        def execute(self, *args: Any, **options: Any) -> Any:
            super().execute(*args, **options)
            while self.nextset():
                continue
            return self

    class WatchfulConnection(psycopg.Connection[Any]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.cursor_factory = LastCursor

        def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
            seconds = _patience.get()
            return super().wait(gen if seconds is None else self._watched(gen, seconds), *args, **options)

        def _watched(self, gen: Any, seconds: float) -> Generator[Any, Any, Any]:
            """Pass everything on between psycopg and its socket, which looks up ten times a second while it waits."""
            deadline = time.monotonic() + seconds
            try:
                wanted = next(gen)
                while True:
                    ready = yield wanted
                    if not ready and time.monotonic() > deadline:
                        self.pgconn.finish()
                        raise psycopg.OperationalError(f"no answer within {seconds:g} s")
                    wanted = gen.send(ready)
            except StopIteration as done:
                return done.value

    return WatchfulConnection


def refuse_dead(connection: PostgresConnection[Any], *_: Any) -> None:
    """Let the pool replace a connection whose server has gone since its last use; it costs no round trip.

    A socket that nobody waits for has something to read when the server said goodbye, or a notice.
    """
    import psycopg

    try:
        unread = select.poll()
        unread.register(connection.fileno(), select.POLLIN)
        while unread.poll(0):
            connection.pgconn.consume_input()
    except psycopg.OperationalError as error:
        raise InvalidatePoolError from error


class Entry:
    """Enters a role for the life of each new connection of an engine, where row-level security stands."""

    def __init__(self, role: str, mode: row_security.Mode) -> None:
        """Take the role, and what the installation wants."""
        self._role, self._mode = role, mode
        self._has_warned = False

    def __call__(self, connection: PostgresConnection[Any], *_: Any) -> None:
        """Enter; one round trip or two for each connection, none for a transaction.

        Raises `ConfigError` where it stands and this login may not enter, as it would see nothing, and where it does
        not stand but is required.
        """
        has_tables, stands, is_member = connection.execute(row_security.LOOK, (self._role,)).fetchone() or (False,) * 3
        if stands and not is_member:
            connection.close()
            raise ConfigError(
                f"Row-level security is on, and this login may not enter {self._role}; see `celeriac doctor`"
            )
        if stands:
            connection.execute(f"SET ROLE {self._role}".encode())
        elif has_tables and self._mode == "required":
            connection.close()
            raise ConfigError("Row-level security is required and off; run `celeriac migrate`, then `celeriac doctor`")
        elif has_tables and self._mode == "auto" and not self._has_warned:
            self._has_warned = True
            log.warning(
                "ROW-LEVEL SECURITY IS OFF: only the filter in each statement keeps tenants apart. `celeriac doctor` "
                "says what is missing; CELERIAC_ROW_SECURITY=off says that it is meant"
            )
