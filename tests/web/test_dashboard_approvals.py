"""Approvals on the dashboard: a list of what waits, the form beside the run, who decided, and the walls around it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from bank_runs import HOSTILE, Desk
from flask.testing import FlaskClient
from http_client import Client
from isolation_world import World
from web_stage import Bank, csrf_in, signed_in

from approval_stage import PATH, park_at_approval
from celeriac.platform.durable.memo import StepDone
from celeriac.platform.durable.store import Link
from celeriac.tenants.people import User
from celeriac.tenants.roles import Role
from celeriac.wiring import Installation


@pytest.fixture
def reader(server: str, bank: Bank) -> Client:
    """Somebody of the bank who is signed in by its key."""
    return signed_in(server, bank)


def asked_in(bank: Bank, run_id: str) -> str:
    """Return the id of the approval that the run asks for."""
    [one] = bank.api.get(f"/v1/approvals?run_id={run_id}").json["data"]
    return str(one["id"])


def test_what_waits_is_listed_and_leads_to_its_run(reader: Client, bank: Bank) -> None:
    assert "Nothing waits for a person" in reader.get("/approvals").text
    run_id = bank.desk.asking()
    page = reader.get("/approvals").text
    assert 'aria-current="page">Approvals</a>' in page
    assert f'href="/runs/{run_id}#{asked_in(bank, run_id)}">block_card</a>' in page
    assert "Somebody stole my wallet" in page and "Cards" in page


def test_the_list_has_pages(reader: Client, bank: Bank) -> None:
    for _ in range(51):
        bank.desk.asking()
    page = reader.get("/approvals").text
    assert page.count('class="what"') == 50
    older = page.partition('rel="next" href="')[2].partition('"')[0]
    assert reader.get(older).text.count('class="what"') == 1


@pytest.mark.parametrize(("answer", "words"), [("approve", "Approved by you: As agreed"), ("deny", "Denied by you")])
def test_a_call_is_decided_by_a_button(
    reader: Client, bank: Bank, installation: Installation, answer: str, words: str
) -> None:
    run_id = bank.desk.asking()
    page, path = reader.get(f"/runs/{run_id}").text, f"/runs/{run_id}/approvals/{asked_in(bank, run_id)}"
    assert f'action="{path}"' in page and '"c-17"' in page.replace("&#34;", '"')
    form = {"csrf": csrf_in(page), "answer": answer, "reason": " As\nagreed "}
    done = reader.submit(path, **form)
    assert (done.status, done.headers["Location"]) == (303, f"/runs/{run_id}")
    page = reader.get(f"/runs/{run_id}").text
    assert 'value="approve"' not in page and "Nothing waits for a person" in reader.get("/approvals").text
    go_on(installation, bank, run_id)
    assert words in reader.get(f"/runs/{run_id}").text
    again = reader.submit(path, **form)
    assert again.status == 409 and "is decided already" in again.text


def go_on(installation: Installation, bank: Bank, run_id: str) -> None:
    """Let the run hear the decision, as its engine would."""
    [wait] = [wait for wait in installation.reads.view(bank.tenant_id, run_id).waits if wait.kind == "signal"]
    claim = bank.desk.store.claim(run_id, "wrk_desk", Link(id="l", root_id="l"))
    assert claim is not None and wait.event is not None and wait.resolved_at is not None
    heard = json.dumps(json.loads(wait.event)["data"]["data"])
    right = {"run_id": run_id, "tenant_id": bank.tenant_id, "fence": claim.fence, "path": wait.path}
    times = {"started_at": wait.resolved_at, "ended_at": wait.resolved_at}
    assert bank.desk.store.commit([StepDone(**right, **times, kind="signal", value=heard)]) != [None]


def test_the_run_tells_what_it_waits_for_and_leads_to_the_form(reader: Client, bank: Bank) -> None:
    run_id = bank.desk.asking()
    page = reader.get(f"/runs/{run_id}").text
    assert "Waits for a person to approve &#39;block_card&#39;" in page
    asked = asked_in(bank, run_id)
    assert f'<a href="#{asked}">Waits for a person to approve it</a>' in page and f'id="{asked}"' in page


@pytest.mark.parametrize("fields", [{}, {"answer": "maybe"}, {"answer": "approve", "reason": "x" * 1_001}])
def test_a_form_that_decides_nothing_is_refused(reader: Client, bank: Bank, fields: dict[str, str]) -> None:
    run_id = bank.desk.asking()
    csrf = csrf_in(reader.get(f"/runs/{run_id}").text)
    answer = reader.submit(f"/runs/{run_id}/approvals/{asked_in(bank, run_id)}", csrf=csrf, **fields)
    assert answer.status == 422 and len(bank.api.get("/v1/approvals").json["data"]) == 1


def test_no_decision_works_without_the_token_of_the_form(reader: Client, bank: Bank) -> None:
    run_id = bank.desk.asking()
    path = f"/runs/{run_id}/approvals/{asked_in(bank, run_id)}"
    assert reader.submit(path, answer="approve").status == 403
    assert reader.submit(path, answer="approve", csrf="forged").status == 403
    assert len(bank.api.get("/v1/approvals").json["data"]) == 1


def test_hostile_texts_stay_texts(reader: Client, bank: Bank) -> None:
    run_id = bank.desk.asking(HOSTILE)
    for path in ("/approvals", f"/runs/{run_id}"):
        page = reader.get(path).text
        assert "&lt;script&gt;" in page and "<script>alert" not in page and "<img src=x" not in page


def test_a_call_whose_time_is_over_has_no_form_once_it_is_woken(
    reader: Client, bank: Bank, installation: Installation
) -> None:
    run_id = bank.desk.ticket()
    park_at_approval(installation.store, run_id, lasts=timedelta(seconds=-1))
    installation.store.wake_due()
    page = reader.get(f"/runs/{run_id}").text
    assert 'value="approve"' not in page and PATH in page


# -- people -----------------------------------------------------------------------------------------------------------


def person(world: World, role: Role) -> tuple[User, FlaskClient]:
    """Return somebody of that role, and their browser."""
    user = world.own.member(role)
    return user, world.browser(user, world.own.tenant_id)


def asking(world: World) -> tuple[str, str]:
    """Return a run that waits for a person, and the id of what it asks for."""
    run_id = Desk(world.own.rooms.store, world.own.tenant_id).asking()
    [one] = world.own.rooms.reads.approvals(world.own.tenant_id, run_id=run_id).approvals
    return run_id, one.call.request.id


def test_viewers_see_what_waits_and_have_no_buttons(world: World) -> None:
    run_id, asked = asking(world)
    _, browser = person(world, "viewer")
    assert run_id in browser.get("/approvals").text
    page = browser.get(f"/runs/{run_id}").text
    assert f'id="{asked}"' in page and "An operator of this tenant decides" in page and 'name="answer"' not in page
    form = {"csrf": "token", "answer": "approve"}
    assert browser.post(f"/runs/{run_id}/approvals/{asked}", data=form).status_code == 403


def test_a_persons_decision_is_written_down_by_name(world: World) -> None:
    run_id, asked = asking(world)
    user, browser = person(world, "operator")
    form = {"csrf": "token", "answer": "deny", "reason": "Too much"}
    assert browser.post(f"/runs/{run_id}/approvals/{asked}", data=form).status_code == 303
    [entry] = [one for one in world.own.rooms.audit.entries(world.own.tenant_id) if one.subject == run_id]
    assert (entry.actor, entry.action, entry.detail["reason"]) == (f"user:{user.id}", "run.denied", "Too much")
    [call] = [one for one in world.own.rooms.reads.view(world.own.tenant_id, run_id).waits if one.kind == "signal"]
    assert call.event is not None and json.loads(call.event)["data"]["data"]["by"] == f"user:{user.id}"
