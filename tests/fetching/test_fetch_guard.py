"""The guard: a URL from outside does not lead inside, whatever is tried."""

from __future__ import annotations

import pytest
from aiohttp import web
from pydantic import ValidationError

from celeriac.clock import SystemClock
from celeriac.errors import FetchError, FetchRefused
from celeriac.platform.durable.retry import next_retry
from celeriac.platform.fetching.fetch import fetch
from celeriac.platform.fetching.limits import FetchLimits
from celeriac.platform.fetching.request import Request
from celeriac.settings import Settings
from sites import Handler, Names, Port, Site, get

PUBLIC_ONLY = FetchLimits()

#: of the test's sites only this one is open
SECOND_ONLY = FetchLimits(allowed_networks=("127.0.0.2/32",))

INSIDE = [
    *("http://127.0.0.1:{port}/", "http://127.255.255.254:{port}/", "http://[::1]:{port}/", "http://0.0.0.0:{port}/"),
    *("http://[::]:{port}/", "http://localhost:{port}/", "http://LOCALHOST:{port}/"),
    *("http://10.0.0.1:{port}/", "http://172.16.0.1:{port}/", "http://192.168.0.1:{port}/"),
    *("http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/", "http://[fd00:ec2::254]/"),
    *("http://2130706433:{port}/", "http://0x7f000001:{port}/", "http://0177.0.0.1:{port}/", "http://127.1:{port}/"),
    *("http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/", "http://[64:ff9b::7f00:1]:{port}/"),
    *("http://[2002:7f00:1::]:{port}/", "http://①②⑦.⓪.⓪.①:{port}/", "http://127。0。0。1:{port}/"),
    *("http://example.com@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@example.com/"),
    *("gopher://127.0.0.1:{port}/_FLUSHALL", "file:///etc/passwd", "http://example.com:6379/"),
]


@pytest.mark.parametrize("url", INSIDE)
async def test_an_address_inside_is_refused_before_anybody_connects(url: str) -> None:
    """Not even the handshake of a connection is made."""
    async with Port() as inside:
        with pytest.raises(FetchRefused) as refusal:
            await fetch(Request(url=url.format(port=inside.port)), PUBLIC_ONLY)
    assert inside.connections == 0
    assert refusal.value.code == "fetch_refused"


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://①②⑦.⓪.⓪.①:{port}/"])
async def test_the_same_address_is_reached_where_its_network_is_open(url: str) -> None:
    """So it was the guard that refused it."""
    opened = FetchLimits(allowed_networks=("127.0.0.0/8", "::1/128"))
    async with Site() as site:
        assert (await get(url.format(port=site.port), opened)).text == "hello"


async def test_a_name_with_one_address_inside_is_refused_whole() -> None:
    """Whoever connects to the other one now may get this one at the next try."""
    async with Port() as inside:
        request = Request(url=f"http://rebind.test:{inside.port}/")
        with pytest.raises(FetchRefused, match=r"'rebind\.test' has an address that is not public"):
            await fetch(request, SECOND_ONLY, resolve=Names([["127.0.0.2", "127.0.0.1"]]))
    assert inside.connections == 0


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to() -> None:
    """A name that changes its answer after the check changes nothing."""
    names = Names([["127.0.0.2"], ["127.0.0.1"]])
    async with Site(host="127.0.0.2") as outside:
        reply = await fetch(Request(url=f"http://rebind.test:{outside.port}/"), SECOND_ONLY, resolve=names)
    assert reply.text == "hello"
    assert names.asked == ["rebind.test"]


async def test_each_hop_is_checked_anew() -> None:
    """The same name, redirected to itself, leads inside at the second look-up."""
    async with Port() as inside, Site(_redirect_to("/again"), host="127.0.0.2") as outside:
        with pytest.raises(FetchRefused, match="not public"):
            url = f"http://rebind.test:{outside.port}/"
            await fetch(Request(url=url), SECOND_ONLY, resolve=Names([["127.0.0.2"], ["127.0.0.1"]]))
    assert (len(outside.asked), inside.connections) == (1, 0)


@pytest.mark.parametrize("url", INSIDE)
async def test_a_redirect_does_not_lead_inside(url: str) -> None:
    """By no way of writing it."""
    async with Port() as inside, Site(_redirect_to(url.format(port=inside.port)), host="127.0.0.2") as outside:
        with pytest.raises(FetchRefused):
            await get(outside.url(), SECOND_ONLY)
    assert (len(outside.asked), inside.connections) == (1, 0)


@pytest.mark.parametrize(
    "host", ["localhost.", "shop.localhost", "shop.test", "shop.test.", "SHOP.test", "münchen.test"]
)
async def test_a_name_of_an_address_inside_is_refused(host: str) -> None:
    """It is the address that counts, whoever gave it that name."""
    async with Port() as inside:
        with pytest.raises(FetchRefused, match="not public"):
            request = Request(url=f"http://{host}:{inside.port}/")
            await fetch(request, PUBLIC_ONLY, resolve=Names([["127.0.0.1"]]))
    assert inside.connections == 0


@pytest.mark.parametrize("answer", [["169.254.169.254"], ["::1"], ["fe80::1%eth0"], ["no address"], ["127.0.0.1"]])
async def test_whatever_a_name_server_says_is_checked(answer: list[str]) -> None:
    """Scopes and nonsense among it."""
    with pytest.raises(FetchRefused):
        await fetch(Request(url="http://shop.test/"), SECOND_ONLY, resolve=Names([answer]))


async def test_a_port_that_does_not_speak_http_learns_nothing_it_could_use() -> None:
    """An opened network does not open its Redis; and what answers in another tongue is a failure."""
    with pytest.raises(FetchRefused, match="Port 6379"):
        await get("http://127.0.0.1:6379/")
    async with Port(b"-ERR unknown command\r\n") as port:
        with pytest.raises(FetchError, match="no HTTP that can be read"):
            await get(port.url)


def test_a_refusal_is_final_and_a_failure_is_not() -> None:
    """Trying again would only make noise."""
    now = SystemClock().now()
    assert next_retry(FetchRefused("no"), failed=1, retries=4, now=now) is None
    assert next_retry(FetchError("not now"), failed=1, retries=4, now=now) is not None


def test_the_operator_opens_networks_by_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong one is an error at the start, by its name."""
    monkeypatch.setenv("CELERIAC_FETCH_ALLOW", " 127.0.0.0/8, fd00::/8 ,")
    assert FetchLimits(allowed_networks=Settings().fetch_networks).allowed_networks == ("127.0.0.0/8", "fd00::/8")
    monkeypatch.setenv("CELERIAC_FETCH_ALLOW", "10.1.2.3/16")
    with pytest.raises(ValidationError, match="fetch_allow"):
        Settings()


def _redirect_to(location: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        response = web.Response(status=302)
        response.headers["Location"] = location
        return response

    return answer
