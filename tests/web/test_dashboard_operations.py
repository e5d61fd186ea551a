"""The dashboard's operations: reruns with edited input, bulk actions, functions; and the walls around their forms."""

from __future__ import annotations

import json
from urllib.parse import quote, unquote

import pytest
from bank_runs import HOSTILE
from http_client import Client
from web_stage import Bank, csrf_in, signed_in

from celeriac.platform.durable.store import Link
from celeriac.wiring import Installation


@pytest.fixture
def reader(server: str, bank: Bank) -> Client:
    """Somebody of the bank who is signed in."""
    return signed_in(server, bank)


def submit(reader: Client, page: str, path: str, **fields: str) -> str:
    """Send a form of the page; return where it leads to."""
    answer = reader.submit(path, csrf=csrf_in(reader.get(page).text), **fields)
    assert answer.status == 303, answer.text
    return str(answer.headers["Location"])


def work_off(installation: Installation) -> None:
    """Do what the workers would do for bulk actions."""
    for action_id in installation.operations.running():
        while installation.operations.advance(action_id).goes_on:
            continue


def test_a_run_is_done_again_by_its_button(reader: Client, bank: Bank) -> None:
    old = bank.desk.completed()
    assert f'href="/runs/{old}/rerun"' in reader.get(f"/runs/{old}").text
    location = submit(reader, f"/runs/{old}/rerun", f"/runs/{old}/rerun")
    page = reader.get(location).text
    assert f'href="/runs/{old}">{old[-8:]}</a>' in page, "the new run leads to the old one"
    assert "again</span>" in reader.get("/runs").text


def test_a_run_is_done_again_from_a_step_with_another_input(reader: Client, bank: Bank) -> None:
    old, path = bank.desk.completed(), "network:bank-support/turn:2/infer"
    form = f"/runs/{old}/rerun?from={quote(path, safe='')}"
    assert f"/runs/{old}/rerun?from={path}" in unquote(reader.get(f"/runs/{old}").text)
    assert "You are Cards of the bank." in reader.get(form).text
    edited = json.dumps({"system": "Be brief.", "messages": []})
    again = submit(reader, form, f"/runs/{old}/rerun", **{"from": path, "input": edited}).rpartition("/")[2]
    claim = bank.desk.store.claim(again, "wrk_desk", _link())
    assert claim is not None and claim.overrides == {path: json.loads(edited)}
    assert reader.get(f"/runs/{again}").text.count(">kept</span>") == 5


def test_an_input_that_is_left_alone_edits_nothing(reader: Client, bank: Bank) -> None:
    run = bank.desk.started()
    run.step("charge", 1, given=[{"cents": 990}])
    bank.desk.store.cancel(bank.tenant_id, run.id)
    _end(bank, run.id)
    form = f"/runs/{run.id}/rerun?from=charge"
    text = json.dumps([{"cents": 990}], indent=2)
    again = submit(reader, form, f"/runs/{run.id}/rerun", **{"from": "charge", "input": text}).rpartition("/")[2]
    claim = bank.desk.store.claim(again, "wrk_desk", _link())
    assert claim is not None and claim.overrides == {}


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        ("{oops", 422, "is no JSON"),
        ("[NaN]", 422, "NaN is no JSON number"),
        ("[" * 100_000 + "]" * 100_000, 422, "nested more than 100 levels deep"),
        ("7", 409, "must be"),
        ('["\\u0000"]', 409, "NUL"),
    ],
    ids=["broken", "NaN", "deep", "a number", "NUL"],
)
def test_an_input_that_is_none_comes_back_with_the_reason(
    reader: Client, bank: Bank, given: str, status: int, says: str
) -> None:
    old, path = bank.desk.completed(), "network:bank-support/turn:2/infer"
    csrf = csrf_in(reader.get(f"/runs/{old}/rerun").text)
    answer = reader.submit(f"/runs/{old}/rerun", csrf=csrf, **{"from": path, "input": given})
    assert answer.status == status
    assert says in answer.text
    assert given.replace('"', "&#34;") in answer.text


def test_runs_are_searched_by_expression_and_time(reader: Client, bank: Bank) -> None:
    failed, waiting = bank.desk.failed(), bank.desk.waiting()
    asked = quote("run.error.code == 'step'")
    page = reader.get(f"/runs?if={asked}&created_after=2020-01-01T00:00").text
    assert failed in page
    assert waiting not in page
    assert "Cancel these" in page
    mistake = reader.get("/runs?if=event.&created_after=2020-01-01T00:00")
    assert mistake.status == 200
    assert 'value="event."' in mistake.text
    assert "The expression" in mistake.text
    assert "Created before" in reader.get("/runs?created_before=soon").text


