"""A small HTTP client for the tests of the web: it follows no redirect, keeps cookies, and reads every answer."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Leave the redirect to the test."""


class Client:
    """One visitor of a server, with its cookies and, for the API, its key."""

    def __init__(self, base_url: str, key: str | None = None) -> None:
        self.base_url = base_url
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._opener = urllib.request.build_opener(_NoRedirects, urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a path."""
        return self._ask("GET", path, None, headers)

    def post(self, path: str, body: Any = b"", content_type: str = "application/json", **headers: str) -> Answer:
        """Send a body, as JSON unless it is bytes already."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask("POST", path, raw, {"Content-Type": content_type, **headers})

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        """Send JSON by any method."""
        raw = None if body is None else json.dumps(body).encode()
        return self._ask(method, path, raw, {"Content-Type": "application/json"})

    def submit(self, path: str, **fields: str) -> Answer:
        """Send a form."""
        return self.post(path, urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.base_url + path, body, {**self._headers, **named}, method=method)
        try:
            with self._opener.open(request, timeout=10) as response:
                return Answer(response.status, response.headers, response.read().decode())
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read().decode())
