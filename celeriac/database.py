"""The database: one metadata for all tables, one way to connect, one way to open a transaction.

Every room that keeps something in SQL takes an engine from `connect` and enters it by `transaction`, `single` or
`reading`; nobody begins a transaction in another way. SQLite and Postgres are the two databases. Time in SQL is the
database's own (`db_now`), as microseconds since 1970 in a BIGINT (`Moment`). Nothing here knows what is stored.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, ColumnElement, Connection, Engine, MetaData, Row, create_engine, event, type_coerce
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator

from celeriac.errors import ConfigError, StoreUnavailable
from celeriac.postgres import Entry, refuse_dead, watchful_connection
from celeriac.postgres import answers_within as answers_within
from celeriac.row_security import CUT_OTHERS, WEB, Mode, set_tenant

#: constraints have names on every database, so that a migration can change them
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

#: how long a writer waits for the others on SQLite
BUSY_SECONDS = 10.0

#: the present in microseconds as it moves on within a statement, for those that are written as text
NOW = {
    "sqlite": "celeriac_now()",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
}

#: the time at which a statement began; the planner may look it up in an index, which the moving time forbids
STATEMENT_NOW = {**NOW, "postgresql": NOW["postgresql"].replace("clock_timestamp", "statement_timestamp")}

#: Connections of a process: a Postgres grants a hundred by default, to all processes together. Threads wait for one
#: rather than open more, as each that is opened and closed costs Postgres a process, and all that it had prepared. The
#: one used last is taken first, so that few stay warm.
_POOL: dict[str, Any] = {"pool_size": 20, "max_overflow": 0, "pool_use_lifo": True}

#: an error ends in a log, so it names the statement that failed and not what that was given: events, hashes of keys
_DISCREET: dict[str, Any] = {"hide_parameters": True}

#: After how long a server is given up that has vanished without a word, in seconds, and milliseconds for the last: the
#: system would go on for hours. It is less than the journal's patience, so that a commit is tried once more. libpq
#: takes no notice of it on a Unix socket, and what the URL says comes first.
_SILENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}

#: the same for the web's role, beside which a process has those of the engine's
_WEB_POOL = 10

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: connection option: the statement that begins a transaction; "" for none, as each statement is one by itself
_BEGIN = "celeriac_begin"

#: SQLSTATE classes and codes of a server that does not answer now: connection, resources, shutdown, read-only, deadlock
_AWAY = ("08", "53", "57", "58", "25006", "40001", "40P01")

#: what psycopg raises, without a SQLSTATE, where it cannot connect
_CANNOT_CONNECT = ("OperationalError", "ConnectionTimeout", "InterfaceError")

#: engine option: each transaction names its tenant, as the role that it has entered sees no other's rows
_WALLED = "celeriac_walled"

#: what SQLite says when it cannot be used now
_SQLITE_AWAY = ("unable to open", "database is locked", "disk I/O error", "database or disk is full", "readonly")

#: The threads of a process line up here for SQLite's one writer; its own way of waiting is to sleep and look again.
_writers: WeakKeyDictionary[Any, threading.Lock] = WeakKeyDictionary()


def to_micros(moment: datetime) -> int:
    """Return the aware datetime as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the microseconds since 1970 as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


class Moment(TypeDecorator[datetime]):
    """A point in time: a BIGINT of microseconds since 1970 outside, an aware datetime in UTC inside."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Store microseconds."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Read a datetime."""
        return None if value is None else from_micros(value)


class db_now(FunctionElement[datetime]):  # noqa: N801 (it stands in statements like func.now)
    """The database's time at which the statement began."""

    type = Moment()
    inherit_cache = True


@compiles(db_now)
def _compile_now(element: db_now, compiler: SQLCompiler, **_: Any) -> str:
    return STATEMENT_NOW[compiler.dialect.name]


