"""Row-level security for logins that are no superusers: what they may do themselves, and what they are told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import Engine, make_url
from walls_stage import database_of_a_login

from celeriac.database import connect, metadata, migrate, reading, transaction
from celeriac.errors import ConfigError
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.store.sql_reads import SqlReads
from celeriac.platform.store.sql_store import SqlStore
from celeriac.row_security import ENGINE, WEB, Mode, missing
from celeriac.tenants.tenant import Tenants
from services import fresh_database


@pytest.fixture(scope="module")
def server(postgres_server: str) -> str:
    """A server that has the roles already."""
    with fresh_database(postgres_server) as url:
        migrate(url)
    return postgres_server


@contextmanager
def engine_of(url: str, role: str | None = None, mode: Mode = "auto") -> Iterator[Engine]:
    """Connect, and close it all at the end."""
    engine = connect(url, role=role, row_security=mode)
    try:
        yield engine
    finally:
        engine.dispose()


def rows_seen(url: str, role: str | None) -> int:
    """Count the tenants that a connection sees."""
    with engine_of(url, role) as engine, reading(engine) as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM tenants").scalar_one())


def told(url: str) -> list[tuple[str, str]]:
    """Return what the doctor says to this login."""
    with engine_of(url) as engine, reading(engine) as connection:
        return missing(connection, metadata.sorted_tables)


def make_a_tenant(url: str) -> None:
    """Write as the engine does."""
    with engine_of(url, ENGINE) as engine:
        Tenants(engine).create("Acme")


def admit(server: str, url: str) -> None:
    """Do as the administrator what the doctor says to this login."""
    with psycopg.connect(server, autocommit=True) as admin:
        for todo in (todo for _, todo in told(url) if todo != "celeriac migrate"):
            admin.execute(todo.encode())


def open_up(server: str, login: str) -> None:
    """Make the login a member in the way of old, by which it has what the roles may at once."""
    with psycopg.connect(server, autocommit=True) as admin:
        for role in (ENGINE, WEB):
            admin.execute(f"GRANT {role} TO {login} WITH INHERIT TRUE".encode())


def test_membership_alone_opens_nothing(server: str) -> None:
    """A connection that has entered no role sees no row, though its login may enter both and owns the tables."""
    with database_of_a_login(server) as (url, _):
        admit(server, url)
        migrate(url)
        make_a_tenant(url)
        assert (rows_seen(url, None), rows_seen(url, ENGINE)) == (0, 1)


def test_a_login_goes_on_as_the_engine_for_what_is_no_tenants(server: str) -> None:
    """By its own membership: the role that it has entered is a member of nothing."""
    with database_of_a_login(server) as (url, _):
        admit(server, url)
        migrate(url)
        with engine_of(url, ENGINE) as engine, engine_of(url, WEB) as walled:
            tenant_id = Tenants(engine).create("Acme").id
            store = SqlStore(engine, walled=walled)
            store.declare("bank", [Declaration(app="bank", function_id="support", triggers=("ticket",))], [])
            store.pause(tenant_id, "bank", "support", is_paused=True)
            assert [one.is_paused for one in SqlReads(engine, walled=walled).declared(tenant_id)] == [True]


def test_a_membership_that_opens_the_wall_is_told_of(server: str) -> None:
    """By it a connection that has entered nothing sees what the engine sees."""
    with database_of_a_login(server) as (url, login):
        admit(server, url)
        migrate(url)
        make_a_tenant(url)
        open_up(server, login)
        assert rows_seen(url, None) == 1
        assert told(url) == [
            (
                f"{login} has what {role} may without entering it",
                f"GRANT {role} TO {login} WITH INHERIT FALSE, SET TRUE",
            )
            for role in (ENGINE, WEB)
        ]


def test_a_wall_that_a_membership_opens_is_not_raised(server: str) -> None:
    """It would look like one and be none."""
    with database_of_a_login(server) as (url, login):
        open_up(server, login)
        with pytest.raises(ConfigError, match=f"GRANT celeriac_engine TO {login} WITH INHERIT FALSE"):
            migrate(url, row_security="required")


def test_a_login_that_may_make_no_roles_works_by_the_filter_alone(
    server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And says so."""
    with database_of_a_login(server) as (url, login):
        migrate(url)
        with caplog.at_level(logging.WARNING):
            make_a_tenant(url)
        grant = f"GRANT celeriac_web TO {login} WITH INHERIT FALSE, SET TRUE"
        assert (f"{login} may not enter celeriac_web", grant) in told(url)
        assert "ROW-LEVEL SECURITY IS OFF" in caplog.text
        assert rows_seen(url, None) == 1


def test_a_wall_that_is_required_is_raised_or_nothing_begins(server: str) -> None:
    with database_of_a_login(server) as (url, login):
        with pytest.raises(ConfigError, match=f"GRANT celeriac_engine TO {login}"):
            migrate(url, row_security="required")
        migrate(url)
        with engine_of(url, ENGINE, "required") as engine, pytest.raises(ConfigError, match="required and off"):
            Tenants(engine).list()


def test_the_wall_that_was_not_there_stands_once_the_administrator_has_done_his_part(server: str) -> None:
    """Connections that are open then are cut, as they would see nothing."""
    with database_of_a_login(server) as (url, _):
        migrate(url)
        with engine_of(url, ENGINE) as engine:
            tenants = Tenants(engine)
            tenants.create("Acme")
            admit(server, url)
            migrate(url)
            assert (rows_seen(url, None), len(tenants.list())) == (0, 1)


def test_a_login_that_lost_its_membership_is_told_instead_of_seeing_nothing(server: str) -> None:
    with database_of_a_login(server) as (url, login):
        admit(server, url)
        migrate(url)
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"REVOKE celeriac_engine FROM {login}".encode())
        with pytest.raises(ConfigError, match="may not enter celeriac_engine"):
            rows_seen(url, ENGINE)


def test_the_wall_is_taken_down_where_it_is_not_wanted(server: str) -> None:
    with database_of_a_login(server, "CREATEROLE") as (url, _):
        admit(server, url)
        migrate(url)
        make_a_tenant(url)
        migrate(url, row_security="off")
        assert (rows_seen(url, None), rows_seen(url, ENGINE)) == (1, 1)


def test_an_owner_without_a_right_on_the_schema_gives_it_to_itself(server: str) -> None:
    """Before Postgres 16 the wall takes inheritance from each login, and `public` is the owner's by that alone.

    A newer server lets owners inherit all the same, so that here the right goes in another way.
    """
    with database_of_a_login(server, "NOINHERIT") as (url, _):
        with psycopg.connect(server, dbname=make_url(url).database, autocommit=True) as admin:
            admin.execute("REVOKE ALL ON SCHEMA public FROM pg_database_owner")
        migrate(url)
        with engine_of(url) as engine, transaction(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE of_a_later_migration (id int)")
            assert connection.exec_driver_sql("SELECT to_regclass('of_a_later_migration')").scalar_one() is not None
