"""Approvals at the shell: a person sees what waits, decides once, and the decision is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cli_shell import Shell

from approval_stage import PATH, park_at_approval
from celeriac.platform.approval import ApprovalRequest, approval_signal
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.event import Event
from celeriac.settings import Settings
from celeriac.wiring import Installation, build


@dataclass
class Till:
    """A shell that acts for a tenant, whose run asked for the approval of a refund, as its engine would."""

    shell: Shell
    rooms: Installation
    tenant: str
    run_id: str
    request: ApprovalRequest

    def decision(self) -> object:
        """Return what the run finds when it goes on; None where nothing was decided."""
        view = self.rooms.reads.view(self.tenant, self.run_id)
        [wait] = [wait for wait in view.waits if wait.kind == "signal"]
        return None if wait.event is None else json.loads(wait.event)["data"]["data"]

    def entries(self) -> list[dict[str, Any]]:
        """Return what the audit log has of the run."""
        found = self.shell.json("audit", self.tenant, "--json")["data"]
        return [one for one in found if one["subject"] == self.run_id]


@pytest.fixture
def till(shell: Shell) -> Iterator[Till]:
    """A run that waits for a person."""
    settings = {name.removeprefix("CELERIAC_").lower(): value for name, value in shell.settings.items()}
    rooms = build(Settings(**settings, _env_file=None))  # type: ignore[arg-type]
    rooms.store.declare("shop", [Declaration(app="shop", function_id="clerk", triggers=("asked",))], [])
    tenant = rooms.tenants.create("Acme").id
    [queued] = rooms.store.ingest(tenant, [Event("asked", {})]).queued
    request = park_at_approval(rooms.store, queued.run_id)
    acting = Shell(folder=shell.folder, settings={**shell.settings, "CELERIAC_DEFAULT_TENANT": tenant})
    yield Till(acting, rooms, tenant, queued.run_id, request)
    rooms.close()


def test_the_page_of_a_run_says_what_a_person_has_to_approve(till: Till) -> None:
    page = till.shell.run("runs", "get", till.run_id).stdout
    assert f"waits for a person to approve 'refund' at step '{PATH}' until " in page


@pytest.mark.parametrize("names_it", ["path", "request", "call"])
def test_a_call_is_approved_once(till: Till, names_it: str) -> None:
    call = {"path": PATH, "request": till.request.id, "call": "call_1"}[names_it]
    assert "is approved" in till.shell.run("runs", "approve", till.run_id, call).stdout
    decision = till.decision()
    assert isinstance(decision, dict) and (decision["approved"], decision["reason"]) == (True, None)
    assert str(decision["by"]).startswith("cli:")
    again = till.shell.run("runs", "approve", till.run_id, call, "--deny")
    assert (again.returncode, "is decided already: it was approved by cli:" in again.stderr) == (1, True)
    assert till.decision() == decision and [one["action"] for one in till.entries()] == ["run.approved"]


def test_a_call_is_denied_with_a_reason(till: Till) -> None:
    done = till.shell.json("runs", "approve", till.run_id, PATH, "--deny", "--reason", "Too much", "--json")
    assert done == {"run_id": till.run_id, "call_id": PATH, "approved": False}
    decision = till.decision()
    assert isinstance(decision, dict) and (decision["approved"], decision["reason"]) == (False, "Too much")
    [entry] = till.entries()
    assert entry["action"] == "run.denied"
    assert entry["detail"] == {"approval": till.request.id, "tool": "refund", "reason": "Too much"}


def test_a_reason_is_no_document(till: Till) -> None:
    done = till.shell.run("runs", "approve", till.run_id, PATH, "--reason", "so " * 400)
    assert (done.returncode, "A reason has at most 1,000 characters" in done.stderr) == (1, True)
    assert till.decision() is None


def test_a_plain_signal_decides_nothing(till: Till) -> None:
    done = till.shell.run("signal", approval_signal(till.request.id), '{"approved": true}')
    assert (done.returncode, "celeriac runs approve" in done.stderr) == (1, True) and till.decision() is None


def test_nobody_decides_for_another_tenant(till: Till) -> None:
    other = till.rooms.tenants.create("Other").id
    done = till.shell.run("runs", "approve", till.run_id, PATH, "--tenant", other)
    assert done.returncode == 1 and "refund" not in done.stderr and till.decision() is None