def db_ago(span: timedelta) -> ColumnElement[datetime]:
    """Return the database's time of `span` ago, for statements."""
    return type_coerce(type_coerce(db_now(), BigInteger) - span // _MICROSECOND, Moment)


def connect(
    url: str, *, role: str | None = None, row_security: Mode = "auto", connections: int | None = None
) -> Engine:
    """Return the engine for this URL; nothing is connected before the first statement.

    With a role of `celeriac.row_security` its connections enter that, and as the web's role they see only rows of the
    tenant that is named where a transaction is opened. To Postgres it has up to so many connections. SQLite's folder is
    made. Raises `ConfigError` for a URL that is none, or of another database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError("The database URL cannot be read; write it like sqlite:///celeriac.db") from error
    match parsed.get_backend_name():
        case "sqlite":
            return _connect_sqlite(parsed)
        case "postgresql" | "postgres":
            return _connect_postgres(parsed, role, row_security, connections)
        case other:
            raise ConfigError(f"Celeriac does not run on {other!r}; use sqlite:///… or postgresql://…")


@contextmanager
def transaction(engine: Engine, tenant_id: str | None = None) -> Iterator[Connection]:
    """Open a transaction that may write; it is committed at the end, and rolled back by an exception.

    On SQLite it holds the right to write from its beginning, so nothing that it reads is outdated when it writes. An
    engine of the web's role sees rows of this tenant alone.
    """
    with _translated(), _turn_to_write(engine), engine.connect() as connection:
        if _is_walled(engine):
            connection.execution_options(**{_BEGIN: _begin_for(tenant_id)})
        with connection.begin():
            yield connection


@contextmanager
def opened(engine: Engine, opening: str) -> Iterator[tuple[Connection, Row[*tuple[Any, ...]]]]:
    """Open a transaction that may write; also yield the row that its opening returns, which goes out with BEGIN.

    The opening has no parameters; on Postgres it may be more than one statement. The transaction ends as that of
    `transaction`.
    """
    if engine.dialect.name == "sqlite":
        with transaction(engine) as connection:
            yield connection, connection.exec_driver_sql(opening).one()
        return
    with _translated(), engine.connect() as connection:
        connection.execution_options(**{_BEGIN: ""})
        yield connection, connection.exec_driver_sql(f"BEGIN; {opening}").one()
        connection.exec_driver_sql("COMMIT")  # what did not come here is rolled back when the pool takes it back


@contextmanager
def single(engine: Engine, tenant_id: str | None = None) -> Iterator[Connection]:
    """Open a connection on which each statement is a transaction of its own: one round trip instead of three.

    An engine of the web's role has to name its tenant, so there they are one transaction.
    """
    if _is_walled(engine):
        with transaction(engine, tenant_id) as connection:
            yield connection
        return
    with _translated(), _turn_to_write(engine), engine.connect() as connection:
        yield connection.execution_options(**{_BEGIN: ""})


@contextmanager
def straight(connection: Connection) -> Iterator[Any]:
    """Yield a cursor of the driver itself, in the connection's transaction, for what is short and hot on SQLite.

    SQLAlchemy's own way to a statement costs more than SQLite's whole work. Errors are the same.
    """
    driver = connection.dialect.loaded_dbapi
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except driver.Error as error:
        raise DBAPIError.instance(None, None, error, driver.Error, hide_parameters=True) from error
    finally:
        cursor.close()


@contextmanager
def reading(engine: Engine, tenant_id: str | None = None) -> Iterator[Connection]:
    """Open a connection for reads alone: a snapshot on SQLite, on Postgres one for each statement.

    An engine of the web's role sees rows of this tenant alone.
    """
    begin = "BEGIN" if engine.dialect.name == "sqlite" else _begin_for(tenant_id) if _is_walled(engine) else ""
    with _translated(), engine.connect() as connection:
        yield connection.execution_options(**{_BEGIN: begin})


def migrate(url: str, *, row_security: Mode = "auto") -> None:
    """Bring the database to the newest schema, and raise the wall or take it down, as `row_security` says.

    Harmless when all is there, and when two do it at once. Raises `ConfigError` where the wall is required and this
    login may not raise it.
    """
    from alembic import command  # heavy, and only needed here
    from alembic.config import Config

    engine = connect(url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["row_security"] = row_security
    try:
        with transaction(engine) as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('celeriac.migrations'))")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        if config.attributes.get("is_raised"):
            with single(engine) as connection:
                connection.exec_driver_sql(CUT_OTHERS)
    finally:
        engine.dispose()


def _connect_sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigError("SQLite needs a file, as each connection has its own :memory:; write sqlite:///celeriac.db")
    Path(url.database).absolute().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_timeout=BUSY_SECONDS, **_POOL, **_DISCREET)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _connect_postgres(url: URL, role: str | None, mode: Mode, connections: int | None) -> Engine:
    size = connections or (_WEB_POOL if role == WEB else _POOL["pool_size"])
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        # Autocommit below, so that a single statement needs no BEGIN; two seconds is the least that libpq takes.
        connect_args={
            **{name: seconds for name, seconds in _SILENCE.items() if name not in url.query},
            "autocommit": True,
            "connect_timeout": 2,
            "fallback_application_name": "celeriac",
        },
        pool_timeout=1,
        execution_options={_WALLED: role == WEB},
        **_DISCREET,
        **{**_POOL, "pool_size": size},
    )
    event.listen(engine, "do_connect", lambda _, __, args, options: watchful_connection().connect(*args, **options))
    event.listen(engine, "checkout", refuse_dead)
    event.listen(engine, "begin", _begin_postgres)
    if role is not None:
        event.listen(engine, "connect", Entry(role, mode))
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # Python's own BEGIN is a deferred one, and those lose updates
    connection.create_function("celeriac_now", 0, _now_micros)
    _write_ahead(connection)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL, once in its life: SQLite does not wait here when another connection does the same."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    if begin := connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"):
        connection.exec_driver_sql(begin)


def _begin_postgres(connection: Connection) -> None:
    if begin := connection.get_execution_options().get(_BEGIN, "BEGIN"):
        connection.exec_driver_sql(begin)


def _is_walled(engine: Engine) -> bool:
    return bool(engine.get_execution_options().get(_WALLED))


def _begin_for(tenant_id: str | None) -> str:
    """Return what opens a transaction for a tenant, in one round trip."""
    return f"BEGIN; {set_tenant(tenant_id)}"


def _now_micros() -> int:
    return time.time_ns() // 1000


@contextmanager
def _turn_to_write(engine: Engine) -> Iterator[None]:
    if engine.dialect.name != "sqlite":
        yield
        return
    turn = _writers.setdefault(engine, threading.Lock())
    if not turn.acquire(timeout=BUSY_SECONDS):
        raise StoreUnavailable(f"The database was busy for {BUSY_SECONDS:g} s; try again")
    try:
        yield
    finally:
        turn.release()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn a database that does not answer into `StoreUnavailable`; its address stays out of the message."""
    try:
        yield
    except PoolTimeoutError as error:
        raise StoreUnavailable("All connections to the database are in use; try again") from error
    except DBAPIError as error:
        if _has_no_tables(error):
            raise StoreUnavailable("The database has no tables yet (or no more); run `celeriac migrate`") from error
        if not _is_away(error):
            _hide_row(error)
            raise
        raise StoreUnavailable(f"The database does not answer ({type(error.orig).__name__}); try again") from error


def _hide_row(error: DBAPIError) -> None:
    """Cut off what Postgres tells besides: the row that it refused, or the key that is there already."""
    for told in (error, error.orig):
        if told is not None and told.args:
            told.args = (str(told.args[0]).partition("\nDETAIL:")[0], *told.args[1:])


def _has_no_tables(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42P01" or "no such table" in str(error.orig)


def _is_away(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    if type(error.orig).__module__.partition(".")[0] == "sqlite3":
        return any(words in str(error.orig) for words in _SQLITE_AWAY)
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # psycopg could not even connect, or it refused a statement of ours
        return error.statement is None and type(error.orig).__name__ in _CANNOT_CONNECT
    return bool(state.startswith(_AWAY))
