"""The way in: the address under which people reach the web, and where a request came from before the proxies.

A proxy tells both by headers, which anybody can send. So the address is a setting, and of who asked only what a proxy
says is believed that the operator trusts. `app.py` puts this before all views; views ask `public_url`.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIApplication

from flask import request
from werkzeug.middleware.proxy_fix import ProxyFix

from celeriac.web.rooms import rooms

if TYPE_CHECKING:
    from celeriac.settings import Network


def public_url() -> str:
    """Return where people reach the web, without a slash at the end: as set, else as this request came."""
    return rooms().settings.public_url or request.host_url.rstrip("/")


def is_secure() -> bool:
    """Say whether people reach the web over TLS alone."""
    return request.is_secure or public_url().startswith("https://")


class TrustedProxies:
    """WSGI: believes `X-Forwarded-For` and `X-Forwarded-Proto` where they come from a proxy that is trusted.

    The client is the last address that is no such proxy's: what stands before it, the client may have written.
    """

    def __init__(self, answer: WSGIApplication, networks: Iterable[Network]) -> None:
        """Stand before this application."""
        self._answer, self._networks = answer, tuple(networks)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does for the client's own address and scheme."""
        if not self._is_proxy(environ.get("REMOTE_ADDR", "")):
            return self._answer(environ, start_response)
        named = [one.strip() for one in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        hops = 1
        while hops < len(named) and self._is_proxy(named[-hops]):
            hops += 1
        return ProxyFix(self._answer, x_for=hops, x_proto=1)(environ, start_response)

    def _is_proxy(self, text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
