"""The pages of the dashboard: what they show, that hostile texts stay texts, and the walls between tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bank_runs import HOSTILE
from http_client import Client
from sqlalchemy import Engine, event
from web_stage import Bank, csrf_in, signed_in


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Collect what is asked of any database inside."""
    statements: list[str] = []

    def count(*call: Any) -> None:
        if call[2] != "BEGIN":
            statements.append(call[2])

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", count)


@pytest.fixture
def reader(server: str, bank: Bank) -> Client:
    """Somebody of the bank who is signed in."""
    return signed_in(server, bank)


def test_the_list_shows_each_run_and_why_it_waits(reader: Client, bank: Bank) -> None:
    ids = [bank.desk.completed(), bank.desk.waiting(), bank.desk.failed()]
    page = reader.get("/runs").text
    assert all(f"/runs/{run_id}" in page for run_id in ids)
    assert "Waits for event" in page
    assert "support/card.block.decided" in page
    assert "Ticket not found: t-1042" in page


def test_a_list_of_many_waiting_runs_costs_no_more_statements(reader: Client, bank: Bank) -> None:
    bank.desk.waiting()
    reader.get("/runs")
    with counted_statements() as of_one:
        reader.get("/runs")
    for _ in range(5):
        bank.desk.waiting()
    with counted_statements() as of_many:
        page = reader.get("/runs").text
    assert page.count("Waits for event") == 6
    assert len(about_runs(of_many)) <= len(about_runs(of_one)) <= 6
    with counted_statements() as of_refresh:
        reader.get("/runs", X_Fragment="1")
    assert len(about_runs(of_refresh)) <= len(about_runs(of_many)) - 2


def about_runs(statements: list[str]) -> list[str]:
    """Leave out the look at the key of who asks, which is believed for less than a second and may come at any time."""
    return [one for one in statements if "api_keys" not in one]


def test_the_list_is_filtered_by_its_address(reader: Client, bank: Bank) -> None:
    done, failed = bank.desk.completed(), bank.desk.failed()
    page = reader.get("/runs?status=failed&function=support").text
    assert failed in page
    assert done not in page
    assert "No run matches" in reader.get("/runs?function=nightly-report").text


def test_a_tenant_without_runs_is_told_how_to_get_one(reader: Client) -> None:
    page = reader.get("/runs").text
    assert "Nothing has run yet" in page
    assert f"curl {reader.base_url}/e/$EVENT_KEY" in page


def test_older_runs_are_a_page_away(reader: Client, bank: Bank) -> None:
    oldest = bank.desk.ticket()
    for _ in range(50):
        bank.desk.ticket()
    page = reader.get("/runs").text
    assert oldest not in page
    older = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert oldest in reader.get(older).text


def test_a_cursor_that_is_none_is_refused_on_a_page(reader: Client) -> None:
    answer = reader.get("/runs?cursor=nope")
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_run_is_told_turn_by_turn(reader: Client, bank: Bank) -> None:
    page = reader.get(f"/runs/{bank.desk.completed()}").text
    story = page.split("What the agents did")[1].split("<h2>Steps</h2>")[0]
    assert [story.count(f"<b>{agent}</b>") for agent in ("Triage", "Cards")] == [1, 2]
    assert story.index("classify") < story.index("look_up_policy") < story.index("reply_to_customer")
    assert story.count("State after this turn") == 3
    assert "412 → 38 tokens" in story


def test_a_waiting_run_shows_the_call_that_waits(reader: Client, bank: Bank) -> None:
    page = reader.get(f"/runs/{bank.desk.waiting()}").text
    assert '<p class="note wait" role="status">Waits for event' in page
    assert "Waits for an answer" in page
    assert 'data-refresh="2000"' in page


def test_a_failed_run_shows_its_error_and_attempts(reader: Client, bank: Bank) -> None:
    page = reader.get(f"/runs/{bank.desk.failed()}").text
    assert "Ticket not found: t-1042" in page
    assert "3 attempts" in page
    assert page.count("ConnectionError: the ledger does not answer") == 3
    assert "data-refresh" not in page


def test_a_refresh_gets_only_the_part_that_changes(reader: Client, bank: Bank) -> None:
    for path in ("/runs", f"/runs/{bank.desk.waiting()}"):
        part = reader.get(path, X_Fragment="1").text
        assert "<html" not in part
        assert part.strip() in reader.get(path).text or "Waits" in part


