"""Errors, cuts and delays on purpose, seen through the real SDKs."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from datetime import timedelta
from typing import Any

import anthropic
import openai
import pytest

from celeriac.errors import ConfigError
from celeriac.testing.model_server import Faults, ModelServer, Refusal
from celeriac.testing.model_server.faults import FaultPlan, read_faults, write_faults

HELLO: Any = [{"role": "user", "content": "hello"}]


def test_a_429_carries_retry_after_to_the_openai_exception(server: ModelServer, openai_client: openai.OpenAI) -> None:
    """The adapter reads it from the exception's response."""
    server.inject(Faults(script=(429,), retry_after=timedelta(seconds=7)))
    with pytest.raises(openai.RateLimitError) as caught:
        openai_client.chat.completions.create(model="m", messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.code == "rate_limit_exceeded"
    assert openai_client.chat.completions.create(model="m", messages=HELLO).choices


def test_a_429_carries_retry_after_to_the_anthropic_exception(
    server: ModelServer, anthropic_client: anthropic.Anthropic
) -> None:
    """Parts of a second stand in the header that the SDK reads first."""
    server.inject(Faults(script=(429,), retry_after=timedelta(seconds=0.25)))
    with pytest.raises(anthropic.RateLimitError) as caught:
        anthropic_client.messages.create(model="m", max_tokens=9, messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "1"
    assert caught.value.response.headers["retry-after-ms"] == "250"


async def test_server_errors_come_in_the_order_of_the_script(
    server: ModelServer, async_openai: openai.AsyncOpenAI, async_anthropic: anthropic.AsyncAnthropic
) -> None:
    """500 and 529 are the providers' own exceptions, then all is well again."""
    server.inject(Faults(script=(500, 529, "ok")))
    with pytest.raises(openai.InternalServerError):
        await async_openai.chat.completions.create(model="m", messages=HELLO)
    with pytest.raises(anthropic.APIStatusError) as caught:
        await async_anthropic.messages.create(model="m", max_tokens=9, messages=HELLO)
    body: Any = caught.value.body
    assert (caught.value.status_code, body["error"]["type"]) == (529, "overloaded_error")
    assert (await async_openai.chat.completions.create(model="m", messages=HELLO)).choices


def test_a_cut_connection_is_a_connection_error_and_the_next_request_works(
    server: ModelServer, openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    """The client gets no answer at all."""
    server.inject(Faults(script=("cut", "cut")))
    with pytest.raises(openai.APIConnectionError):
        openai_client.chat.completions.create(model="m", messages=HELLO)
    with pytest.raises(anthropic.APIConnectionError):
        anthropic_client.messages.create(model="m", max_tokens=9, messages=HELLO)
    assert openai_client.chat.completions.create(model="m", messages=HELLO).choices
    assert server.stats()["outcomes"] == {"cut": 2, "200": 1}


async def test_a_hang_ends_with_the_clients_timeout(server: ModelServer, async_openai: openai.AsyncOpenAI) -> None:
    """Nothing is answered until the client gives up."""
    server.inject(Faults(script=("hang",)))
    with pytest.raises(openai.APITimeoutError):
        await async_openai.chat.completions.create(model="m", messages=HELLO, timeout=0.2)
    assert server.stats()["outcomes"] == {"hang": 1}


def test_latency_and_injected_delay_add_up(serve_brain: Any) -> None:
    """An answer takes at least that long."""
    server: ModelServer = serve_brain(latency=0.05, faults=Faults(delay=timedelta(seconds=0.05)))
    with openai.OpenAI(base_url=server.openai_base_url, api_key="offline") as client:
        began = time.monotonic()
        client.chat.completions.create(model="m", messages=HELLO)
    assert time.monotonic() - began >= 0.1


def test_a_brain_may_refuse_with_a_code_of_the_provider(serve_brain: Any) -> None:
    """So a test can play a tenant without credit."""
    server = serve_brain(lambda _: Refusal(status=429, message="No credit.", code="insufficient_quota"))
    with openai.OpenAI(base_url=server.openai_base_url, api_key="offline", max_retries=0) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="m", messages=HELLO)
    assert caught.value.code == "insufficient_quota"
    assert "retry-after" not in caught.value.response.headers


def test_a_brain_that_fails_is_a_500(serve_brain: Any) -> None:
    """The error is named in the answer, and the server lives on."""
    server: ModelServer = serve_brain(lambda request: request.no_such_field)
    with openai.OpenAI(base_url=server.openai_base_url, api_key="offline", max_retries=0) as client:
        for _ in range(2):
            with pytest.raises(openai.InternalServerError, match="no_such_field"):
                client.chat.completions.create(model="m", messages=HELLO)


def test_the_same_seed_draws_the_same_faults() -> None:
    """And about as many as the rates say."""
    faults = Faults(rates={429: 0.2, "cut": 0.1}, jitter=timedelta(seconds=1), seed=5)
    drawn = [[plan.next() for _ in range(1000)] for plan in (FaultPlan(faults), FaultPlan(faults))]
    outcomes = [fate.outcome for fate in drawn[0]]
    assert drawn[0] == drawn[1]
    assert 150 < outcomes.count(429) < 250
    assert 60 < outcomes.count("cut") < 140
    assert all(timedelta(0) <= fate.delay <= timedelta(seconds=1) for fate in drawn[0])


async def test_faults_are_set_over_http_while_it_runs(server: ModelServer, async_openai: openai.AsyncOpenAI) -> None:
    """`POST /_control` injects, `GET /_stats` shows what came of it."""
    await asyncio.to_thread(post, server, {"rates": {"503": 1.0}, "seed": 3})
    with pytest.raises(openai.InternalServerError):
        await async_openai.chat.completions.create(model="m", messages=HELLO)
    await asyncio.to_thread(post, server, {})
    await async_openai.chat.completions.create(model="m", messages=HELLO)
    assert (await asyncio.to_thread(get_stats, server))["outcomes"] == {"503": 1, "200": 1}


@pytest.mark.parametrize("raw", [b"{", b'{"rate": {}}', b'{"rates": {"429": 2}}', b'{"script": ["explode"]}'])
def test_faults_that_cannot_be_read_are_named(raw: bytes) -> None:
    """A typing error does not silently inject nothing."""
    with pytest.raises(ConfigError, match="Faults cannot be read at"):
        read_faults(raw)


def test_faults_survive_their_json() -> None:
    """What `/_stats` shows can be posted back."""
    faults = Faults(script=(429, "ok"), rates={500: 0.5}, delay=timedelta(seconds=0.5), seed=4)
    assert read_faults(json.dumps(write_faults(faults)).encode()) == faults


def get_stats(server: ModelServer) -> dict[str, Any]:
    """Read the counters as a stranger would."""
    with urllib.request.urlopen(f"{server.url}/_stats") as answer:
        stats: dict[str, Any] = json.load(answer)
        return stats


def post(server: ModelServer, body: dict[str, Any]) -> None:
    """Send new faults."""
    with urllib.request.urlopen(f"{server.url}/_control", data=json.dumps(body).encode()) as answer:
        assert answer.status == 200
