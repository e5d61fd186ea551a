"""Fetching from sites that mean well: what is sent, what comes back, and what stays behind."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web

from celeriac.errors import FetchError
from celeriac.platform.fetching.fetch import fetch
from celeriac.platform.fetching.request import Request
from sites import LOOPBACK, Names, Port, Site, get
from waiting import until

run: contextvars.ContextVar[str] = contextvars.ContextVar("run", default="none")


async def test_a_request_arrives_as_it_was_written() -> None:
    """Method, path, headers and body; and nobody learns what we are made of."""
    async with Site() as site:
        await fetch(
            Request.of(site.url("/a%2Fb?x=%2F"), method="put", headers={"X-Key": "k"}, json={"a": "ü"}), LOOPBACK
        )
    [asked] = site.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", "/a%2Fb?x=%2F", '{"a":"ü"}'.encode())
    assert (asked.headers["x-key"], asked.headers["content-type"]) == ("k", "application/json")
    assert (asked.headers["user-agent"], asked.headers["host"]) == ("celeriac", f"127.0.0.1:{site.port}")


@pytest.mark.parametrize("status", [200, 204, 304, 400, 404, 429, 500, 503])
async def test_any_status_is_an_answer(status: int) -> None:
    """What it means is for the caller to say."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"X-Times": "3"})

    async with Site(answer) as site:
        reply = await get(site.url("/x"))
    assert (reply.status, reply.url, reply.headers["x-times"]) == (status, site.url("/x"), "3")


async def test_a_compressed_answer_comes_decompressed() -> None:
    """Its charset counts."""

    async def answer(_: web.Request) -> web.Response:
        response = web.Response(body="grün".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin-1"})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with Site(answer) as site:
        reply = await get(site.url())
    assert (reply.text, reply.headers["content-encoding"]) == ("grün", "gzip")


async def test_headers_that_no_database_holds_are_mended() -> None:
    """Several of one name are joined."""
    answer = b"HTTP/1.1 200 OK\r\nX-A: gr\xfcn\r\nX-B: 1\r\nx-b: 2\r\nContent-Length: 2\r\n\r\n{}"
    async with Port(answer) as port:
        reply = await get(port.url)
    assert (reply.headers["x-a"], reply.headers["x-b"], reply.json()) == ("gr?n", "1, 2", {})


async def test_no_cookie_is_kept() -> None:
    """Neither for the next fetch nor for the next hop of this one."""

    async def answer(request: web.Request) -> web.Response:
        headers = {"Set-Cookie": "session=1; Path=/"}
        if request.path == "/first":
            raise web.HTTPFound("/second", headers=headers)
        return web.Response(headers=headers)

    async with Site(answer) as site:
        await get(site.url("/first"))
        await get(site.url("/second"))
    assert [asked.headers.get("cookie") for asked in site.asked] == [None, None, None]


async def test_the_environment_names_no_proxy_and_no_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy would connect to whatever it likes."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with Port() as proxy, Site() as site:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert (await get(site.url())).text == "hello"
    assert proxy.connections == 0
    assert "authorization" not in site.asked[0].headers


async def test_a_connection_serves_one_request() -> None:
    """What one tenant left on a connection is not there for the next."""
    peers: list[object] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.append(request.transport.get_extra_info("peername"))
        return web.Response(text="hello")

    async with Site(answer) as site:
        await get(site.url())
        await get(site.url())
    assert len(set(peers)) == 2


async def test_a_request_is_sent_once() -> None:
    """A connection that breaks is an error; only the step's retry tries again."""
    async with Port(closes=True) as port:
        with pytest.raises(FetchError, match="closed before the answer"):
            await get(port.url)
    assert port.connections == 1


async def test_a_fetch_does_not_see_the_run_it_is_made_for() -> None:
    """No connection, timer or look-up holds a run's variables."""
    seen: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        seen.append(run.get())
        return ["127.0.0.1"]

    run.set("run_1")
    async with Site() as site:
        await fetch(Request(url=f"http://shop.test:{site.port}/"), LOOPBACK, resolve=resolve)
    assert seen == ["none"]


async def test_cancelling_a_fetch_closes_its_connection() -> None:
    """At once, not when the server gets round to it."""
    async with Site(lambda _: asyncio.get_running_loop().create_future()) as site:
        task = asyncio.create_task(get(site.url()))
        await until(lambda: site.asked, what="the request to arrive")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not site.open_connections, what="the connection to close")


async def test_the_next_address_is_tried_where_one_is_dead() -> None:
    """A host with several addresses is up while one of them is."""
    async with Site() as site:
        request = Request(url=f"http://shop.test:{site.port}/")
        reply = await fetch(request, LOOPBACK, resolve=Names([["127.0.0.9", "127.0.0.1"]]))
    assert reply.text == "hello"


async def test_a_name_that_nobody_knows_is_a_failure() -> None:
    """It may be known the next time."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(FetchError, match=r"^http://shop\.test: the name cannot be resolved$") as failure:
        await fetch(Request(url="http://shop.test/?key=s3cret"), LOOPBACK, resolve=resolve)
    assert failure.value.code == "fetch_failed"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for shop.test that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "chain.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop.test"]
    command += ["-addext", "subjectAltName=DNS:shop.test", "-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, check=True, capture_output=True)
    return chain, key


@pytest.fixture
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """The side of shop.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_tls_is_spoken_with_the_name_and_not_with_the_address(
    certificate: tuple[Path, Path], server_tls: ssl.SSLContext
) -> None:
    """The connection goes to the checked address; certificate, SNI and Host stay those of the name."""
    names: list[str | None] = []
    server_tls.sni_callback = lambda _, name, __: names.append(name)
    async with Site(tls=server_tls) as site:
        request = Request(url=f"https://shop.test:{site.port}/")
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        reply = await fetch(request, LOOPBACK, resolve=Names([["127.0.0.1"]]), tls=trusting)
    assert reply.text == "hello"
    assert names == ["shop.test"]
    assert site.asked[0].headers["host"] == f"shop.test:{site.port}"


@pytest.mark.parametrize("host", ["other.test", "127.0.0.1"])
async def test_a_certificate_of_another_name_is_not_accepted(
    host: str, certificate: tuple[Path, Path], server_tls: ssl.SSLContext
) -> None:
    """Nor one that nobody vouches for: `shop.test` fails with the system's own trust."""
    async with Site(tls=server_tls) as site:
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        for name, tls in ((host, trusting), ("shop.test", None)):
            request = Request(url=f"https://{name}:{site.port}/")
            with pytest.raises(FetchError, match="certificate is not valid"):
                await fetch(request, LOOPBACK, resolve=Names([["127.0.0.1"]]), tls=tls)
    assert site.asked == []
