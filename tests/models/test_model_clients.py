"""The HTTP clients of the adapters: shared within a loop, closed with it, and blind to the runs that use them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import pytest
from conversations import HELLO, KEY, PROVIDERS, TWO_CALLS, model_at, model_of
from scripted_provider import ScriptedProvider

from celeriac.platform.models.clients import MOST_CLIENTS, Endpoint, client_for, close_clients, endpoint, lent
from celeriac.platform.models.model import ModelReply
from celeriac.platform.outside import apart
from celeriac.testing.model_server import ModelServer, WireReply, WireRequest
from waiting import until

HERE = Endpoint(provider="p", api_key="k", base_url=None)

run: contextvars.ContextVar[str] = contextvars.ContextVar("run", default="none")


class Client:
    """A client that knows whether it was closed."""

    def __init__(self, where: Endpoint) -> None:
        """Remember the endpoint."""
        self.where = where
        self.is_closed = False

    async def close(self) -> None:
        """Take note."""
        self.is_closed = True


async def test_calls_of_one_endpoint_share_a_client() -> None:
    """Another key is another client: no tenant's connection, cookie or header meets another's."""
    other = Endpoint(provider="p", api_key="other", base_url=None)
    first, again, second = [await client_for(where, Client) for where in (HERE, HERE, other)]
    assert first is again
    assert second.where is other


def test_each_loop_has_clients_of_its_own_and_closes_them_at_its_end() -> None:
    """A plain script that ends with `asyncio.run` leaves no open socket."""
    first, second = (asyncio.run(client_for(HERE, Client)) for _ in range(2))
    assert first is not second
    assert first.is_closed and second.is_closed


async def test_closed_clients_are_replaced() -> None:
    """A worker closes them when it drains; a late call still works."""
    first = await client_for(HERE, Client)
    await close_clients()
    assert first.is_closed
    assert await client_for(HERE, Client) is not first


async def test_idle_clients_beyond_the_limit_are_closed() -> None:
    """Every tenant may bring a key of its own; the one unused for longest goes, and none that is in a call."""
    where = [Endpoint(provider="p", api_key=f"k{number}", base_url=None) for number in range(MOST_CLIENTS + 2)]
    await close_clients()
    async with lent(where[0], Client) as busy:
        idle = []
        for one in where[1:]:
            async with lent(one, Client) as client:
                idle.append(client)
        assert [client.is_closed for client in (busy, *idle)] == [False, True, True, *[False] * (MOST_CLIENTS - 1)]


async def test_a_call_does_not_see_the_run_it_is_made_for() -> None:
    """What a pooled connection keeps must not be a run."""

    async def seen() -> str:
        return run.get()

    run.set("run_1")
    assert await apart(seen()) == "none"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_cancelling_a_step_aborts_its_model_call(provider: str) -> None:
    """The connection is closed at once; nobody pays for an answer that nobody reads."""
    async with ScriptedProvider() as server:
        call: Coroutine[Any, Any, ModelReply] = model_at(provider, server.url).infer(HELLO)
        task = asyncio.create_task(call)
        await until(lambda: server.asked, what="the request to arrive")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not server.open_connections, what="the connection to close")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_offline_server_accepts_what_the_adapter_sends(provider: str) -> None:
    """It checks requests as strictly as the provider does."""
    heard: list[WireRequest] = []

    def respond(request: WireRequest) -> WireReply:
        heard.append(request)
        return WireReply(text="Hi")

    with ModelServer(respond) as server:
        reply = await model_of(provider, server).infer(TWO_CALLS)
    [request] = heard
    assert (reply.text, request.system, len(request.messages)) == ("Hi", "Be brief.", 4 if provider == "openai" else 3)
    assert request.headers["x-celeriac-step"] == "run_1 network:Tea/turn:2"


def test_key_and_address_come_from_the_environment_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the model names itself wins."""
    monkeypatch.setenv("OPENAI_API_KEY", " from-env\n")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://env")
    assert endpoint("openai", None, None) == Endpoint(provider="openai", api_key="from-env", base_url="http://env")
    assert endpoint("openai", KEY, "http://x") == Endpoint(provider="openai", api_key=KEY, base_url="http://x")
    assert "from-env" not in repr(endpoint("openai", None, None))
