"""The commands of operators: runs done again, bulk actions, functions, signals, and the deletion of old runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cli_shell import Shell, end

from celeriac.settings import Settings
from celeriac.wiring import Installation, build
from waiting import wait_until


@pytest.fixture
def rooms(shell: Shell) -> Iterator[Installation]:
    """The shell's installation with `shop/ship` declared, and no worker."""
    from celeriac.platform.durable.declaration import Declaration

    settings = {name.removeprefix("CELERIAC_").lower(): value for name, value in shell.settings.items()}
    installation = build(Settings(**settings, _env_file=None))  # type: ignore[arg-type]
    ship = Declaration(app="shop", function_id="ship", triggers=("shop/order.placed",), version="v7")
    installation.store.declare("shop", [ship], [])
    yield installation
    installation.close()


@pytest.fixture
def acting(shell: Shell, tenant: str, rooms: Installation) -> Shell:
    """The same shell, acting for the tenant."""
    return Shell(folder=shell.folder, settings={**shell.settings, "CELERIAC_DEFAULT_TENANT": tenant})


def send(acting: Shell, number: int = 1) -> list[str]:
    """Send so many orders, and return their runs, oldest first."""
    for order in range(number):
        acting.run("send", "shop/order.placed", f'{{"order_id": {order}}}')
    return [run["id"] for run in acting.json("runs", "ls", "--limit", "100", "--json")["data"]][::-1]


def work_off(rooms: Installation) -> None:
    """Do what the workers would do for bulk actions."""
    for action_id in rooms.operations.running():
        while rooms.operations.advance(action_id).goes_on:
            continue


