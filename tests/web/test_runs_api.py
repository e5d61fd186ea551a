"""Runs over HTTP: lists, single runs, cancel, and the walls between tenants."""

from __future__ import annotations

import pytest
from bank_runs import TICKET
from http_client import Client
from pydantic import TypeAdapter
from web_stage import Bank

from celeriac.web.api.models import RunDetail, RunsPage
from celeriac.wiring import Installation


def test_a_run_is_told_with_its_steps(bank: Bank) -> None:
    """The answer has exactly the fields that the description of the API promises."""
    run = bank.api.get(f"/v1/runs/{bank.desk.completed()}").json
    TypeAdapter(RunDetail).validate_python(run)
    assert set(run) == set(RunDetail.model_fields)
    assert [step["path"] for step in run["steps"]] == ["load_customer", "recall", "network:bank-support"]
    assert [turn["output"]["agent"] for turn in run["steps"][2]["children"]] == ["Triage", "Cards", "Cards"]
    assert run["usage"]["model_calls"] == 3
    assert run["created_at"].endswith("Z")


def test_a_waiting_run_says_for_what(bank: Bank) -> None:
    run = bank.api.get(f"/v1/runs/{bank.desk.waiting()}").json
    assert run["status"] == "parked"
    assert "support/card.block.decided" in run["waiting_for"]
    assert "t-1042" in run["waiting_for"]


def test_a_failed_step_shows_its_attempts(bank: Bank) -> None:
    run = bank.api.get(f"/v1/runs/{bank.desk.failed()}").json
    assert run["error"] == {"code": "step", "message": "Ticket not found: t-1042"}
    (step,) = run["steps"]
    assert [attempt["error"]["name"] for attempt in step["attempts"]] == ["ConnectionError"] * 3


def test_pages_lead_through_all_runs_once(bank: Bank) -> None:
    sent = {bank.desk.ticket() for _ in range(5)}
    seen, cursor = [], ""
    while True:
        page = bank.api.get(f"/v1/runs?limit=2{cursor}").json
        TypeAdapter(RunsPage).validate_python(page)
        seen += [run["id"] for run in page["data"]]
        if not page["page"]["has_more"]:
            break
        cursor = f"&cursor={page['page']['next_cursor']}"
    assert len(seen) == 5
    assert set(seen) == sent


def test_lists_are_filtered_by_status_and_function(bank: Bank) -> None:
    failed, _ = bank.desk.failed(), bank.desk.ticket()
    listed = bank.api.get("/v1/runs?status=failed&function=support").json["data"]
    assert [run["id"] for run in listed] == [failed]
    assert bank.api.get("/v1/runs?function=nightly-report").json["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "status=lost",
        "limit=0",
        "limit=101",
        "limit=many",
        "cursor=nope",
        "limit=1&limit=2",
        "function=%00",
    ],
)
def test_a_query_that_means_nothing_is_refused(bank: Bank, query: str) -> None:
    refused = bank.api.get(f"/v1/runs?{query}")
    assert (refused.status, refused.json["code"]) == (400, "invalid_request")


def test_a_run_that_is_cancelled_leaves_the_gate(bank: Bank, installation: Installation) -> None:
    bank.sender.post("/v1/events", {"name": TICKET, "data": {"ticket_id": "t-1"}})
    (run,) = bank.api.get("/v1/runs").json["data"]
    assert installation.gate.known([run["id"]]) == {run["id"]}
    assert bank.api.post(f"/v1/runs/{run['id']}/cancel").status == 200
    assert installation.gate.known([run["id"]]) == set()


def test_cancelling_a_queued_run_ends_it(bank: Bank) -> None:
    run_id = bank.desk.ticket()
    cancelled = bank.api.post(f"/v1/runs/{run_id}/cancel")
    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    assert bank.api.post(f"/v1/runs/{run_id}/cancel").json["code"] == "run_already_ended"


def test_cancelling_a_running_run_is_taken_on(bank: Bank) -> None:
    asked = bank.api.post(f"/v1/runs/{bank.desk.started().id}/cancel")
    assert (asked.status, asked.json["status"]) == (202, "running")


def test_an_ended_run_cannot_be_cancelled(bank: Bank) -> None:
    refused = bank.api.post(f"/v1/runs/{bank.desk.completed()}/cancel")
    assert (refused.status, refused.json["code"]) == (409, "run_already_ended")


def test_another_tenants_run_is_as_unknown_as_one_that_never_was(bank: Bank, other_bank: Bank) -> None:
    run_id = bank.desk.completed()
    event_id = bank.api.get(f"/v1/runs/{run_id}").json["event_id"]
    for path, unknown in [
        (f"/v1/runs/{run_id}", "/v1/runs/run_00000000000000000000000000"),
        (f"/v1/events/{event_id}/runs", "/v1/events/evt_00000000000000000000000000/runs"),
    ]:
        foreign, never = other_bank.api.get(path), other_bank.api.get(unknown)
        assert (foreign.status, foreign.json["code"]) == (never.status, never.json["code"]) == (404, "not_found")
    assert other_bank.api.post(f"/v1/runs/{run_id}/cancel").status == 404
    assert other_bank.api.get("/v1/runs").json["data"] == []


@pytest.mark.parametrize("path", ["/v1/runs/%00", "/v1/runs/run_%0a", "/v1/events/%00/runs", "/v1/nothing"])
def test_an_address_of_nothing_is_not_found(bank: Bank, path: str) -> None:
    answer = bank.api.get(path)
    assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_an_event_key_can_only_send(bank: Bank) -> None:
    run_id = bank.desk.ticket()
    for answer in (
        bank.sender.get("/v1/runs"),
        bank.sender.get(f"/v1/runs/{run_id}"),
        bank.sender.post(f"/v1/runs/{run_id}/cancel"),
    ):
        assert (answer.status, answer.json["code"]) == (403, "access_denied")


def test_nothing_is_read_without_a_key(visitor: Client, bank: Bank) -> None:
    refused = visitor.get(f"/v1/runs/{bank.desk.ticket()}")
    assert (refused.status, refused.json["code"]) == (401, "invalid_api_key")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_wrong_method_names_the_right_ones(bank: Bank) -> None:
    refused = bank.api.post("/v1/runs")
    assert (refused.status, refused.json["code"]) == (405, "method_not_allowed")
    assert "GET" in refused.headers["Allow"]


def test_a_cursor_is_good_for_its_tenant_alone(bank: Bank, other_bank: Bank) -> None:
    cursor = [bank.desk.ticket() for _ in range(2)] and bank.api.get("/v1/runs?limit=1").json["page"]["next_cursor"]
    assert bank.api.get(f"/v1/runs?cursor={cursor}").status == 200
    for forged in (cursor[:-1], cursor.partition(".")[0]):
        assert bank.api.get(f"/v1/runs?cursor={forged}").json["code"] == "invalid_request"
    assert other_bank.api.get(f"/v1/runs?cursor={cursor}").status == 400
