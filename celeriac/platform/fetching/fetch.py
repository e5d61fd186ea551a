"""Fetch: an HTTP request on behalf of whoever names the URL, to the public internet and nowhere else.

`step.fetch` calls it with a URL that an event, a model or a tenant may have chosen. What it must never do: connect
to an address that is not public and that the operator did not open, wait or read without end, or carry a credential
to an origin that it was not meant for.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from celeriac.errors import FetchError
from celeriac.platform import outside
from celeriac.platform.fetching.limits import FetchLimits
from celeriac.platform.fetching.reply import FetchReply
from celeriac.platform.fetching.request import Request

if TYPE_CHECKING:
    from celeriac.platform.fetching.session import Resolve


async def fetch(
    request: Request, limits: FetchLimits, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None
) -> FetchReply:
    """Return the reply to the request, whatever its status.

    Raises `FetchRefused` for what is not allowed and would not be the next time either (an address, a redirect, too
    large an answer), and `FetchError` for what may have been a mishap. `resolve` and `tls` stand in for the system's.
    """
    await outside.load("httpx2", "celeriac.platform.fetching.exchange")
    return await outside.apart(_within_time(request, limits, resolve, tls))


async def _within_time(
    request: Request, limits: FetchLimits, resolve: Resolve | None, tls: ssl.SSLContext | None
) -> FetchReply:
    from celeriac.platform.fetching.exchange import exchange  # aiohttp takes a quarter of a second to import

    time = request.timeout or limits.timeout
    try:
        async with asyncio.timeout(time.total_seconds()):
            return await exchange(request, limits, tls=tls or outside.tls(), resolve=resolve)
    except TimeoutError as error:
        raise FetchError(f"No whole answer within {time.total_seconds():g} s") from error
