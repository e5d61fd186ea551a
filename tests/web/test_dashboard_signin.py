"""Signing in to the dashboard: keys, one-time links, sessions, and forms of other sites."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from http_client import Answer, Client
from web_stage import SECRET_KEY, Bank, csrf_in, signed_in

from celeriac.web.auth import signin_link


def by_link(visitor: Client, link: str) -> Answer:
    """Follow a link."""
    parts = urlsplit(link)
    return visitor.get(f"{parts.path}?{parts.query}")


def test_a_key_opens_the_dashboard(server: str, bank: Bank) -> None:
    page = signed_in(server, bank).get("/runs")
    assert page.status == 200
    assert "Northbridge Bank" in page.text


@pytest.mark.parametrize("path", ["/", "/runs", "/runs/run_x", "/runs/run_x/raw"])
def test_somebody_who_is_not_signed_in_is_led_to_the_form(visitor: Client, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/signin?next=")


def test_after_signing_in_one_is_where_one_wanted_to_be(visitor: Client, bank: Bank) -> None:
    wanted = f"/runs/{bank.desk.ticket()}"
    form = visitor.get(visitor.get(wanted).headers["Location"]).text
    assert f'name="next" value="{wanted}"' in form
    answer = visitor.submit("/signin", key=bank.api_key, csrf=csrf_in(form), next=wanted)
    assert (answer.status, answer.headers["Location"]) == (303, wanted)


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "/\t/evil"]
)
def test_signing_in_never_leads_elsewhere(visitor: Client, bank: Bank, elsewhere: str) -> None:
    csrf = csrf_in(visitor.get("/signin").text)
    answer = visitor.submit("/signin", key=bank.api_key, csrf=csrf, next=elsewhere)
    assert answer.headers["Location"] == "/runs"


def test_keys_that_may_only_send_or_are_none_do_not_open_it(visitor: Client, bank: Bank) -> None:
    csrf = csrf_in(visitor.get("/signin").text)
    for key in (bank.event_key, "nope", ""):
        answer = visitor.submit("/signin", key=key, csrf=csrf)
        assert answer.status == 401
        assert bank.event_key not in answer.text
    assert visitor.get("/runs").status == 303


def test_a_link_opens_the_dashboard_once(server: str, bank: Bank) -> None:
    link = signin_link(server, bank.tenant_id, SECRET_KEY)
    first, second = Client(server), Client(server)
    assert by_link(first, link).headers["Location"] == "/runs"
    assert first.get("/runs").status == 200
    assert by_link(second, link).status == 401
    assert second.get("/runs").status == 303


@pytest.mark.parametrize("secret", ["", "another key"])
def test_a_forged_link_opens_nothing(server: str, bank: Bank, visitor: Client, secret: str) -> None:
    assert by_link(visitor, signin_link(server, bank.tenant_id, secret)).status == 401
    assert visitor.get("/signin/link").status == 401


def test_signing_out_ends_the_session(server: str, bank: Bank) -> None:
    visitor = signed_in(server, bank)
    assert visitor.submit("/signout", csrf=csrf_in(visitor.get("/runs").text)).status == 303
    assert visitor.get("/runs").status == 303


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(visitor: Client, bank: Bank) -> None:
    cookie = visitor.get("/signin").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert bank.api_key not in cookie


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Origin": "null"}]
)
def test_a_form_of_another_site_changes_nothing(server: str, bank: Bank, headers: dict[str, str]) -> None:
    visitor, run_id = signed_in(server, bank), bank.desk.ticket()
    body = f"csrf={csrf_in(visitor.get('/runs').text)}".encode()
    answer = visitor.post(f"/runs/{run_id}/cancel", body, "application/x-www-form-urlencoded", **headers)
    assert answer.status == 403
    assert bank.api.get(f"/v1/runs/{run_id}").json["status"] == "queued"


def test_a_form_without_its_token_changes_nothing(server: str, bank: Bank) -> None:
    visitor, run_id = signed_in(server, bank), bank.desk.ticket()
    assert visitor.submit(f"/runs/{run_id}/cancel", csrf="guess").status == 403
    assert visitor.submit("/signout").status == 403
    assert bank.api.get(f"/v1/runs/{run_id}").json["status"] == "queued"
