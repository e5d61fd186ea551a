"""Operations over HTTP: reruns, bulk actions, functions and signals, and the walls between tenants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from bank_runs import TICKET
from http_client import Client
from pydantic import TypeAdapter
from web_stage import Bank, signed_in

from celeriac.platform.durable.bulk import BulkAction
from celeriac.platform.durable.memo import Wait, WaitBegun
from celeriac.platform.durable.order import STEP_ORDER_CHANGED, order_wait
from celeriac.platform.durable.store import Claim, Link
from celeriac.web.api.models import RunDetail
from celeriac.web.api.operation_models import BulkOut, FunctionOut
from celeriac.wiring import Installation

SUPPORT = {"kind": "cancel", "filter": {"function": "bank/support"}}


def work_off(installation: Installation) -> None:
    """Do what the workers would do for bulk actions."""
    for action_id in installation.operations.running():
        while installation.operations.advance(action_id).goes_on:
            continue


# -- reruns -----------------------------------------------------------------------------------------------------------


def test_a_run_is_done_again(bank: Bank) -> None:
    old = bank.desk.completed()
    answer = bank.api.post(f"/v1/runs/{old}/rerun", {})
    assert answer.status == 201
    again = bank.api.get(f"/v1/runs/{answer.json['id']}").json
    TypeAdapter(RunDetail).validate_python(again)
    assert (again["rerun_of"], again["status"], again["steps"]) == (old, "queued", [])
    assert again["event_id"] == bank.api.get(f"/v1/runs/{old}").json["event_id"]


def test_a_run_is_done_again_from_a_step(bank: Bank) -> None:
    old = bank.desk.completed()
    path = "network:bank-support/turn:2"
    again = bank.api.post(f"/v1/runs/{old}/rerun", {"from_step": path}).json
    steps = bank.api.get(f"/v1/runs/{again['id']}").json["steps"]
    assert [step["path"] for step in steps] == ["load_customer", "recall", "network:bank-support"]
    assert [turn["path"] for turn in steps[2]["children"]] == ["network:bank-support/turn:1"]
    assert again["usage"]["model_calls"] == 0, "what was taken over was paid for by the old run"


def test_a_prompt_is_edited(bank: Bank) -> None:
    path = "network:bank-support/turn:1/infer"
    body = {"from_step": path, "input": {"system": "Be brief.", "messages": []}}
    again = bank.api.post(f"/v1/runs/{bank.desk.completed()}/rerun", body)
    assert again.status == 201
    claim = bank.desk.store.claim(again.json["id"], "wrk_desk", Link(id="l", root_id="l"))
    assert claim is not None and claim.overrides == {path: body["input"]}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"from_step": "nowhere"}, 404, "not_found"),
        ({"from_step": "load_customer", "input": "text"}, 409, "input_does_not_fit"),
        ({"from_step": "network:bank-support/turn:1", "input": []}, 409, "input_does_not_fit"),
        ({"input": []}, 422, "validation_error"),
        ({"from_step": "load_customer", "input": ["\u0000"]}, 422, "validation_error"),
        ({"from_step": "load_customer", "input": ["\ud800"]}, 422, "validation_error"),
        ({"from_step": 7}, 422, "validation_error"),
        ({"step": "load_customer"}, 422, "validation_error"),
    ],
)
def test_a_rerun_that_cannot_be_is_refused(bank: Bank, body: Any, status: int, code: str) -> None:
    refused = bank.api.post(f"/v1/runs/{bank.desk.completed()}/rerun", body)
    assert (refused.status, refused.json["code"]) == (status, code)
    assert len(bank.api.get("/v1/runs").json["data"]) == 1


def test_a_run_that_goes_on_is_not_done_again(bank: Bank) -> None:
    refused = bank.api.post(f"/v1/runs/{bank.desk.waiting()}/rerun", {})
    assert (refused.status, refused.json["code"]) == (409, "run_not_ended")


def test_a_paused_function_does_nothing_again(bank: Bank) -> None:
    old = bank.desk.completed()
    bank.api.post("/v1/functions/bank/support/pause")
    refused = bank.api.post(f"/v1/runs/{old}/rerun", {})
    assert (refused.status, refused.json["code"]) == (409, "paused")


# -- a changed order of steps -----------------------------------------------------------------------------------------


def stopped(bank: Bank) -> Claim:
    """Return a run that stands still because its code has changed."""
    store, run = bank.desk.store, bank.desk.started()
    wait = order_wait(run.id, 0, store.now())
    right = {"run_id": run.id, "tenant_id": bank.tenant_id, "fence": run.claim.fence}
    assert store.commit([WaitBegun(**right, path=wait.path, wait=wait)]) == [0]
    fresh = store.refresh(run.claim)
    assert fresh is not None and store.park(fresh, reason=STEP_ORDER_CHANGED)
    return fresh


def test_a_stopped_run_is_let_go_on(bank: Bank) -> None:
    run_id = stopped(bank).run.id
    assert bank.api.get(f"/v1/runs/{run_id}").json["reason"] == "step_order_changed"
    answer = bank.api.post(f"/v1/runs/{run_id}/resume")
    assert (answer.status, answer.json["status"]) == (200, "queued")
    again = bank.api.post(f"/v1/runs/{run_id}/resume")
    assert (again.status, again.json["code"]) == (409, "run_not_stopped")


def test_the_page_of_a_stopped_run_does_not_say_that_it_ended(server: str, bank: Bank) -> None:
    page = signed_in(server, bank).get(f"/runs/{stopped(bank).run.id}").text
    assert "/resume" in page and "Ended by" not in page


def test_a_run_that_waits_for_something_else_is_not_let_go_on(bank: Bank) -> None:
    assert bank.api.post(f"/v1/runs/{bank.desk.waiting()}/resume").json["code"] == "run_not_stopped"


# -- lists ------------------------------------------------------------------------------------------------------------


def test_lists_are_filtered_by_expression_and_time(bank: Bank) -> None:
    failed, waiting = bank.desk.failed(), bank.desk.waiting()
    created = datetime.fromisoformat(bank.api.get(f"/v1/runs/{waiting}").json["created_at"])
    for query, expected in {
        "if=run.error.code%20%3D%3D%20%22step%22": [failed],
        "if=event.data.text.startsWith(%22Somebody%22)": [waiting],
        f"event_name={TICKET}": [waiting, failed],
        "event_name=other": [],
        "function=bank/support": [waiting, failed],
        "function=shop/support": [],
        f"created_before={(created - timedelta(hours=1)).isoformat().replace('+', '%2B')}": [],
        "created_after=2020-01-01": [waiting, failed],
    }.items():
        answer = bank.api.get(f"/v1/runs?{query}")
        assert [run["id"] for run in answer.json["data"]] == expected, answer.text


def test_pages_by_expression_lead_through_all(bank: Bank) -> None:
    sent = [bank.desk.ticket(str(n)) for n in range(7)]
    seen, cursor = [], ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = bank.api.get(f"/v1/runs?limit=2&if=event.data.text%20!=%20%223%22{more}").json
        seen += [run["id"] for run in page["data"]]
        cursor = page["page"]["next_cursor"]
    assert seen == [run_id for run_id in sent[::-1] if run_id != sent[3]]


@pytest.mark.parametrize(
    "query", ["if=event.", "if=user.name", "if_=true", "created_after=soon", "created_after=2026&created_before=2025"]
)
def test_a_filter_that_says_nothing_is_refused(bank: Bank, query: str) -> None:
    refused = bank.api.get(f"/v1/runs?{query}")
    assert (refused.status, refused.json["code"]) == (400, "invalid_request")


# -- bulk actions -----------------------------------------------------------------------------------------------------


def test_a_bulk_action_is_begun_and_followed(bank: Bank, installation: Installation) -> None:
    runs = [bank.desk.ticket() for _ in range(3)]
    begun = bank.api.post("/v1/bulk", SUPPORT)
    assert (begun.status, begun.json["status"], begun.json["total"]) == (202, "running", 3)
    work_off(installation)
    over = bank.api.get(f"/v1/bulk/{begun.json['id']}").json
    TypeAdapter(BulkOut).validate_python(over)
    assert (over["status"], over["seen"], over["changed"]) == ("completed", 3, 3)
    assert over["filter"] == {"function": "bank/support"}
    assert {bank.api.get(f"/v1/runs/{run_id}").json["status"] for run_id in runs} == {"cancelled"}


def test_a_dry_run_only_counts(bank: Bank, installation: Installation) -> None:
    bank.desk.ticket()
    answer = bank.api.post("/v1/bulk", SUPPORT | {"dry_run": True})
    assert (answer.status, answer.json) == (200, {"total": 1, "is_exact": True})
    assert installation.operations.running() == []


def test_a_filter_may_be_replayed(bank: Bank, installation: Installation) -> None:
    failed, _ = bank.desk.failed(), bank.desk.completed()
    body = {"kind": "rerun", "filter": {"status": "failed", "created_after": "2020-01-01T00:00:00Z", "if": "true"}}
    assert bank.api.post("/v1/bulk", body).status == 202
    work_off(installation)
    repeated = [run["rerun_of"] for run in bank.api.get("/v1/runs").json["data"] if run["rerun_of"]]
    assert repeated == [failed]


def test_an_action_is_aborted(bank: Bank, installation: Installation) -> None:
    run_id = bank.desk.ticket()
    action_id = bank.api.post("/v1/bulk", SUPPORT).json["id"]
    assert bank.api.post(f"/v1/bulk/{action_id}/abort").json["status"] == "aborted"
    work_off(installation)
    assert bank.api.get(f"/v1/runs/{run_id}").json["status"] == "queued"


def test_actions_are_paged(bank: Bank, other_bank: Bank) -> None:
    begun = [bank.api.post("/v1/bulk", SUPPORT).json["id"] for _ in range(3)]
    first = bank.api.get("/v1/bulk?limit=2").json
    cursor = first["page"]["next_cursor"]
    rest = bank.api.get(f"/v1/bulk?limit=2&cursor={cursor}").json
    assert [action["id"] for action in (*first["data"], *rest["data"])] == begun[::-1]
    assert rest["page"] == {"next_cursor": None, "has_more": False, "limit": 2}
    assert other_bank.api.get(f"/v1/bulk?cursor={cursor}").json["code"] == "invalid_request"


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "cancel", "filter": {}},
        {"kind": "cancel"},
        {"kind": "delete", "filter": {"status": "failed"}},
        {"kind": "cancel", "filter": {"status": "failed"}},
        {"kind": "rerun", "filter": {"status": "parked"}},
        {"kind": "rerun", "filter": {"if": "event.data."}},
        {"kind": "rerun", "filter": {"state": "failed"}},
        {"kind": "rerun", "filter": {"function": "a", "created_after": "2026-02-01", "created_before": "2026-01-01"}},
        {"kind": "cancel", "filter": {"function": "a"}, "dry_run": "false"},
    ],
)
def test_a_bulk_action_that_is_not_meant_is_refused(bank: Bank, installation: Installation, body: Any) -> None:
    refused = bank.api.post("/v1/bulk", body)
    assert refused.status == 422, refused.text
    assert installation.operations.running() == []


def test_another_tenants_action_is_not_found(bank: Bank, other_bank: Bank, installation: Installation) -> None:
    mine, foreign = bank.desk.ticket(), other_bank.desk.ticket()
    action_id = bank.api.post("/v1/bulk", SUPPORT).json["id"]
    for answer in (other_bank.api.get(f"/v1/bulk/{action_id}"), other_bank.api.post(f"/v1/bulk/{action_id}/abort")):
        assert answer.status == 404
        assert bank.tenant_id not in answer.text
    assert other_bank.api.get("/v1/bulk").json["data"] == []
    work_off(installation)
    assert bank.api.get(f"/v1/runs/{mine}").json["status"] == "cancelled"
    assert other_bank.api.get(f"/v1/runs/{foreign}").json["status"] == "queued"


def test_another_tenants_run_is_not_done_again(bank: Bank, other_bank: Bank) -> None:
    run_id = bank.desk.completed()
    for verb in ("rerun", "resume"):
        assert other_bank.api.post(f"/v1/runs/{run_id}/{verb}", {}).status == 404


# -- functions and signals --------------------------------------------------------------------------------------------


def test_functions_are_listed_with_what_starts_them(bank: Bank) -> None:
    listed = bank.api.get("/v1/functions").json["data"]
    TypeAdapter(list[FunctionOut]).validate_python(listed)
    assert [(one["app"], one["id"], one["triggers"]) for one in listed] == [
        ("bank", "nightly-report", ["bank/day.ended"]),
        ("bank", "support", [TICKET]),
    ]
    assert not any(one["is_paused"] for one in listed)


def test_functions_are_listed_with_their_limits(bank: Bank) -> None:
    nightly, support = (one["limits"] for one in bank.api.get("/v1/functions").json["data"])
    assert nightly["concurrency"] == [{"limit": 1, "key": "event.data.branch", "scope": "function", "hold": "run"}]
    assert nightly["rate_limit"] == {"limit": 1, "per": 21_600.0, "key": "event.data.day"}
    assert support == {"concurrency": [], **dict.fromkeys(("throttle", "rate_limit", "priority", "singleton"))}


def test_a_run_beyond_a_rate_limit_says_when_the_next_may_begin(bank: Bank) -> None:
    day = {"name": "bank/day.ended", "data": {"day": "monday"}}
    sent = [one["id"] for one in bank.api.post("/v1/events", [day, day]).json["data"]]
    [begun], [refused] = (bank.api.get(f"/v1/events/{id}/runs").json["data"] for id in sent)
    assert (refused["status"], refused["reason"], begun["retry_at"]) == ("skipped", "rate_limited", None)
    created, retry = (datetime.fromisoformat(at) for at in (begun["created_at"], refused["retry_at"]))
    assert retry - created == timedelta(hours=6)


def test_a_paused_function_starts_nothing_for_its_tenant(bank: Bank, other_bank: Bank) -> None:
    assert bank.api.post("/v1/functions/bank/support/pause").json["is_paused"] is True
    sent = bank.api.post("/v1/events", {"name": TICKET, "data": {}}).json["data"][0]["id"]
    [run] = bank.api.get(f"/v1/events/{sent}/runs").json["data"]
    assert (run["status"], run["reason"]) == ("skipped", "paused")
    assert other_bank.api.get("/v1/functions").json["data"][1]["is_paused"] is False
    assert other_bank.desk.ticket()
    assert bank.api.post("/v1/functions/bank/support/resume").json["is_paused"] is False
    assert bank.desk.ticket()


def test_an_unknown_function_is_not_paused(bank: Bank) -> None:
    refused = bank.api.post("/v1/functions/bank/nothing/pause")
    assert (refused.status, refused.json["code"]) == (404, "not_found")


def signalled(bank: Bank, signal: str) -> str:
    """Return a run that waits for the signal."""
    store, run = bank.desk.store, bank.desk.started()
    wait = Wait(
        path="ok", kind="signal", event_name=f"celeriac/signal:{signal}", wake_at=store.now() + timedelta(hours=1)
    )
    assert store.await_event(run.claim, wait) is not None
    fresh = store.refresh(run.claim)
    assert fresh is not None and store.park(fresh)
    return run.id


def test_a_signal_wakes_the_run_that_waits_for_it(bank: Bank, other_bank: Bank) -> None:
    run_id = signalled(bank, "approved:t-1")
    body = {"signal": "approved:t-1", "data": {"by": "Ada"}}
    assert other_bank.api.post("/v1/signals", body).status == 404
    answer = bank.api.post("/v1/signals", body)
    assert (answer.status, answer.json) == (200, {"data": {"run_id": run_id}})
    again = bank.api.post("/v1/signals", body)
    assert (again.status, again.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"signal": ""}, 422),
        ({"signal": "x" * 256}, 422),
        ({"signal": "a\u0000"}, 422),
        ({"signal": "a\u200b"}, 422),
        ({"signal": "a", "data": "\u0000"}, 422),
        ({"signal": "a", "data": "x" * 600_000}, 413),
        ({"data": 1}, 422),
    ],
)
def test_a_signal_that_is_none_is_refused(bank: Bank, body: Any, status: int) -> None:
    assert bank.api.post("/v1/signals", body).status == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/runs/run_1/rerun"),
        ("POST", "/v1/runs/run_1/resume"),
        ("GET", "/v1/bulk"),
        ("POST", "/v1/bulk"),
        ("GET", "/v1/bulk/blk_1"),
        ("POST", "/v1/bulk/blk_1/abort"),
        ("GET", "/v1/functions"),
        ("POST", "/v1/functions/bank/support/pause"),
        ("POST", "/v1/functions/bank/support/resume"),
        ("POST", "/v1/signals"),
    ],
)
def test_nothing_is_done_without_an_api_key(visitor: Client, bank: Bank, method: str, path: str) -> None:
    """A key that may only send events is not enough."""
    for client, status in ((visitor, 401), (bank.sender, 403)):
        answer = client.get(path) if method == "GET" else client.post(path, {})
        assert answer.status == status


def test_the_description_tells_of_the_operations(visitor: Client) -> None:
    described = visitor.get("/openapi.json").json
    assert {"/v1/bulk", "/v1/bulk/{action_id}/abort", "/v1/signals"} <= set(described["paths"])
    query = described["paths"]["/v1/runs"]["get"]["parameters"]
    assert "if" in {parameter["name"] for parameter in query}
    assert "if" in described["components"]["schemas"]["FilterIn"]["properties"]


def test_an_action_tells_what_it_is(bank: Bank, installation: Installation) -> None:
    """What was given comes back as it was given."""
    given = {"status": "failed", "function": "bank/support", "event_name": TICKET, "if": "event.data.x == 1"}
    action_id = bank.api.post("/v1/bulk", {"kind": "rerun", "filter": given}).json["id"]
    action: BulkAction = installation.operations.action(bank.tenant_id, action_id)
    assert (action.where.app, action.where.function_id) == ("bank", "support")
    assert bank.api.get(f"/v1/bulk/{action_id}").json["filter"] == given
