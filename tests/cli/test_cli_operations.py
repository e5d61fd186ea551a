"""The commands of operators: runs done again, bulk actions, functions, signals, and the deletion of old runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cli_shell import Shell

from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.event import Event
from celeriac.settings import Settings
from celeriac.wiring import Installation, build


@dataclass
class Desk:
    """A shell that acts for a tenant, and the rooms behind it; there is no worker."""

    shell: Shell
    rooms: Installation
    tenant: str

    def send(self, number: int = 1) -> list[str]:
        """Send so many orders, and return their runs."""
        events = [Event("shop/order.placed", {"order_id": n}) for n in range(number)]
        return [run.run_id for run in self.rooms.store.ingest(self.tenant, events).queued]

    def cancelled(self, number: int = 1) -> list[str]:
        """Return the ids of cancelled runs."""
        return [self.rooms.store.cancel(self.tenant, run_id).id for run_id in self.send(number)]

    def work_off(self) -> None:
        """Do what the workers would do for bulk actions."""
        for action_id in self.rooms.operations.running():
            while self.rooms.operations.advance(action_id).goes_on:
                continue


@pytest.fixture
def desk(shell: Shell) -> Iterator[Desk]:
    """A tenant, and `shop/ship` declared."""
    settings = {name.removeprefix("CELERIAC_").lower(): value for name, value in shell.settings.items()}
    rooms = build(Settings(**settings, _env_file=None))  # type: ignore[arg-type]
    ship = Declaration(app="shop", function_id="ship", triggers=("shop/order.placed",), version="v7")
    rooms.store.declare("shop", [ship], [])
    tenant = rooms.tenants.create("Acme").id
    acting = Shell(folder=shell.folder, settings={**shell.settings, "CELERIAC_DEFAULT_TENANT": tenant})
    yield Desk(acting, rooms, tenant)
    rooms.close()


def test_a_run_is_done_again(desk: Desk) -> None:
    [old] = desk.cancelled()
    again = desk.shell.run("runs", "rerun", old).stdout.strip()
    run = desk.rooms.reads.run(desk.tenant, again)
    assert (run.rerun_of, run.status, run.version) == (old, "queued", "v7")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--from", "ship"), 1, "no step 'ship'"),
        (("--input", "[1]"), 2, "from_step"),
        (("--from", "ship", "--input", "{oops"), 2, "--input is not JSON"),
    ],
)
def test_a_rerun_that_cannot_be_says_why(desk: Desk, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = desk.shell.run("runs", "rerun", *desk.cancelled(), *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_a_bulk_action_is_counted_begun_and_followed(desk: Desk) -> None:
    desk.send(3)
    where = ("--function", "shop/ship", "--after", "1h", "--if", "event.data.order_id > 0")
    assert desk.shell.run("bulk", "cancel", *where, "--dry-run").stdout == "Cancel: 2 runs\n"
    begun = desk.shell.json("bulk", "cancel", *where, "--json")
    assert (begun["status"], begun["total"]) == ("running", 3)
    desk.work_off()
    over = desk.shell.json("bulk", "get", begun["id"], "--json")
    assert (over["status"], over["seen"], over["changed"]) == ("completed", 3, 2)
    listed = desk.shell.run("bulk", "ls").stdout
    assert f"{begun['id']}  cancel" in listed
    assert "if=event.data.order_id > 0" in listed


def test_what_was_cancelled_is_replayed(desk: Desk) -> None:
    runs = desk.cancelled(2)
    begun = desk.shell.run("bulk", "rerun", "--status", "cancelled", "--before", "2999-01-01")
    assert begun.returncode == 0, begun.stderr
    assert "celeriac bulk get blk_" in begun.stderr
    desk.work_off()
    listed = desk.shell.json("runs", "ls", "--status", "queued", "--json")["data"]
    assert sorted(run["rerun_of"] for run in listed) == sorted(runs)


def test_an_action_is_aborted(desk: Desk) -> None:
    desk.send()
    begun = desk.shell.json("bulk", "cancel", "--status", "queued", "--json")
    assert "aborted" in desk.shell.run("bulk", "abort", begun["id"]).stdout
    assert desk.rooms.operations.running() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bulk", "cancel"), "would take every run"),
        (("bulk", "rerun", "--status", "parked"), "nothing to rerun"),
        (("runs", "ls", "--if", "data.n == 1", "--after", "soon"), "is no time"),
        (("runs", "ls", "--if", "data.n == 1", "--after", "2h"), "event.data"),
        (("runs", "purge", "--before", "2999-01-01"), "future"),
        (("functions", "pause", "ship"), "APP/ID"),
    ],
)
def test_a_wrong_call_exits_with_2(desk: Desk, arguments: tuple[str, ...], says: str) -> None:
    """And says what is wrong with it."""
    done = desk.shell.run(*arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr


def test_runs_are_listed_by_filter(desk: Desk) -> None:
    runs = desk.send(2)
    by_event = ("--if", "event.data.order_id == 1", "--event-name", "shop/order.placed", "--after", "2020-01-01")
    assert [run["id"] for run in desk.shell.json("runs", "ls", *by_event, "--json")["data"]] == runs[1:]
    assert desk.shell.json("runs", "ls", "--function", "other/ship", "--json")["data"] == []


def test_a_function_is_paused_and_resumed(desk: Desk) -> None:
    assert desk.shell.run("functions", "pause", "shop/ship").stdout == "shop/ship is paused\n"
    desk.send()
    [skipped] = desk.shell.json("runs", "ls", "--json")["data"]
    assert (skipped["status"], skipped["reason"]) == ("skipped", "paused")
    assert "shop/ship  paused" in desk.shell.run("functions", "ls").stdout
    assert desk.shell.json("functions", "resume", "shop/ship", "--json")["is_paused"] is False


def test_a_signal_that_nobody_awaits_is_said_so(desk: Desk) -> None:
    done = desk.shell.run("signal", "approved:o7", "-", given='{"by": "Ada"}')
    assert (done.returncode, done.stderr) == (1, "Error: No run waits for the signal 'approved:o7'\n")


def test_a_run_that_is_not_stopped_is_not_resumed(desk: Desk) -> None:
    assert "does not stand still" in desk.shell.run("runs", "resume", *desk.send()).stderr


def test_old_runs_are_deleted_for_good(desk: Desk) -> None:
    """Those of all tenants, unless one is named."""
    old, [standing] = desk.cancelled(2), desk.send()
    other = desk.rooms.tenants.create("Other").id
    assert "2 runs would be deleted" in desk.shell.run("runs", "purge", "--before", "0s", "--dry-run").stdout
    assert desk.shell.json("runs", "purge", "--before", "0s", "--tenant", other, "--json")["runs"] == 0
    assert desk.shell.json("runs", "purge", "--before", "0s", "--json") == {"runs": 2, "is_dry_run": False}
    assert [run["id"] for run in desk.shell.json("runs", "ls", "--json")["data"]] == [standing]
    assert old != []


def test_a_tenant_keeps_runs_for_its_own_time(desk: Desk) -> None:
    limits = desk.shell.json("tenants", "limits", desk.tenant, "--retention-days", "7", "--json")
    assert limits["retention_days"] == 7
    assert desk.shell.json("tenants", "limits", desk.tenant, "--running", "2", "--json")["retention_days"] == 7