def test_a_run_is_cancelled_by_its_button(reader: Client, bank: Bank) -> None:
    run_id = bank.desk.waiting()
    answer = reader.submit(f"/runs/{run_id}/cancel", csrf=csrf_in(reader.get(f"/runs/{run_id}").text))
    assert (answer.status, answer.headers["Location"]) == (303, f"/runs/{run_id}")
    assert "Cancel run" in reader.get(f"/runs/{bank.desk.ticket()}").text


def test_hostile_texts_stay_texts(reader: Client, bank: Bank) -> None:
    ids = [bank.desk.completed(reply=HOSTILE), bank.desk.failed(message=HOSTILE), bank.desk.started(HOSTILE).id]
    pages = [reader.get("/runs").text, *(reader.get(f"/runs/{run_id}").text for run_id in ids)]
    for page in pages:
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "alert(1)" in page or page is pages[0]
        assert "49" not in page.split("{{7*7}}")[0][-10:]


def test_a_page_has_no_inline_script_or_style(reader: Client, bank: Bank) -> None:
    for path in ("/signin", "/runs", f"/runs/{bank.desk.completed()}"):
        page = reader.get(path).text
        assert " style=" not in page
        assert "<style" not in page
        assert " on" + "click=" not in page
        assert page.count("<script") == page.count('<script src="/static/celeriac.js"') == 1


def test_a_page_of_many_steps_can_be_looked_at(reader: Client, bank: Bank) -> None:
    """It shows the beginnings of large values and the ends of long conversations."""
    run = bank.desk.started()
    large = [{"number": number, "text": f"text {number}"} for number in range(200)]
    said = [{"role": "user", "text": f"message {number}: {'long ' * 100}"} for number in range(300)]
    for number in range(300):
        run.step(f"s{number}", large, given=large)
    for number in range(20):
        run.step(f"m{number}", {"text": "done"}, kind="model", given={"messages": said})
    page = reader.get(f"/runs/{run.id}").text
    assert len(page) < 2_000_000
    assert "more characters in the raw view" in page and "earlier messages" in page
    assert "message 299" in page


def test_another_tenants_run_is_not_found_on_any_page(other_bank: Bank, server: str, bank: Bank) -> None:
    run_id, stranger = bank.desk.completed(), signed_in(server, other_bank)
    csrf = csrf_in(stranger.get("/runs").text)
    unknown = stranger.get("/runs/run_00000000000000000000000000")
    for answer in (stranger.get(f"/runs/{run_id}"), stranger.get(f"/runs/{run_id}/raw"), unknown):
        assert answer.status == 404
        assert "I still have not received" not in answer.text
    assert stranger.submit(f"/runs/{run_id}/cancel", csrf=csrf).status == 404
    assert run_id not in stranger.get("/runs").text


#: what Chrome sends; by its rules the most special type is one that nobody would answer with
BROWSER = "text/html,application/xml;q=0.9,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"


@pytest.mark.parametrize("accept", [BROWSER, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"])
def test_a_browser_that_asks_for_what_is_not_there_gets_a_page(reader: Client, server: str, accept: str) -> None:
    for browser in (reader, Client(server)):
        answer = browser.get("/nope", Accept=accept)
        assert answer.status == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "Back to the runs" in answer.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/problem+json"])
def test_a_program_that_asks_for_what_is_not_there_gets_a_problem(server: str, accept: str) -> None:
    answer = Client(server).get("/nope", Accept=accept)
    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "odd", [None, 7, "text", [], [7], {}, {"messages": 7}, {"messages": [7], "patch": [7], "usage": 7}]
)
@pytest.mark.parametrize("kind", ["model", "turn", "tool", "run"])
def test_steps_of_another_shape_are_shown_all_the_same(reader: Client, bank: Bank, kind: str, odd: object) -> None:
    """What a run remembers may have been written by another version of the app."""
    run = bank.desk.started()
    run.step("network:desk/turn:1/odd", odd, kind=kind, given=odd)
    run.step("network:desk/turn:1", odd, kind="turn", given=odd)
    assert reader.get(f"/runs/{run.id}").status == 200
