"""A model server that repeats what it heard, and the four real clients that talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import anthropic
import openai
import pytest

from celeriac.testing.model_server import ModelServer, WireReply, WireRequest

#: Starts a server around a brain; it is stopped when the test ends.
Serve = Callable[..., ModelServer]


def echo(request: WireRequest) -> WireReply:
    """Say what the newest turn said."""
    return WireReply(text=f"heard: {request.messages[-1].text}")


@pytest.fixture
def serve_brain() -> Iterator[Serve]:
    """A function that starts servers with the arguments of `ModelServer`; the brain is `echo` where none is given."""
    servers: list[ModelServer] = []

    def start(respond: Callable[[WireRequest], WireReply] = echo, **options: object) -> ModelServer:
        server = ModelServer(respond, **options)  # type: ignore[arg-type]
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(serve_brain: Serve) -> ModelServer:
    """A server that repeats what it heard."""
    return serve_brain()


@pytest.fixture
def openai_client(server: ModelServer) -> Iterator[openai.OpenAI]:
    """The real OpenAI client, without retries of its own."""
    with openai.OpenAI(base_url=server.openai_base_url, api_key="offline", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def anthropic_client(server: ModelServer) -> Iterator[anthropic.Anthropic]:
    """The real Anthropic client, without retries of its own."""
    with anthropic.Anthropic(
        base_url=server.anthropic_base_url, api_key="offline", max_retries=0, timeout=10
    ) as client:
        yield client


@pytest.fixture
async def async_openai(server: ModelServer) -> AsyncIterator[openai.AsyncOpenAI]:
    """The real asynchronous OpenAI client on its aiohttp transport, as the product's adapter uses it."""
    async with openai.AsyncOpenAI(
        base_url=server.openai_base_url,
        api_key="offline",
        max_retries=0,
        timeout=10,
        http_client=openai.DefaultAioHttpClient(),
    ) as client:
        yield client


@pytest.fixture
async def async_anthropic(server: ModelServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The real asynchronous Anthropic client on its aiohttp transport."""
    async with anthropic.AsyncAnthropic(
        base_url=server.anthropic_base_url,
        api_key="offline",
        max_retries=0,
        timeout=10,
        http_client=anthropic.DefaultAioHttpClient(),
    ) as client:
        yield client