def test_a_bulk_action_is_counted_and_followed(reader: Client, bank: Bank, installation: Installation) -> None:
    runs = [bank.desk.ticket() for _ in range(3)]
    page = reader.get("/bulk/new?kind=cancel&function=bank/support").text
    assert '<p class="numeral">3</p>' in page
    location = submit(
        reader, "/bulk/new?kind=cancel&function=bank/support", "/bulk", kind="cancel", function="bank/support"
    )
    assert "Abort" in reader.get(location).text
    work_off(installation)
    over = reader.get(location, X_Fragment="1").text
    assert 'data-final="yes"' in over
    assert "Abort</button>" not in over
    assert "3 of 3" in over
    assert location in reader.get("/bulk").text
    assert {bank.api.get(f"/v1/runs/{run_id}").json["status"] for run_id in runs} == {"cancelled"}


def test_a_bulk_action_is_aborted_by_its_button(reader: Client, bank: Bank, installation: Installation) -> None:
    bank.desk.ticket()
    location = submit(reader, "/bulk/new?status=queued", "/bulk", kind="cancel", status="queued")
    assert submit(reader, location, f"{location}/abort") == location
    assert "Aborted" in reader.get(location).text
    assert installation.operations.running() == []


@pytest.mark.parametrize("query", ["", "?kind=delete", "?kind=cancel&status=", "?status=failed", "?if=event."])
def test_a_bulk_action_on_nothing_or_everything_has_no_button(reader: Client, query: str) -> None:
    answer = reader.get(f"/bulk/new{query}")
    assert answer.status == 200
    assert 'action="/bulk"' not in answer.text


def test_a_bulk_action_without_a_filter_is_refused(reader: Client, installation: Installation) -> None:
    csrf = csrf_in(reader.get("/functions").text)
    answer = reader.submit("/bulk", csrf=csrf, kind="cancel")
    assert answer.status == 422
    assert "would take every run" in answer.text
    assert installation.operations.running() == []


def test_a_function_is_paused_by_its_button(reader: Client, bank: Bank, other_bank: Bank) -> None:
    assert submit(reader, "/functions", "/functions/bank/support/pause") == "/functions"
    page = reader.get("/functions").text
    assert "Paused" in page
    assert "/functions/bank/support/resume" in page
    bank.api.post("/v1/events", {"name": "support/ticket.opened", "data": {}})
    assert '<span class="why">paused</span>' in reader.get("/runs").text
    assert other_bank.desk.ticket()
    submit(reader, "/functions", "/functions/bank/support/resume")
    assert "Paused" not in reader.get("/functions").text


POSTS = [
    "/runs/{run}/rerun",
    "/runs/{run}/resume",
    "/bulk",
    "/bulk/{action}/abort",
    "/functions/bank/support/pause",
    "/functions/bank/support/resume",
]


@pytest.mark.parametrize("path", POSTS)
def test_no_form_works_without_its_token(reader: Client, bank: Bank, installation: Installation, path: str) -> None:
    run_id = bank.desk.completed()
    action = bank.api.post("/v1/bulk", {"kind": "rerun", "filter": {"status": "failed"}}).json["id"]
    asked = path.format(run=run_id, action=action)
    for answer in (reader.submit(asked, kind="rerun", status="completed"), reader.submit(asked, csrf="x")):
        assert answer.status == 403
    assert installation.operations.running() == [action]
    assert not any(one.is_paused for one in installation.reads.declared(bank.tenant_id))
    assert len(bank.api.get("/v1/runs").json["data"]) == 1


def test_another_tenants_things_are_not_found(other_bank: Bank, bank: Bank, server: str) -> None:
    run_id, stranger = bank.desk.completed(), signed_in(server, other_bank)
    action = bank.api.post("/v1/bulk", {"kind": "rerun", "filter": {"status": "failed"}}).json["id"]
    csrf = csrf_in(stranger.get("/functions").text)
    asked = [
        stranger.get(f"/runs/{run_id}/rerun"),
        stranger.get(f"/bulk/{action}"),
        stranger.submit(f"/runs/{run_id}/rerun", csrf=csrf),
        stranger.submit(f"/runs/{run_id}/resume", csrf=csrf),
        stranger.submit(f"/bulk/{action}/abort", csrf=csrf),
    ]
    assert [answer.status for answer in asked] == [404] * len(asked)
    assert action not in stranger.get("/bulk").text


def test_hostile_texts_stay_texts(reader: Client, bank: Bank) -> None:
    run = bank.desk.started(HOSTILE)
    run.step(HOSTILE.replace("/", ":"), HOSTILE, given=[HOSTILE])
    _end(bank, run.id)
    given = quote(HOSTILE, safe="")
    pages = [
        reader.get(f"/runs/{run.id}"),
        reader.get(f"/runs/{run.id}/rerun?from={quote(HOSTILE.replace('/', ':'), safe='')}"),
        reader.get(f"/bulk/new?function={given}&event_name={given}&if={given}"),
        reader.get(f"/runs?if={given}&function={given}"),
    ]
    for page in pages:
        assert page.status == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert " style=" not in page.text


def _link() -> Link:
    return Link(id="l", root_id="l")


def _end(bank: Bank, run_id: str) -> None:
    """End an executing run, as its worker's death and a cancel would."""
    bank.desk.store.cancel(bank.tenant_id, run_id)
    for queued in bank.desk.store.bury(["wrk_desk"]):
        bank.desk.store.cancel(bank.tenant_id, queued.run_id)
