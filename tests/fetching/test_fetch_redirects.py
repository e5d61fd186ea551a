"""Redirects: followed as HTTP says, and no credential follows to another origin."""

from __future__ import annotations

import pytest
from aiohttp import web

from celeriac.errors import FetchRefused
from celeriac.platform.fetching.fetch import fetch
from celeriac.platform.fetching.limits import FetchLimits
from celeriac.platform.fetching.redirect import redirected
from celeriac.platform.fetching.request import Request
from sites import LOOPBACK, Site, get

HERE = "https://shop.example/a/b?c"
SECRETS = {"Authorization": "Bearer s", "Cookie": "s", "X-Api-Key": "s"}


def onward(location: str, *, status: int = 302, method: str = "GET", headers: dict[str, str] | None = None) -> Request:
    """The request that follows one to HERE."""
    body = None if method in ("GET", "HEAD") else b"{}"
    request = Request(url=HERE, method=method, headers=headers or {}, body=body)
    following = redirected(request, status, location)
    assert following is not None
    return following


@pytest.mark.parametrize(
    ("status", "method", "follows"),
    [
        *((301, "GET", "GET"), (301, "POST", "GET"), (301, "PUT", "PUT"), (301, "HEAD", "HEAD")),
        *((302, "POST", "GET"), (302, "DELETE", "DELETE"), (303, "PUT", "GET"), (303, "HEAD", "HEAD")),
        *((307, "POST", "POST"), (308, "POST", "POST"), (308, "HEAD", "HEAD")),
    ],
)
def test_the_method_follows_as_http_says(status: int, method: str, follows: str) -> None:
    """A request that becomes a GET leaves its body and what described it."""
    headers = {"Content-Type": "application/json", "X-A": "1"}
    following = onward("/c", status=status, method=method, headers=headers)
    keeps_body = method == follows and method not in ("GET", "HEAD")
    assert following.method == follows
    assert following.body == (b"{}" if keeps_body else None)
    assert ("Content-Type" in following.headers, "X-A" in following.headers) == (
        keeps_body or (status in (301, 302, 307, 308) and method == follows),
        True,
    )


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/c", "https://shop.example/c"),
        ("c?d=%2F", "https://shop.example/a/c?d=%2F"),
        ("?e", "https://shop.example/a/b?e"),
        ("//other.example/", "https://other.example/"),
        ("https://other.example:8443/x#part", "https://other.example:8443/x"),
        ("/straße x", "https://shop.example/stra%C3%9Fe%20x"),
    ],
)
def test_a_location_is_read_from_where_it_was_said(location: str, url: str) -> None:
    """Relative ones too."""
    assert onward(location).url == url


@pytest.mark.parametrize(
    "location",
    [
        *("http://shop.example/", "http://other.example/", "ftp://shop.example/", "file:///etc/passwd", "data:,x"),
        *("https://user@shop.example/", "https://shop.example:6379/", "https://2130706433/", "https://[::1/"),
        *("https://shop.example/\udcfc", "https://shop.example\\@other.example/", "javascript:1"),
    ],
)
def test_a_location_where_no_fetch_goes_is_refused(location: str) -> None:
    """Also one that gives up TLS."""
    with pytest.raises(FetchRefused, match=r"^https://shop\.example redirects"):
        onward(location)


@pytest.mark.parametrize(("status", "location"), [(200, "/c"), (300, "/c"), (304, "/c"), (302, None), (302, "")])
def test_what_is_no_redirect_is_an_answer(status: int, location: str | None) -> None:
    """Location means other things elsewhere."""
    assert redirected(Request(url=HERE), status, location) is None


@pytest.mark.parametrize("location", ["https://other.example/", "https://shop.example:8443/", "//www.shop.example/"])
def test_credentials_stay_with_their_origin(location: str) -> None:
    """Any header may be one, but for the few that never are."""
    assert onward(location, headers={**SECRETS, "Accept": "text/html"}).headers == {"Accept": "text/html"}
    assert onward("/c", headers=SECRETS).headers == SECRETS


async def test_redirects_are_followed_across_sites() -> None:
    """The reply says where it came from."""
    async with Site(host="127.0.0.2") as second:

        async def answer(request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(second.url("/there") if request.path == "/next" else "/next")

        async with Site(answer) as first:
            request = Request(url=first.url(), method="POST", headers=SECRETS, body=b"{}")
            reply = await fetch(request, LOOPBACK)
    assert (reply.url, reply.text) == (second.url("/there"), "hello")
    assert [asked.headers.get("x-api-key") for asked in (*first.asked, *second.asked)] == ["s", "s", None]
    assert [(asked.method, asked.body) for asked in second.asked] == [("POST", b"{}")]


@pytest.mark.parametrize("most", [1, 5])
async def test_redirects_end(most: int) -> None:
    """A circle is refused for good."""
    async with Site(_circle) as site:
        with pytest.raises(FetchRefused, match=f"the limit is {most}") as refusal:
            await get(site.url(), FetchLimits(allowed_networks=("127.0.0.0/8",), max_redirects=most))
    assert len(site.asked) == most + 1
    assert refusal.value.code == "fetch_redirects"


async def test_without_redirects_one_is_an_answer() -> None:
    """For callers that look at where it leads themselves."""
    async with Site(_circle) as site:
        reply = await get(site.url(), FetchLimits(allowed_networks=("127.0.0.0/8",), max_redirects=0))
    assert (reply.status, reply.headers["location"]) == (302, "/")


async def _circle(_: web.Request) -> web.Response:
    raise web.HTTPFound("/")
