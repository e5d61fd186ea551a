"""What the doctor says of the walls between tenants: the roles, the policies, the keys and the clocks."""

from __future__ import annotations

import time

import psycopg
import pytest

from celeriac.cli.wall_checks import check_clocks, check_encryption, check_row_security
from celeriac.database import connect, migrate
from celeriac.settings import Settings
from celeriac.tenants.encryption import Cipher, new_key
from celeriac.tenants.keys import Keys
from celeriac.tenants.secrets import Secrets
from celeriac.tenants.tenant import Tenants
from services import fresh_database
from tenants.walls_stage import database_of_a_login


@pytest.fixture(scope="module")
def server(postgres_server: str) -> str:
    """A server that has the roles already."""
    with fresh_database(postgres_server) as url:
        migrate(url)
    return postgres_server


def test_a_login_that_may_make_no_roles_is_told_what_its_administrator_does(server: str) -> None:
    """And that is enough."""
    with database_of_a_login(server) as (url, login):
        migrate(url)
        check = check_row_security(Settings(database_url=url))
        assert (check.status, check.detail[:4]) == ("warning", "OFF:")
        statements = check.what_to_do.removeprefix("as an administrator of the database: ").partition("; then run ")
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(statements[0].encode())
        migrate(url)
        check = check_row_security(Settings(database_url=url, row_security="required"))
        assert (check.status, login in check.what_to_do) == ("ok", False)


def test_a_wall_that_is_required_or_shuts_everybody_out_is_broken(server: str) -> None:
    with database_of_a_login(server) as (url, login):
        migrate(url)
        assert check_row_security(Settings(database_url=url, row_security="required")).status == "broken"
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"GRANT celeriac_web, celeriac_engine TO {login} WITH INHERIT FALSE".encode())
        migrate(url)
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"REVOKE celeriac_engine FROM {login}".encode())
        assert check_row_security(Settings(database_url=url)).status == "broken"


@pytest.mark.parametrize("kind", ["secret", "signing key"])
def test_an_encryption_key_that_is_still_needed_is_missed(sqlite_url: str, kind: str) -> None:
    """Before a model is called with a secret that does not open, or something cannot be signed."""
    migrate(sqlite_url)
    old, engine = new_key("old"), connect(sqlite_url)
    tenant_id = Tenants(engine).create("Acme").id
    if kind == "signing key":
        Keys(engine, lambda: Cipher(old)).create(tenant_id, "signing")
    else:
        Secrets(engine, lambda: Cipher(old)).put(tenant_id, "openai", "sk-1", actor="cli:me")
    check = check_encryption(Settings(database_url=sqlite_url, encryption_keys=new_key("new")))
    assert (check.status, "'old'" in check.detail) == ("broken", True)
    assert check_encryption(Settings(database_url=sqlite_url, encryption_keys=f"{new_key('new')},{old}")).status == "ok"
    engine.dispose()


def test_clocks_that_agree_are_ok(sqlite_url: str, redis_url: str) -> None:
    migrate(sqlite_url)
    assert check_clocks(Settings(database_url=sqlite_url, redis_url=redis_url)).status == "ok"


@pytest.mark.parametrize("ahead", [90.0, -90.0])
def test_a_host_whose_clock_is_wrong_is_told_by_how_much(sqlite_url: str, redis_url: str, ahead: float) -> None:
    """SQLite has this host's own clock, so that here Redis alone shows it."""
    migrate(sqlite_url)
    settings = Settings(database_url=sqlite_url, redis_url=redis_url)
    check = check_clocks(settings, now=lambda: time.time() + ahead)
    assert (check.status, check.what_to_do) == ("broken", "let NTP set the clocks of all hosts")
    assert f"Redis is {-ahead:+.1f} s off this host" in check.detail


def test_a_database_whose_clock_is_wrong_is_told_of(postgres_url: str, redis_url: str) -> None:
    migrate(postgres_url)
    settings = Settings(database_url=postgres_url, redis_url=redis_url)
    assert check_clocks(settings).status == "ok"
    check = check_clocks(settings, now=lambda: time.time() - 2)
    assert (check.status, check.detail.count(" off this host")) == ("broken", 2)
