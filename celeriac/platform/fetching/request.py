"""The request of a fetch, checked when it is made; its address is checked when it is used (`target.py`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from celeriac.clock import Duration, duration
from celeriac.errors import ConfigError, FetchRefused
from celeriac.platform.codec import Uncodable, encode

#: how long a fetch may last at most, whatever it asks for
LONGEST = timedelta(minutes=10)

#: headers that say how a message is framed and sent on; two opinions on that are how requests are smuggled
_CLIENTS_OWN = {
    *("connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
}
_METHOD = re.compile(r"[A-Z]+(-[A-Z]+)*")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is sent; raises `FetchRefused` for what no request may be."""

    method: str = "GET"
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    #: None: as the limits say
    timeout: timedelta | None = None

    def __post_init__(self) -> None:
        """Check everything but the address."""
        if not _METHOD.fullmatch(self.method) or self.method in ("CONNECT", "TRACE"):
            raise FetchRefused(f"{self.method!r} is no method to fetch with; use GET, POST, PUT, PATCH, DELETE, …")
        for name, value in self.headers.items():
            _check_header(name, value)
        if self.timeout is not None and not timedelta(0) < self.timeout <= LONGEST:
            raise FetchRefused(f"timeout={self.timeout} is not between 0 and {LONGEST}; poll for what takes longer")

    @classmethod
    def of(
        cls,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        body: str | bytes | None = None,
        timeout: Duration | None = None,
    ) -> Self:
        """Make a request as users write it; `json` and a text body bring their content type along."""
        if json is not None and body is not None:
            raise ConfigError("A request has one body: give json= or body=, not both")
        kind = None
        if json is not None:
            try:
                body, kind = encode(json), "application/json"
            except Uncodable as error:
                raise FetchRefused(f"json= {error}") from error
        elif isinstance(body, str):
            kind = "text/plain; charset=utf-8"
        given = dict(headers or {})
        if kind is not None and not any(name.lower() == "content-type" for name in given):
            given["Content-Type"] = kind
        return cls(
            method=method.upper(),
            url=url,
            headers=given,
            body=body.encode() if isinstance(body, str) else body,
            timeout=None if timeout is None else duration(timeout),
        )


def _check_header(name: str, value: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise FetchRefused(f"{name!r} is no name of a header; it has letters, digits and dashes")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise FetchRefused(f"The value of the header {name!r} must be text without line breaks")
    if name.lower() in _CLIENTS_OWN:
        raise FetchRefused(f"The header {name!r} is set by the client itself; leave it out")