def test_a_run_is_done_again(acting: Shell) -> None:
    [old] = send(acting)
    assert "not ended" in acting.run("runs", "rerun", old).stderr
    acting.run("runs", "cancel", old)
    again = acting.run("runs", "rerun", old).stdout.strip()
    run = acting.json("runs", "get", again, "--json")
    assert (run["rerun_of"], run["status"], run["version"]) == (old, "queued", "v7")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--from", "ship"), 1, "no step 'ship'"),
        (("--input", "[1]"), 2, "from_step"),
        (("--from", "ship", "--input", "{oops"), 2, "--input is not JSON"),
    ],
)
def test_a_rerun_that_cannot_be_says_why(acting: Shell, arguments: tuple[str, ...], code: int, says: str) -> None:
    [old] = send(acting)
    acting.run("runs", "cancel", old)
    done = acting.run("runs", "rerun", old, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_a_bulk_action_is_counted_begun_and_followed(acting: Shell, rooms: Installation) -> None:
    send(acting, 3)
    where = ("--function", "shop/ship", "--after", "1h", "--if", "event.data.order_id > 0")
    assert acting.run("bulk", "cancel", *where, "--dry-run").stdout == "Cancel: 2 runs\n"
    begun = acting.json("bulk", "cancel", *where, "--json")
    assert (begun["status"], begun["total"]) == ("running", 3)
    work_off(rooms)
    over = acting.json("bulk", "get", begun["id"], "--json")
    assert (over["status"], over["seen"], over["changed"]) == ("completed", 3, 2)
    listed = acting.run("bulk", "ls").stdout
    assert f"{begun['id']}  cancel" in listed
    assert "if=event.data.order_id > 0" in listed


def test_what_was_cancelled_is_replayed(acting: Shell, rooms: Installation) -> None:
    runs = send(acting, 2)
    for run_id in runs:
        acting.run("runs", "cancel", run_id)
    begun = acting.run("bulk", "rerun", "--status", "cancelled", "--before", "2999-01-01")
    assert begun.returncode == 0, begun.stderr
    assert "celeriac bulk get blk_" in begun.stderr
    work_off(rooms)
    listed = acting.json("runs", "ls", "--status", "queued", "--json")["data"]
    assert sorted(run["rerun_of"] for run in listed) == sorted(runs)


def test_an_action_is_aborted(acting: Shell, rooms: Installation) -> None:
    send(acting)
    begun = acting.json("bulk", "cancel", "--status", "queued", "--json")
    assert "aborted" in acting.run("bulk", "abort", begun["id"]).stdout
    assert rooms.operations.running() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bulk", "cancel"), "would take every run"),
        (("bulk", "rerun", "--status", "parked"), "nothing to rerun"),
        (("bulk", "cancel", "--if", "event.data."), "The expression"),
        (("bulk", "cancel", "--after", "soon"), "is no time"),
        (("runs", "ls", "--if", "data.n == 1"), "event.data"),
        (("runs", "ls", "--after", "2026-02-01", "--before", "2026-01-01"), "created_after"),
        (("runs", "purge", "--before", "2999-01-01"), "future"),
        (("functions", "pause", "ship"), "APP/ID"),
        (("signal", "a", "{oops"), "DATA is not JSON"),
    ],
)
def test_a_wrong_call_exits_with_2(acting: Shell, arguments: tuple[str, ...], says: str) -> None:
    """And says what is wrong with it."""
    done = acting.run(*arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr


def test_runs_are_listed_by_filter(acting: Shell) -> None:
    runs = send(acting, 2)
    for filter, expected in (
        (("--if", "event.data.order_id == 1"), [runs[1]]),
        (("--function", "other/ship"), []),
        (("--event-name", "shop/order.placed", "--after", "1m"), runs[::-1]),
        (("--before", "1h"), []),
    ):
        assert [run["id"] for run in acting.json("runs", "ls", *filter, "--json")["data"]] == expected


def test_a_function_is_paused_and_resumed(acting: Shell) -> None:
    assert "active" in acting.run("functions", "ls").stdout
    assert acting.run("functions", "pause", "shop/ship").stdout == "shop/ship is paused\n"
    send(acting)
    [skipped] = acting.json("runs", "ls", "--json")["data"]
    assert (skipped["status"], skipped["reason"]) == ("skipped", "paused")
    assert acting.json("functions", "resume", "shop/ship", "--json")["is_paused"] is False
    [listed] = acting.json("functions", "ls", "--json")["data"]
    assert (listed["app"], listed["id"], listed["is_paused"]) == ("shop", "ship", False)
    assert acting.run("functions", "pause", "shop/nothing").returncode == 1


def test_a_signal_that_nobody_awaits_is_said_so(acting: Shell) -> None:
    done = acting.run("signal", "approved:o7", '{"by": "Ada"}')
    assert (done.returncode, done.stderr) == (1, "Error: No run waits for the signal 'approved:o7'\n")


def test_a_run_that_is_not_stopped_is_not_resumed(acting: Shell) -> None:
    [run_id] = send(acting)
    assert "does not stand still" in acting.run("runs", "resume", run_id).stderr


def test_old_runs_are_deleted_for_good(acting: Shell, shell: Shell) -> None:
    """Those of all tenants, unless one is named."""
    runs = send(acting, 2)
    acting.run("runs", "cancel", runs[0])
    assert "1 runs would be deleted" in acting.run("runs", "purge", "--before", "0s", "--dry-run").stdout
    assert acting.json("runs", "purge", "--before", "0s", "--tenant", _other(shell), "--json")["runs"] == 0
    purged = acting.json("runs", "purge", "--before", "0s", "--json")
    assert purged == {"runs": 1, "is_dry_run": False}
    assert [run["id"] for run in acting.json("runs", "ls", "--json")["data"]] == runs[1:]
    assert acting.run("runs", "get", runs[0]).returncode == 1


def _other(shell: Shell) -> str:
    return str(shell.json("tenants", "create", "Other")["id"])


def test_a_tenant_keeps_runs_for_its_own_time(shell: Shell, tenant: str) -> None:
    assert shell.json("tenants", "limits", tenant, "--retention-days", "7", "--json")["retention_days"] == 7
    assert shell.json("tenants", "limits", tenant, "--running", "2", "--json")["retention_days"] == 7
    assert "retention_days  7" in shell.run("tenants", "limits", tenant).stdout


def test_a_worker_takes_up_what_was_begun(acting: Shell) -> None:
    send(acting, 3)
    begun = acting.json("bulk", "cancel", "--function", "ship", "--json")
    worker = acting.start("worker", "shop:app", "--queues", "runs", log=acting.folder / "log")
    try:
        done = "completed"
        wait_until(lambda: acting.json("bulk", "get", begun["id"], "--json")["status"] == done, 30, "the action to end")
    finally:
        end(worker)
    assert acting.json("bulk", "get", begun["id"], "--json")["changed"] <= 3
