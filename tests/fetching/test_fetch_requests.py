"""What can be asked for: methods, headers and bodies as users write them, and what no request may carry."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from celeriac.errors import ConfigError, FetchRefused
from celeriac.platform.fetching.request import Request

URL = "https://example.com/"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "one\r\nX-Admin: yes"),
        ("X-A", "one\nX-Admin: yes"),
        ("X-A", "one\x00"),
        ("X-A", "half \ud800"),
        ("X-A", 7),
        ("X-A\r\nX-Admin", "yes"),
        ("X A", "one"),
        ("X-A:", "one"),
        ("", "one"),
        ("Host", "internal"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("Upgrade", "h2c"),
        ("Expect", "100-continue"),
        ("Proxy-Authorization", "Basic x"),
    ],
)
def test_a_header_that_could_break_the_message_is_refused(name: str, value: Any) -> None:
    """Line breaks smuggle headers; framing headers smuggle requests."""
    with pytest.raises(FetchRefused):
        Request(url=URL, headers={name: value})


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "GET\r\n", "GET /x", "", "get"])
def test_a_method_that_is_none_is_refused(method: str) -> None:
    """`Request.of` takes small letters as well."""
    with pytest.raises(FetchRefused, match="is no method"):
        Request(url=URL, method=method)


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(hours=1), timedelta(seconds=-1)])
def test_a_time_without_measure_is_refused(timeout: timedelta) -> None:
    """A step that waits for an hour for one answer holds its worker for an hour."""
    with pytest.raises(FetchRefused, match="not between"):
        Request(url=URL, timeout=timeout)


def test_json_brings_its_content_type() -> None:
    """Anything that a step may return may be sent."""
    request = Request.of(URL, method="post", json={"day": date(2026, 1, 2)}, timeout="5s")
    assert (request.method, request.timeout) == ("POST", timedelta(seconds=5))
    assert request.body == b'{"day":"2026-01-02"}'
    assert request.headers == {"Content-Type": "application/json"}


def test_a_content_type_that_is_given_stays() -> None:
    """Whatever its case."""
    request = Request.of(URL, json=[1], headers={"content-type": "application/vnd.api+json"})
    assert request.headers == {"content-type": "application/vnd.api+json"}
    assert Request.of(URL, body="ü").headers == {"Content-Type": "text/plain; charset=utf-8"}
    assert Request.of(URL, body=b"\x00").headers == {}


def test_a_request_has_one_body() -> None:
    """And its JSON has to be some."""
    with pytest.raises(ConfigError, match="not both"):
        Request.of(URL, json={}, body="{}")
    with pytest.raises(FetchRefused, match="json="):
        Request.of(URL, json=float("nan"))


def test_credentials_do_not_show() -> None:
    """A request may end up in a log."""
    request = Request.of(URL, headers={"Authorization": "s3cret"}, body="s3cret")
    assert "s3cret" not in repr(request)
