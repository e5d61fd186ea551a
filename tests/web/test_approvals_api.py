"""Approvals over HTTP: what waits is listed, decided once by whoever may, and written down; on each database."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from bank_runs import Desk
from isolation_world import World
from pydantic import TypeAdapter
from werkzeug.test import TestResponse

from approval_stage import park_at_approval
from celeriac.platform.approval import LONGEST_APPROVAL
from celeriac.tenants.keys import KeyWish
from celeriac.web.api.approvals import ApprovalOut, ApprovalsPage

ROUNDS = range(8)


class Till:
    """A tenant of its own, who asks with one key."""

    def __init__(self, world: World) -> None:
        self.rooms, self.app = world.own.rooms, world.app
        self.tenant = self.rooms.tenants.create("Till").id
        self.key_id, self.key = self.rooms.keys.create(self.tenant, KeyWish.of("api"))
        self.desk = Desk(self.rooms.store, self.tenant).open()

    def get(self, path: str) -> Any:
        return self._ask("GET", path).json

    def decide(self, run_id: str, call: str = "call_1", *, approved: bool = True, **more: Any) -> TestResponse:
        return self._ask("POST", f"/v1/runs/{run_id}/approvals/{call}", {"approved": approved, **more})

    def _ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        headers["Authorization"] = f"Bearer {self.key}"
        return self.app.test_client().open(path, method=method, json=body, headers=headers)

    def heard(self, run_id: str) -> Any:
        """Return the decision that the run finds when it goes on; None where there is none."""
        [wait] = [wait for wait in self.rooms.reads.view(self.tenant, run_id).waits if wait.kind == "signal"]
        return None if wait.event is None else json.loads(wait.event)["data"]["data"]

    def late(self) -> str:
        """Return a run that nobody decided on in time, and that nothing has woken yet."""
        run_id = self.desk.ticket()
        park_at_approval(self.rooms.store, run_id, lasts=timedelta(seconds=-1))
        return run_id

    def together(self, *asks: tuple[str, Any]) -> list[TestResponse]:
        """Post these at the same moment."""
        start = Barrier(len(asks))

        def at_once(ask: tuple[str, Any]) -> TestResponse:
            start.wait(10)
            return self._ask("POST", *ask)

        with ThreadPoolExecutor(len(asks)) as threads:
            return list(threads.map(at_once, asks))


@pytest.fixture
def till(world: World) -> Till:
    """A tenant without anything."""
    return Till(world)


# -- the list ---------------------------------------------------------------------------------------------------------


def test_a_call_that_waits_is_listed_with_what_one_has_to_know(till: Till) -> None:
    run_id = till.desk.asking("Block it")
    page = till.get("/v1/approvals")
    TypeAdapter(ApprovalsPage).validate_python(page)
    [one] = page["data"]
    assert (one["run_id"], one["app"], one["function_id"]) == (run_id, "bank", "support")
    assert (one["agent"], one["tool"], one["call_id"]) == ("Cards", "block_card", "call_1")
    assert one["input"] == {"card": "c-17", "because": "Block it"} and one["decision"] is None
    asked, until = (TypeAdapter(ApprovalOut).validate_python(one).asked_at, one["expires_at"])
    assert asked is not None and until > (asked + LONGEST_APPROVAL - timedelta(minutes=5)).isoformat()


def test_what_is_decided_cancelled_or_of_another_kind_is_not_listed(till: Till) -> None:
    till.desk.waiting()
    assert till.decide(till.desk.asking()).status_code == 200
    till.rooms.store.cancel(till.tenant, till.desk.asking())
    assert till.get("/v1/approvals") == {"data": [], "page": {"next_cursor": None, "has_more": False, "limit": 20}}


def test_a_cursor_leads_through_all_of_them_newest_first(till: Till) -> None:
    asked = [till.desk.asking() for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = till.get(f"/v1/approvals?limit=2{cursor}")
        seen += [one["run_id"] for one in page["data"]]
        cursor = f"&cursor={page['page']['next_cursor']}"
    assert page["page"]["has_more"] is False
    assert seen == asked[::-1]


def test_those_of_one_run_are_found(till: Till) -> None:
    run_id, _ = till.desk.asking(), till.desk.asking()
    assert [one["run_id"] for one in till.get(f"/v1/approvals?run_id={run_id}")["data"]] == [run_id]
    assert till.get("/v1/approvals?run_id=run_unknown")["data"] == []


@pytest.mark.parametrize("query", ["cursor=abc", "status=open", "limit=0"])
def test_a_question_that_says_nothing_is_refused(till: Till, query: str) -> None:
    answer = till.get(f"/v1/approvals?{query}")
    assert (answer["status"], answer["code"]) == (400, "invalid_request")


def test_a_cursor_is_good_for_its_tenant_alone(till: Till, world: World) -> None:
    for _ in range(2):
        till.desk.asking()
    cursor = till.get("/v1/approvals?limit=1")["page"]["next_cursor"]
    assert Till(world).get(f"/v1/approvals?cursor={cursor}")["status"] == 400


# -- the decision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("approved", [True, False])
def test_a_decision_reaches_the_run_with_who_and_why(till: Till, approved: bool) -> None:
    run_id = till.desk.asking()
    answer = till.decide(run_id, approved=approved, reason="As agreed").json
    TypeAdapter(ApprovalOut).validate_python(answer)
    decision = answer["decision"]
    assert (decision["approved"], decision["reason"]) == (approved, "As agreed")
    assert decision["by"] == f"key:{till.key_id}" and decision["at"].endswith("Z")
    heard = till.heard(run_id)
    assert {name: heard[name] for name in ("approved", "reason", "by")} == {
        name: decision[name] for name in ("approved", "reason", "by")
    }
    assert till.rooms.reads.run(till.tenant, run_id).status == "queued"


def test_a_decision_is_written_down_with_who_and_why(till: Till) -> None:
    run_id = till.desk.asking()
    asked = till.decide(run_id, approved=False, reason="Too much").json
    entry = till.get("/v1/audit")["data"][0]
    assert (entry["actor"], entry["action"], entry["subject"]) == (f"key:{till.key_id}", "run.denied", run_id)
    assert entry["detail"] == {"approval": asked["id"], "tool": "block_card", "reason": "Too much"}


def test_a_call_is_found_by_the_id_of_the_list(till: Till) -> None:
    run_id = till.desk.asking()
    [one] = till.get(f"/v1/approvals?run_id={run_id}")["data"]
    assert till.decide(run_id, one["id"]).json["id"] == one["id"]


def test_a_second_decision_is_a_conflict_that_says_what_was_decided(till: Till) -> None:
    run_id = till.desk.asking()
    first = till.decide(run_id).json
    again = till.decide(run_id, first["id"], approved=False)
    assert (again.status_code, again.json["code"]) == (409, "approval_decided")
    assert f"it was approved by key:{till.key_id}" in again.json["detail"]
    assert till.heard(run_id)["approved"] is True
    assert [one["action"] for one in till.get("/v1/audit")["data"]].count("run.denied") == 0


def test_a_decision_after_the_deadline_is_a_conflict(till: Till) -> None:
    run_id = till.late()
    assert till.decide(run_id).json["code"] == "approval_expired" and till.heard(run_id) is None
    till.rooms.store.wake_due()
    answer = till.decide(run_id)
    assert (answer.status_code, answer.json["code"]) == (409, "approval_expired")


def test_a_decision_after_the_end_of_the_run_is_a_conflict(till: Till) -> None:
    run_id = till.desk.asking()
    till.rooms.store.cancel(till.tenant, run_id)
    answer = till.decide(run_id)
    assert (answer.status_code, answer.json["code"]) == (409, "run_already_ended")
    assert "it is cancelled" in answer.json["detail"]


@pytest.mark.parametrize("call", ["call_2", "apr_01M8FZZZZZZZZZZZZZZZZZZZZZ"])
def test_a_call_that_nobody_was_asked_about_is_not_found(till: Till, call: str) -> None:
    for run_id in (till.desk.asking(), till.desk.completed()):
        assert till.decide(run_id, call).status_code == 404


def test_the_approval_of_another_run_is_not_found_by_its_id(till: Till, world: World) -> None:
    run_id, other = till.desk.asking(), Till(world)
    for side in (till, other):
        asked = side.desk.asking()
        [one] = side.get(f"/v1/approvals?run_id={asked}")["data"]
        assert till.decide(run_id, one["id"]).status_code == 404
    assert till.heard(run_id) is None


@pytest.mark.parametrize(
    "body", [{}, {"approved": "yes"}, {"approved": None}, {"approved": True, "by": "Ada"}, {"reason": "no"}]
)
def test_a_body_that_decides_nothing_decides_nothing(till: Till, body: Any) -> None:
    run_id = till.desk.asking()
    [answer] = till.together((f"/v1/runs/{run_id}/approvals/call_1", body))
    assert answer.status_code == 422 and till.heard(run_id) is None
    assert till.decide(run_id, reason="x" * 1_001).status_code == 422


def test_a_key_that_only_reads_decides_nothing(till: Till) -> None:
    run_id = till.desk.asking()
    till.key = till.rooms.keys.create(till.tenant, KeyWish.of("api", scopes=["runs:read"]))[1]
    assert till.decide(run_id).status_code == 403
    assert len(till.get("/v1/approvals")["data"]) == 1


# -- races ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", ROUNDS)
def test_of_two_decisions_at_once_one_counts(till: Till, turn: int) -> None:
    run_id = till.desk.asking()
    path = f"/v1/runs/{run_id}/approvals/call_1"
    yes, no = till.together((path, {"approved": True}), (path, {"approved": False}))
    assert {yes.status_code, no.status_code} == {200, 409}
    assert till.heard(run_id)["approved"] is (yes.status_code == 200)
    written = [one["action"] for one in till.get("/v1/audit")["data"] if one["subject"] == run_id]
    assert written == ["run.approved" if yes.status_code == 200 else "run.denied"]


@pytest.mark.parametrize("turn", ROUNDS)
def test_a_decision_and_a_cancellation_agree(till: Till, turn: int) -> None:
    run_id = till.desk.asking()
    decided, cancelled = till.together(
        (f"/v1/runs/{run_id}/approvals/call_1", {"approved": True}), (f"/v1/runs/{run_id}/cancel", None)
    )
    assert cancelled.status_code == 200 and till.rooms.reads.run(till.tenant, run_id).status == "cancelled"
    assert (decided.status_code, till.heard(run_id) is not None) in ((200, True), (409, False))
    assert decided.status_code == 200 or decided.json["code"] == "run_already_ended"
