"""The guarded session: an aiohttp session that opens connections to allowed addresses only, whatever is asked of it.

The guard sits where a socket is made, so there is no moment between the check of an address and its use: not for a
name that resolves to something else a second later, not for a redirect, not for an odd way to write a number. A
session serves one fetch and its connections serve one request each: what one tenant sent over a connection cannot
meddle with the answer of another.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from celeriac.platform.fetching.address import Network, check_address
from celeriac.platform.fetching.failure import told

#: look-ups at a time; a name server that does not answer holds up other look-ups, and nothing else
_LOOKUPS = 16
_MOST_HEADERS = 100
_AGENT = "celeriac"

#: returns the addresses of a name, for connections to that port; raises `OSError` where it has none
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


def guarded_session(
    opened: Sequence[Network],
    *,
    resolve: Resolve,
    tls: ssl.SSLContext,
    keeps_connections: bool = False,
    middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
) -> aiohttp.ClientSession:
    """Make a session that reaches public addresses and the networks that are opened; close it with `async with`.

    It knows no proxy and no credentials of the environment, and keeps no cookies. Requests raise `FetchRefused` for
    an address that is not allowed, and `FetchError` for everything that goes wrong on the way to the answer's head.
    URLs, redirects, sizes and times are the caller's to look after, as `exchange.py` does. `keeps_connections` is for
    a session that only ever asks one server for one caller.
    """

    def make_socket(info: tuple[int, int, int, str, tuple[str | int, ...]]) -> socket.socket:
        family, kind, protocol, _, where = info
        check_address(str(where[0]), opened)
        return socket.socket(family, kind, protocol)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_GuardedResolver(resolve, opened),
            use_dns_cache=False,
            socket_factory=make_socket,
            ssl=tls,
            force_close=not keeps_connections,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": _AGENT},
        middlewares=(_tell_failures, *middlewares),
        timeout=aiohttp.ClientTimeout(),
        max_headers=_MOST_HEADERS,
        trust_env=False,
    )


async def addresses_of(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a name, in threads of our own; the look-up itself cannot be cut short."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), _look_up, host, port)


def _look_up(host: str, port: int) -> list[str]:
    # As bytes the name is taken as it stands; text would be turned once more.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(where[0]) for *_, where in found]


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="celeriac-names")


class _GuardedResolver(AbstractResolver):
    """Refuses a name as soon as one of its addresses is not allowed: nobody mixes those by accident."""

    def __init__(self, resolve: Resolve, opened: Sequence[Network]) -> None:
        self._resolve = resolve
        self._opened = opened

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = list(dict.fromkeys(await self._resolve(host, port)))
        for address in addresses:
            check_address(address, self._opened, host)
        if not addresses:
            raise OSError(f"{host} has no address")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def _tell_failures(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Raise our own errors, which also keeps aiohttp from sending a request twice by itself."""
    with told(str(request.url.origin())):
        return await send(request)
