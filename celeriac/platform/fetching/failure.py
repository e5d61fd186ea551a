"""Failures on the way: the HTTP library's exceptions told as our own, without addresses, paths or secrets in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from celeriac.errors import FetchError


@contextmanager
def told(origin: str) -> Iterator[None]:
    """Raise `FetchError` in place of what aiohttp raises; the origin is all that it says of the URL."""
    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise FetchError(f"{origin}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "the name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not valid for that name, or not trusted"
        case aiohttp.ClientConnectorSSLError():
            return "TLS cannot be agreed on"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case aiohttp.ClientResponseError():
            return "the answer is no HTTP that can be read"
        case aiohttp.ClientPayloadError():
            return "the body broke off, or cannot be decompressed"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before the answer"
        case _:
            return "the connection broke"
