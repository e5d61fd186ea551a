"""The commands print data on stdout as promised, and answer a wrong call in one line with the right exit code."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import click
import pytest
from cli_shell import Shell, end, is_healthy

from celeriac.cli.command import Command, Group
from celeriac.cli.ports import free_port
from celeriac.cli.processes import is_loopback
from celeriac.cli.root import celeriac
from celeriac.cli.schema import require_schema
from celeriac.errors import ConfigError
from waiting import wait_until


def every_command(group: click.Group = celeriac) -> list[click.Command]:
    """All commands, the groups among them."""
    found: list[click.Command] = [group]
    for command in group.commands.values():
        found += every_command(command) if isinstance(command, click.Group) else [command]
    return found


@pytest.mark.parametrize("command", every_command(), ids=lambda command: str(command.name))
def test_the_help_of_every_command_begins_with_an_example(command: click.Command) -> None:
    """One learns a command by seeing it used."""
    assert isinstance(command, Command | Group)
    assert command.get_help(click.Context(command)).startswith(f"  $ {command.example}\n")


def test_a_tenant_with_a_limit_gets_a_key(shell: Shell) -> None:
    """What a script needs is in the JSON."""
    tenant = shell.json("tenants", "create", "Acme", "--running", "2", "--starts-per-second", "5")
    key = shell.json("keys", "create", tenant["id"], "--kind", "api")
    limits = tenant["limits"]
    assert (limits["running"], limits["starts_per_second"], limits["starts_burst"]) == (2, 5.0, 5000)
    assert key["key"].startswith(f"cel_live_{key['id']}_")


def test_limits_are_changed_one_by_one(shell: Shell, tenant: str) -> None:
    """What is not named stays."""
    shell.json("tenants", "limits", tenant, "--running", "2", "--json")
    limits = shell.json("tenants", "limits", tenant, "--starts-burst", "7", "--json")
    assert (limits["running"], limits["starts_per_second"], limits["starts_burst"]) == (2, 1000.0, 7)


def test_an_unknown_tenant_is_named_with_what_to_do(shell: Shell) -> None:
    """One line, no traceback."""
    done = shell.run("runs", "ls", "--tenant", "ten_x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: There is no tenant 'ten_x'; `celeriac tenants ls` shows them all\n"


@pytest.mark.parametrize("command", [("keys", "ls"), ("tenants", "usage"), ("audit",)])
def test_the_default_tenant_is_meant_where_none_is_named(shell: Shell, tenant: str, command: tuple[str, ...]) -> None:
    """As everywhere else; without one, the answer is what to say."""
    shell.run("keys", "create", tenant, "--kind", "api")
    named = shell.run(*command, tenant, "--json")
    assert (named.returncode, named.stderr) == (0, "")
    assert shell.run(*command, "--json", CELERIAC_DEFAULT_TENANT=tenant).stdout == named.stdout
    assert shell.run(*command, "--json").returncode == 2


def test_an_error_shows_its_origin_when_asked(shell: Shell) -> None:
    """Only then."""
    done = shell.run("runs", "ls", "--tenant", "ten_x", "--debug")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("send", "a/b", "{oops"), "DATA is not JSON"),
        (("send", "a/b", "--timeout", "soon"), "is no duration"),
        (("runs", "ls", "--cursor", "never"), "--cursor"),
        (("worker",), "Name your app"),
        (("dev",), "celeriac dev --demo"),
    ],
)
def test_a_wrong_call_exits_with_2(shell: Shell, tenant: str, arguments: tuple[str, ...], says: str) -> None:
    """And says what is wrong with it."""
    done = shell.run(*arguments, CELERIAC_DEFAULT_TENANT=tenant)
    assert done.returncode == 2
    assert says in done.stderr


def test_an_event_from_standard_input_is_kept_until_a_worker_comes(shell: Shell, tenant: str) -> None:
    """Its id is all that is printed."""
    done = shell.run("send", "shop/order.placed", "-", "--tenant", tenant, given='{"order_id": 7}')
    assert done.stdout.startswith("evt_")
    assert done.stdout.count("\n") == 1


def test_an_event_that_starts_nothing_is_said_so(shell: Shell, tenant: str) -> None:
    """Waiting for runs that never come would be silly."""
    done = shell.run("send", "shop/order.placed", "--tenant", tenant, "--wait")
    assert done.returncode == 0
    assert "It started no run" in done.stderr


def test_a_bad_setting_is_named(shell: Shell) -> None:
    """Without its value, which may be a secret."""
    done = shell.run("tenants", "ls", CELERIAC_HEARTBEAT_SECONDS="-77")
    assert "CELERIAC_HEARTBEAT_SECONDS" in done.stderr
    assert "77" not in done.stderr


def test_a_database_without_tables_is_to_be_migrated(shell: Shell) -> None:
    """The commonest first mistake; mended by the command that the message names."""
    empty = f"sqlite:///{shell.folder / 'empty.db'}"
    assert "celeriac migrate" in shell.run("tenants", "ls", CELERIAC_DATABASE_URL=empty).stderr
    assert shell.run("migrate", CELERIAC_DATABASE_URL=empty).returncode == 0
    assert shell.json("tenants", "ls", "--json", CELERIAC_DATABASE_URL=empty) == {"data": []}


@pytest.mark.parametrize("arguments", [("worker", "shop:app"), ("web",), ("web", "shop:app")])
def test_nothing_starts_on_a_database_without_tables(shell: Shell, arguments: tuple[str, ...]) -> None:
    """One line and the end, in place of tracebacks or of a web that answers nothing."""
    port = ("--port", str(free_port())) if arguments[0] == "web" else ()
    empty = f"sqlite:///{shell.folder / 'empty.db'}"
    done = shell.run(*arguments, *port, CELERIAC_DATABASE_URL=empty, CELERIAC_SECRET_KEY="k" * 32)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: SQLite") and line.endswith("has no tables yet; run `celeriac migrate`")


def test_a_worker_does_not_start_on_an_old_schema(shell: Shell) -> None:
    """But on a newer one, which the next version has brought up already."""
    database = shell.folder / "other.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", ["0001"])
    url = f"sqlite:///{database}"
    with pytest.raises(ConfigError, match=r"has schema 0001, and this version needs \d+; run `celeriac migrate`"):
        require_schema(url)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    require_schema(url)


def test_a_worker_solves_what_is_sent(shell: Shell, tenant: str) -> None:
    """A run that fails makes `send --wait` exit with 3; its run is listed and shown."""
    worker = shell.start("worker", "shop:app", "--queues", "runs", "--concurrency", "2", log=shell.folder / "log")
    try:
        wait_until(lambda: b"takes runs" in (shell.folder / "log").read_bytes(), 30, "the worker to start")
        good = shell.run("send", "shop/order.placed", '{"order_id": 7}', "--tenant", tenant, "--wait")
        bad = shell.run("send", "shop/order.placed", '{"order_id": 13}', "--tenant", tenant, "--wait")
        assert (good.returncode, bad.returncode) == (0, 3)
        failed = shell.json("runs", "ls", "--tenant", tenant, "--status", "failed", "--json")["data"]
        page = shell.run("runs", "get", failed[0]["id"], "--tenant", tenant).stdout
        assert "✓ price" in page
        assert "Order 13 brings bad luck" in page
        assert shell.run("runs", "cancel", failed[0]["id"], "--tenant", tenant).returncode == 1
        assert "SecurityWarning" not in (shell.folder / "log").read_text(), "of being root, which containers are"
    finally:
        end(worker)


def test_the_web_is_not_open_to_others_without_a_secret(shell: Shell) -> None:
    """Anybody could forge a session else."""
    done = shell.run("web", "--host", "0.0.0.0")
    assert done.returncode == 1
    assert "CELERIAC_SECRET_KEY" in done.stderr


def test_the_web_does_not_serve_with_a_secret_that_can_be_guessed(shell: Shell) -> None:
    """Also on this machine, and the refusal says how to make one."""
    done = shell.run("web", CELERIAC_SECRET_KEY="k" * 31)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "31 characters" in done.stderr and "secrets.token_urlsafe(32)" in done.stderr


def test_the_web_serves_an_app_on_this_machine_without_a_secret(shell: Shell) -> None:
    """Its functions are declared, so that an event starts a run before any worker has come."""
    port, log = str(free_port()), shell.folder / "log"
    web = shell.start("web", "shop:app", "--port", port, log=log)
    wait_until(lambda: is_healthy(f"http://127.0.0.1:{port}"), 30, "the web to answer")
    tenant = shell.json("tenants", "create", "Acme")["id"]
    shell.run("send", "shop/order.placed", '{"order_id": 7}', "--tenant", tenant)
    runs = shell.json("runs", "ls", "--tenant", tenant, "--function", "shop/ship", "--json")["data"]
    assert [run["status"] for run in runs] == ["queued"]
    assert "is cancelled" in shell.run("runs", "cancel", runs[0]["id"], "--tenant", tenant).stdout
    assert not [file for file in open_files(web.pid) if ".db" in file], "the server's processes would share it"
    assert end(web, signal.SIGTERM) == 0
    assert "sessions and sign-in links end with this process" in log.read_text()


def open_files(pid: int) -> list[str]:
    """Return what the process itself has open, without its children."""
    return [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("web", False)]
)
def test_loopback_is_known(host: str, expected: bool) -> None:
    """A name that has to be looked up is none."""
    assert is_loopback(host) is expected


def test_the_module_may_be_run_from_any_folder(tmp_path: Path) -> None:
    """And prints no colours into a pipe."""
    done = Shell(folder=tmp_path).run("--help")
    assert "Commands:" in done.stdout
    assert "\x1b" not in done.stdout
