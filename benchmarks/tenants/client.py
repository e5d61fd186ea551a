"""A client of the HTTP API that keeps its connection, as the senders of a recipe use it; one a thread."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back, and how long that took."""

    status: int
    headers: Mapping[str, str]
    body: Any
    seconds: float

    @property
    def retry_after(self) -> float | None:
        """The seconds after which to come back, as the server says."""
        text = self.headers.get("retry-after")
        return None if text is None else float(text)


class Client:
    """Sends with one key to one web process."""

    def __init__(self, url: str, key: str) -> None:
        """Connect at the first request."""
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=120)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def __enter__(self) -> Self:
        """Use it as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str) -> Reply:
        """Ask for a resource."""
        return self._send("GET", path, None)

    def post(self, path: str, body: Any) -> Reply:
        """Post JSON; a connection that the server had closed is made anew, once."""
        return self._send("POST", path, json.dumps(body))

    def events(self, body: Any) -> Reply:
        """Post an event or a list of them; raise `RuntimeError` unless they were accepted."""
        reply = self.post("/v1/events", body)
        if reply.status != 202:
            raise RuntimeError(f"Events were answered {reply.status}: {reply.body}")
        return reply

    def _send(self, method: str, path: str, body: str | None) -> Reply:
        began = time.perf_counter()
        try:
            self._connection.request(method, path, body, self._headers)
            answer = self._connection.getresponse()
        except (HTTPException, OSError):  # kept open for longer than the server does
            self._connection.close()
            self._connection.request(method, path, body, self._headers)
            answer = self._connection.getresponse()
        text = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        is_json = "json" in headers.get("content-type", "")
        return Reply(
            status=answer.status,
            headers=headers,
            body=json.loads(text) if is_json else text,
            seconds=time.perf_counter() - began,
        )
