"""The exchange: one request and what follows from it, until there is a reply. Called by `fetch` only."""

from __future__ import annotations

import ssl

import aiohttp

from celeriac.errors import FetchRefused
from celeriac.platform.codec import storable
from celeriac.platform.fetching.failure import told
from celeriac.platform.fetching.limits import FetchLimits
from celeriac.platform.fetching.redirect import redirected
from celeriac.platform.fetching.reply import FetchReply, body_of
from celeriac.platform.fetching.request import Request
from celeriac.platform.fetching.session import Resolve, addresses_of, guarded_session
from celeriac.platform.fetching.target import target


async def exchange(
    request: Request, limits: FetchLimits, *, tls: ssl.SSLContext, resolve: Resolve | None = None
) -> FetchReply:
    """Send the request, follow its redirects, and read the reply."""
    async with guarded_session(limits.networks, resolve=resolve or addresses_of, tls=tls) as session:
        for _ in range(limits.max_redirects + 1):
            url = target(request.url)
            async with session.request(
                request.method, url, headers=request.headers, data=request.body, allow_redirects=False
            ) as response:
                onward = redirected(request, response.status, response.headers.get("Location"))
                if onward is None or limits.max_redirects == 0:
                    return await _read(response, limits.max_bytes)
            request = onward
    raise FetchRefused(
        f"{target(request.url).origin()} would be redirect {limits.max_redirects + 1}; the limit is "
        f"{limits.max_redirects}",
        code="fetch_redirects",
    )


async def _read(response: aiohttp.ClientResponse, most: int) -> FetchReply:
    origin = str(response.url.origin())
    content = bytearray()
    with told(origin):
        async for piece in response.content.iter_any():
            content += piece
            if len(content) > most:
                raise FetchRefused(f"{origin} answers with more than {most} bytes", code="fetch_too_large")
    body, encoding = body_of(bytes(content), response.charset)
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {storable(value)}" if key in headers else storable(value)
    return FetchReply(status=response.status, url=str(response.url), headers=headers, body=body, encoding=encoding)
