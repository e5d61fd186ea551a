"""Signing in to the dashboard: keys, one-time links, sessions, and forms of other sites."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.sessions import SecureCookieSessionInterface
from http_client import Answer, Client
from itsdangerous import URLSafeTimedSerializer
from web_stage import SECRET_KEY, Bank, csrf_in, signed_in

from celeriac.tenants.keys import KeyWish
from celeriac.web.app import create_app
from celeriac.web.auth import SESSION_GOOD_FOR, signin_link
from celeriac.wiring import Installation


def by_link(visitor: Client, link: str) -> Answer:
    """Follow a link."""
    parts = urlsplit(link)
    return visitor.get(f"{parts.path}?{parts.query}")


def serializer_of(installation: Installation) -> URLSafeTimedSerializer:
    """Return what the web signs its sessions with."""
    serializer = SecureCookieSessionInterface().get_signing_serializer(create_app(installation))
    assert serializer is not None
    return serializer


def signed_cookie(installation: Installation, facts: dict[str, Any]) -> str:
    """Return the header of a session with these facts."""
    return f"celeriac_session={serializer_of(installation).dumps(facts)}"


def session_of(installation: Installation, cookie: str) -> dict[str, Any]:
    """Read the session that a cookie sets."""
    found: dict[str, Any] = serializer_of(installation).loads(cookie.partition("=")[2].partition(";")[0])
    return found


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


def test_who_may_not_read_runs_gets_out_again(server: str, bank: Bank, installation: Installation) -> None:
    """The page that refuses them has the button, too."""
    _, key = installation.keys.create(bank.tenant_id, KeyWish.of("api", scopes=["audit:read"]))
    visitor = Client(server)
    visitor.submit("/signin", key=key, csrf=csrf_in(visitor.get("/signin").text))
    refused = visitor.get("/runs")
    assert (refused.status, "/signout" in refused.text) == (403, True)
    assert visitor.submit("/signout", csrf=csrf_in(refused.text)).status == 303
    assert "/signout" not in visitor.get("/signin").text


def test_a_session_ends_with_its_key(server: str, bank: Bank, installation: Installation) -> None:
    visitor, by_other_key = signed_in(server, bank), Client(server)
    key_id, key = installation.keys.create(bank.tenant_id, "api")
    by_other_key.submit("/signin", key=key, csrf=csrf_in(by_other_key.get("/signin").text))
    assert by_other_key.get("/runs").status == 200
    installation.keys.revoke(key_id)
    assert by_other_key.get("/runs").status == 303
    assert visitor.get("/runs").status == 200


@pytest.mark.parametrize(("left", "status"), [(timedelta(minutes=1), 200), (timedelta(0), 303), (None, 303)])
def test_a_session_ends_at_its_time(
    installation: Installation, server: str, bank: Bank, left: timedelta | None, status: int
) -> None:
    """Also one of another version, which has no end."""
    facts = {} if left is None else {"ends_at": (datetime.now(UTC) + left).timestamp()}
    cookie = signed_cookie(installation, {"tenant_id": bank.tenant_id, "by": "link", **facts})
    assert Client(server).get("/runs", Cookie=cookie).status == status


@pytest.mark.parametrize(("proof", "status"), [({"by": "link"}, 200), ({}, 303), ({"by": "hand"}, 303)])
def test_a_session_without_a_proof_is_none(
    installation: Installation, server: str, bank: Bank, proof: dict[str, str], status: int
) -> None:
    """What nobody has begun is not the operator's."""
    ends_at = (datetime.now(UTC) + timedelta(minutes=1)).timestamp()
    cookie = signed_cookie(installation, {"tenant_id": bank.tenant_id, "ends_at": ends_at, **proof})
    assert Client(server).get("/runs", Cookie=cookie).status == status


def test_a_session_is_not_renewed_by_its_use(installation: Installation, server: str, bank: Bank) -> None:
    visitor, now = Client(server), datetime.now(UTC).timestamp()
    cookie = by_link(visitor, signin_link(server, bank.tenant_id, SECRET_KEY)).headers["Set-Cookie"]
    ends_at = session_of(installation, cookie)["ends_at"]
    assert abs(ends_at - now - SESSION_GOOD_FOR.total_seconds()) < 60
    cookie = visitor.get("/runs").headers["Set-Cookie"]  # the form of the page put its token there
    assert session_of(installation, cookie)["ends_at"] == ends_at
    assert visitor.get("/runs").headers["Set-Cookie"] is None


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
