"""The limits of a fetch: a server that never stops, or never starts, costs so much and no more."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Sequence
from datetime import timedelta

import pytest
from aiohttp import web

from celeriac.errors import FetchError, FetchRefused
from celeriac.platform.fetching.fetch import fetch
from celeriac.platform.fetching.limits import FetchLimits
from celeriac.platform.fetching.request import Request
from sites import LOOPBACK, Handler, Port, Site, get

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
MEGABYTE = 1024 * 1024


def limits(*, most: int = MEGABYTE, seconds: float = 30) -> FetchLimits:
    """Limits for the sites of a test."""
    return FetchLimits(allowed_networks=("127.0.0.0/8",), max_bytes=most, timeout=timedelta(seconds=seconds))


@pytest.mark.parametrize(("size", "fits"), [(999, True), (1000, True), (1001, False)])
async def test_the_largest_body_is_exact(size: int, fits: bool) -> None:
    """One byte more is refused for good."""
    async with Site(_body(b"a" * size)) as site:
        if fits:
            assert len((await get(site.url(), limits(most=1000))).text) == size
        else:
            with pytest.raises(FetchRefused, match="more than 1000 bytes") as refusal:
                await get(site.url(), limits(most=1000))
            assert refusal.value.code == "fetch_too_large"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_is_not_unpacked(coding: str) -> None:
    """128 MB of nothing in 128 KB: no more of it is ever in memory than may be handed on."""
    packed = gzip.compress(bytes(128 * MEGABYTE), 1) if coding == "gzip" else zlib.compress(bytes(128 * MEGABYTE), 1)
    async with Site(_body(packed, coding)) as site:
        await get(site.url("/warm"), limits(most=10 * len(packed)), **{"X-Plain": "1"})
        tracemalloc.start()
        try:
            with pytest.raises(FetchRefused, match="more than"):
                await get(site.url(), limits())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 * MEGABYTE


async def test_a_body_without_end_is_cut_off() -> None:
    """It says no length, and goes on for as long as somebody listens."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"a" * 65536)

    async with Site(answer) as site:
        with pytest.raises(FetchRefused, match="more than"):
            await get(site.url(), limits())


@pytest.mark.parametrize(
    ("answer", "drip"),
    [
        pytest.param(HEAD + b"Content-Length: 100000\r\n\r\n", b"a", id="body byte by byte"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", id="chunk by chunk"),
        pytest.param(HEAD, b"X-A: a\r\n", id="header by header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A: ", b"a", id="one header without end"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="answers before the answer"),
        pytest.param(HEAD, b"", id="nothing after the status"),
        pytest.param(b"", b"", id="nothing at all"),
    ],
)
async def test_a_slow_server_costs_the_timeout_and_no_more(answer: bytes, drip: bytes) -> None:
    """Each byte arrives in time, and the whole does not."""
    async with Port(answer, drip=drip) as port:
        with pytest.raises(FetchError, match=r"No whole answer within 0\.3 s") as failure:
            await get(port.url, limits(seconds=0.3))
    assert failure.value.code == "fetch_failed"


async def test_the_time_of_the_request_goes_before_that_of_the_limits() -> None:
    """A look-up that hangs counts as well."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.get_running_loop().create_future()
        return []

    with pytest.raises(FetchError, match=r"within 0\.1 s"):
        await fetch(Request(url="http://shop.test/", timeout=timedelta(seconds=0.1)), LOOPBACK, resolve=resolve)


async def test_all_hops_share_one_time() -> None:
    """Redirects do not wind the clock up again."""

    async def answer(_: web.Request) -> web.Response:
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.2)
        raise web.HTTPFound("/")

    async with Site(answer) as site:
        with pytest.raises(FetchError, match=r"within 0\.5 s"):
            await get(site.url(), limits(seconds=0.5))
    assert 1 < len(site.asked) < 5


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n", id="many headers"),
        pytest.param(HEAD + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n", id="a large header"),
        pytest.param(b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\n\r\n", id="a large status line"),
        pytest.param(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", id="two lengths"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", id="chunks that are none"),
        pytest.param(b"<html>no header at all</html>\r\n\r\n", id="no HTTP"),
        pytest.param(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", id="gzip that is none"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_failure(answer: bytes) -> None:
    """Of our own kind, and without a word of what it said."""
    async with Port(answer) as port:
        with pytest.raises(FetchError, match=r"^http://127\.0\.0\.1:\d+: "):
            await get(port.url, limits(seconds=5))


async def test_a_body_that_breaks_off_is_a_failure() -> None:
    """Half an answer is none."""
    async with Port(HEAD + b"Content-Length: 10\r\n\r\nhalf", closes=True) as port:
        with pytest.raises(FetchError, match="broke off"):
            await get(port.url)


def _body(content: bytes, coding: str | None = None) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        is_plain = coding is None or "X-Plain" in request.headers
        return web.Response(body=content, headers={} if is_plain else {"Content-Encoding": str(coding)})

    return answer
