"""The web behind a proxy with TLS, over a real server: what it believes of whom, and the address that people see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from http_client import Answer, Client
from pydantic import ValidationError
from web_stage import SECRET_KEY, csrf_in, server_process, serving

from celeriac.settings import Settings
from celeriac.web.auth import signin_link
from celeriac.web.hints import TRIES_OF_ADDRESS, Hints, Tries
from celeriac.wiring import Installation

PUBLIC = "https://bank.example.com"

#: what an nginx sends where nobody has told it to keep the host
BY_NGINX = {"Host": "celeriac_upstream", "X_Forwarded_Proto": "https", "X_Forwarded_For": "203.0.113.7"}


class Browser(Client):
    """A browser on the other side of a proxy, which gives back cookies over TLS that come as plain HTTP here."""

    def __init__(self, base_url: str, **headers: str) -> None:
        super().__init__(base_url)
        self._always, self._cookie = headers, ""

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        answer = super()._ask(method, path, body, {**self._always, "Cookie": self._cookie, **headers})
        self._cookie = (answer.headers["Set-Cookie"] or self._cookie).partition(";")[0]
        return answer


@contextmanager
def behind(installation: Installation, **settings: Any) -> Iterator[str]:
    """Serve the installation with these settings besides."""
    with serving(replace(installation, settings=Settings(**{**installation.settings.model_dump(), **settings}))) as url:
        yield url


def try_passwords(installation: Installation, address: str) -> None:
    """Use up the tries that this address has."""
    hints = Hints(installation.settings.redis_url)
    for number in range(TRIES_OF_ADDRESS):
        assert hints.next_try(Tries(account=f"{number}@example.com", address=address)) is None


def sign_in(browser: Browser) -> int:
    """Try a password and return the status."""
    csrf = csrf_in(browser.get("/signin").text)
    return browser.submit("/signin/password", email="ada@example.com", password="wrong", csrf=csrf).status


@pytest.mark.parametrize(
    ("settings", "is_secure"),
    [
        ({"public_url": PUBLIC}, True),
        ({"trusted_proxies": "10.0.0.0/8,127.0.0.1"}, True),
        ({"public_url": "http://bank.example.com", "trusted_proxies": "10.0.0.0/8"}, False),
    ],
)
def test_the_session_cookie_is_for_tls_alone(
    installation: Installation, settings: dict[str, str], is_secure: bool
) -> None:
    """Where the address that people see is, or a proxy that is trusted says so."""
    trusting = {"trusted_proxies": "10.0.0.1", **settings}
    with behind(installation, **trusting) as url:
        cookie = Browser(url, **BY_NGINX).get("/signin").headers["Set-Cookie"]
    assert ("Secure" in cookie) == is_secure


def test_an_invitation_leads_to_the_address_that_people_see(installation: Installation) -> None:
    """And its form is taken, whatever host the proxy names."""
    tenant_id = installation.tenants.create("bank").id
    with behind(installation, public_url=PUBLIC) as url:
        browser, link = Browser(url, **BY_NGINX), urlsplit(signin_link(url, tenant_id, SECRET_KEY))
        assert browser.get(f"{link.path}?{link.query}").status == 303
        form = {"csrf": csrf_in(browser.get("/settings/people").text), "email": "ada@example.com", "role": "owner"}
        body = "&".join(f"{name}={value}" for name, value in form.items()).encode()
        answers = {
            origin: browser.post("/settings/people", body, "application/x-www-form-urlencoded", Origin=origin)
            for origin in (PUBLIC, "http://bank.example.com", "https://evil.example", url)
        }
    assert [answer.status for answer in answers.values()] == [201, 403, 403, 403]
    assert f"{PUBLIC}/invitation?token=" in answers[PUBLIC].text


def test_people_behind_a_proxy_have_addresses_of_their_own(installation: Installation) -> None:
    """What somebody else has tried from elsewhere shuts nobody out."""
    try_passwords(installation, "203.0.113.7")
    with behind(installation, trusted_proxies="127.0.0.1,10.0.0.0/8") as url:
        tried = [
            sign_in(Browser(url, X_Forwarded_For=named))
            for named in ("203.0.113.7", "198.51.100.1", "198.51.100.1, 203.0.113.7, 10.0.0.9", "203.0.113.7, 8.8.8.8")
        ]
    assert tried == [429, 401, 429, 401]


def test_the_server_itself_tells_the_web_what_the_proxy_says(installation: Installation) -> None:
    """Gunicorn passes both headers on."""
    try_passwords(installation, "203.0.113.7")
    with server_process(installation, trusted_proxies="127.0.0.1") as (url, _):
        assert "Secure" in Browser(url, **BY_NGINX).get("/signin").headers["Set-Cookie"]
        assert [sign_in(Browser(url, X_Forwarded_For=one)) for one in ("203.0.113.7", "198.51.100.1")] == [429, 401]


def test_who_is_no_trusted_proxy_names_no_address(installation: Installation) -> None:
    """Else anybody had as many tries as there are addresses."""
    try_passwords(installation, "127.0.0.1")
    with behind(installation, trusted_proxies="10.0.0.1") as url:
        assert sign_in(Browser(url, X_Forwarded_For="198.51.100.1")) == 429


@pytest.mark.parametrize(
    "wrong",
    [
        {"public_url": "bank.example.com"},
        {"public_url": "https://bank.example.com/celeriac"},
        {"public_url": "https://me:pass@bank.example.com"},
        {"public_url": "https://bank.example.com:port"},
        {"public_url": "ftp://bank.example.com"},
        {"trusted_proxies": "proxy.internal"},
        {"trusted_proxies": "10.0.0.1/8"},
    ],
)
def test_a_setting_that_names_no_address_is_refused(wrong: dict[str, str]) -> None:
    """At the start, and not at the first sign-in."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]


def test_the_public_url_is_written_as_browsers_write_an_origin() -> None:
    """In whatever way an operator types it."""
    assert Settings(public_url="HTTPS://Bank.example.com:443/").public_url == PUBLIC
    assert Settings(public_url="http://[FD00::1]:8288").public_url == "http://[fd00::1]:8288"
