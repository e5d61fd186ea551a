"""Failures of providers: each is a `ModelError` of the right kind that crosses processes and tells no secret."""

from __future__ import annotations

import pickle
import socket
from datetime import UTC, datetime

import pytest
from conversations import HELLO, KEY, PROVIDERS, model_at, model_of
from scripted_provider import Answer, ScriptedProvider

from celeriac.errors import ModelError
from celeriac.platform.message import Message
from celeriac.platform.models.failure import retry_after
from celeriac.platform.models.model import Model, ModelRequest
from celeriac.platform.models.openai import openai
from celeriac.testing.model_server import Faults, ModelServer, Refusal, WireReply

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.parametrize("provider", PROVIDERS)


async def failure_of(model: Model, request: ModelRequest = HELLO) -> ModelError:
    """Ask, and return what went wrong as it arrives in another process."""
    with pytest.raises(ModelError) as caught:
        await model.infer(request)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, ModelError)
    assert (str(copy), vars(copy)) == (str(caught.value), vars(caught.value))
    return copy


async def failure_at(provider: str, answer: Answer | None) -> ModelError:
    """Ask a provider that gives this answer."""
    async with ScriptedProvider(answer) as server:
        return await failure_of(model_at(provider, server.url))


@pytest.mark.parametrize(
    ("status", "kind", "is_retriable"),
    [
        (400, "invalid", False),
        (401, "auth", False),
        (403, "auth", False),
        (404, "invalid", False),
        (408, "timeout", True),
        (409, "server", True),
        (413, "invalid", False),
        (422, "invalid", False),
        (429, "rate_limit", True),
        (500, "server", True),
        (503, "overloaded", True),
        (504, "timeout", True),
        (529, "overloaded", True),
    ],
)
async def test_a_status_becomes_a_kind(provider: str, status: int, kind: str, is_retriable: bool) -> None:
    """Each SDK has its own classes for them; the engine sees one."""
    with ModelServer(lambda _: Refusal(status=status, message="No.")) as server:
        error = await failure_of(model_of(provider, server))
        assert server.requests == 1
    assert (error.status, error.kind, error.is_retriable) == (status, kind, is_retriable)
    assert error.request_id


async def test_an_empty_account_is_not_tried_again(provider: str) -> None:
    """Waiting fills no account, although the status is the one of a rate limit."""
    quota = {"message": "Over.", "type": "insufficient_quota", "code": "insufficient_quota"}
    billing = {"message": "Over.", "type": "billing_error"}
    for status, error in ((429, quota), (402, billing)):
        failure = await failure_at(provider, Answer(status=status, body={"error": error}))
        assert (failure.kind, failure.is_retriable) == ("quota", False)


async def test_a_filtered_prompt_is_not_tried_again(provider: str) -> None:
    """Azure's filter refuses with a code of its own; nothing is wrong with the form of the request."""
    body = {"error": {"message": "The prompt was filtered.", "code": "content_filter", "type": None}}
    error = await failure_at(provider, Answer(status=400, body=body))
    assert (error.kind, error.is_retriable, error.is_outage) == ("content_filter", False, False)


async def test_google_says_in_the_body_when_to_come_back(provider: str) -> None:
    """In a list of one, with the wish among its details."""
    wish = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    body = [{"error": {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED", "details": [wish]}}]
    error = await failure_at(provider, Answer(status=429, body=body))
    assert (error.kind, error.retry_after) == ("rate_limit", 34.5)


async def test_the_provider_says_when_to_come_back(provider: str) -> None:
    """The wish travels with the error."""
    with ModelServer(lambda _: Refusal(status=429, message="Slow down.", retry_after=7)) as server:
        error = await failure_of(model_of(provider, server))
    assert error.retry_after == 7.0
    assert "Slow down." in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT", "date": "Thu, 01 Jan 2026 12:00:20 GMT"}, 10.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_the_wish_is_read_in_each_of_its_forms(provider: str, headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds win; a date counts from the answer's own date."""
    assert retry_after(headers, now=NOON) == seconds, provider


async def test_a_refused_key_is_not_repeated(provider: str) -> None:
    """Some providers put (parts of) the key into their text."""
    for status in (401, 403):
        body = {"error": {"message": f"Incorrect API key provided: {KEY}", "type": "x"}}
        error = await failure_at(provider, Answer(status=status, body=body))
        assert error.kind == "auth"
        assert KEY not in str(error)


async def test_a_missing_key_names_its_variable(provider: str) -> None:
    """Nothing is sent without a key; the variable is read at the call."""
    model = model_at(provider, "http://127.0.0.1:1")
    error = await failure_of(type(model)(name=model.name, base_url=model.base_url))
    assert (error.kind, error.status) == ("auth", None)
    assert f"{provider.upper()}_API_KEY" in str(error)


async def test_a_cut_connection_is_no_timeout(provider: str) -> None:
    """Both may be tried again, but they send people to different places."""
    error = await failure_at(provider, None)
    assert (error.kind, error.is_retriable) == ("connection", True)


async def test_an_address_where_nobody_listens_is_a_broken_connection(provider: str) -> None:
    """The port is free because it was ours just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    error = await failure_of(model_at(provider, f"http://127.0.0.1:{port}"))
    assert error.kind == "connection"
    assert "base_url" in str(error)


async def test_an_answer_that_never_comes_ends_in_time(provider: str) -> None:
    """After the model's `timeout`, not after the SDK's ten minutes."""
    async with ScriptedProvider() as server:
        model = model_at(provider, server.url)
        error = await failure_of(type(model)(name="m", api_key=KEY, base_url=server.url, timeout=model.timeout / 100))
    assert (error.kind, error.is_retriable) == ("timeout", True)


@pytest.mark.parametrize("body", ["<html>Welcome</html>", [1], {}, {"choices": [], "content": None}])
async def test_a_success_that_is_no_reply_is_a_failure(provider: str, body: object) -> None:
    """A proxy's page is not an empty answer."""
    error = await failure_at(provider, Answer(body=body, headers={"x-request-id": "r1", "request-id": "r1"}))
    assert (error.kind, error.request_id) == ("server", "r1")


async def test_a_text_that_cannot_be_sent_is_an_invalid_request(provider: str) -> None:
    """A lone surrogate has no form in UTF-8; sending it again would not help."""
    async with ScriptedProvider() as server:
        error = await failure_of(model_at(provider, server.url), ModelRequest(messages=(Message.user("\ud800"),)))
    assert error.kind == "invalid"


async def test_the_adapter_tries_once(provider: str) -> None:
    """The engine retries; a second try of the SDK would hide from budgets and attempts."""
    with ModelServer(lambda _: WireReply(text="Hi"), faults=Faults(script=(500, "ok"))) as server:
        model = model_of(provider, server)
        assert (await failure_of(model)).kind == "server"
        assert (await model.infer(HELLO)).text == "Hi"
        assert server.requests == 2


async def test_a_key_that_cannot_stand_in_a_header_is_refused_before_the_call(provider: str) -> None:
    """And it is not shown."""
    error = await failure_of(openai("gpt-4.1", api_key=f"{provider}\nschlüssel"))
    assert error.kind == "auth"
    assert "schlüssel" not in str(error)
