"""Streams of all wire forms against the offline model server, over the real SDKs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from conversations import HELLO, KEY, TWO_CALLS
from scripted_provider import Answer, ScriptedProvider, chat_completion, function_call

from celeriac.errors import ModelError
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.compatible import azure_openai, gemini, grok
from celeriac.platform.models.delta import CallDelta, ReasoningDelta, TextDelta, UsageDelta
from celeriac.platform.models.model import Model, ModelReply, ModelRequest
from celeriac.platform.models.openai import openai
from celeriac.testing.model_server import Faults, ModelServer, WireCall, WireReply

#: one model of each provider and form, at the model server
MODELS: dict[str, Callable[[ModelServer], Model]] = {
    "openai": lambda at: openai("gpt-4.1", api_key=KEY, base_url=at.openai_base_url),
    "responses": lambda at: openai("gpt-4.1", api="responses", api_key=KEY, base_url=at.openai_base_url),
    "anthropic": lambda at: anthropic("claude-haiku-4-5", api_key=KEY, base_url=at.anthropic_base_url),
    "gemini": lambda at: gemini("gemini-2.5-flash", api_key=KEY, base_url=at.gemini_base_url),
    "grok": lambda at: grok("grok-4", api_key=KEY, base_url=at.grok_base_url),
    "azure": lambda at: azure_openai("gpt-4.1", api_key=KEY, endpoint=at.azure_endpoint),
}

REPLIES = {
    "text": WireReply(text="Tea is older than mud, in a manner of speaking."),
    "calls": WireReply(
        text="Let me see.",
        tool_calls=(WireCall(name="look_up", arguments={"what": "tea, green"}), WireCall(name="look_up")),
    ),
    "thoughts": WireReply(text="Tea.", reasoning="Mud is cheaper, but tea is meant."),
    "length": WireReply(text="Tea is", finish="length"),
    "filtered": WireReply(text="Tea", finish="content_filter"),
    "refusal": WireReply(text="I will not.", finish="refusal"),
    "nothing": WireReply(),
    "odd signs": WireReply(text="Tea,\u2028\x85\x0b and\r\nmud: \U0001f375 ü", tool_calls=(WireCall(name="ü"),)),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    """Answers as the newest message asks, by the name of a reply."""
    with ModelServer(lambda request: REPLIES.get(request.messages[-1].text, REPLIES["text"])) as started:
        yield started


def asking_for(reply: str) -> ModelRequest:
    """A request that is answered so."""
    [message] = HELLO.messages
    return replace(TWO_CALLS, messages=(replace(message, text=reply),))


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_ends_with_the_reply_that_a_whole_answer_is(server: ModelServer, model: str, reply: str) -> None:
    """Same text, calls, end, usage and parts kept verbatim; the pieces make it up."""
    declared = MODELS[model](server)
    whole = await declared.infer(asking_for(reply))
    items = [item async for item in declared.stream(asking_for(reply))]
    streamed = items[-1]
    assert isinstance(streamed, ModelReply)
    # the ids stand for the bodies, which differ by `stream`
    assert [c.input for c in streamed.tool_calls] == [c.input for c in whole.tool_calls]
    same = {"raw": {}, "tool_calls": (), "verbatim": None}
    assert replace(streamed, **same) == replace(whole, **same)
    assert "".join(item.text for item in items if isinstance(item, TextDelta)) == whole.text
    assert "".join(item.text for item in items if isinstance(item, ReasoningDelta)) == whole.reasoning
    assert items[-2] == UsageDelta(usage=whole.usage)


@pytest.mark.parametrize("model", MODELS)
async def test_arguments_arrive_piece_by_piece_under_their_call(server: ModelServer, model: str) -> None:
    """Each piece says which call it belongs to."""
    items = [item async for item in MODELS[model](server).stream(asking_for("calls"))]
    reply = items[-1]
    assert isinstance(reply, ModelReply)
    pieces = [item for item in items if isinstance(item, CallDelta)]
    assert {(piece.place, piece.id, piece.name) for piece in pieces} == {
        (place, call.id, "look_up") for place, call in enumerate(reply.tool_calls)
    }
    assert len(pieces) >= 5
    assert "".join(piece.arguments for piece in pieces if piece.place == 0).replace(" ", "") == '{"what":"tea,green"}'


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_whose_connection_breaks_is_a_failure(model: str) -> None:
    """Some pieces came, no reply did, and another try may do better."""
    with ModelServer(lambda _: REPLIES["text"], faults=Faults(script=("half",))) as server:
        with pytest.raises(ModelError) as caught:
            async for item in MODELS[model](server).stream(HELLO):
                assert not isinstance(item, ModelReply)
    assert (caught.value.kind, caught.value.is_retriable) == ("connection", True)


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_that_is_refused_fails_as_a_whole_answer_does(model: str) -> None:
    """Status, wish and request id are those of the answer."""
    with ModelServer(lambda _: REPLIES["text"], faults=Faults(script=(429,))) as server:
        with pytest.raises(ModelError) as caught:
            _ = [item async for item in MODELS[model](server).stream(HELLO)]
    assert (caught.value.kind, caught.value.status, caught.value.retry_after) == ("rate_limit", 429, 1.0)
    assert caught.value.request_id


@pytest.mark.parametrize("odd", ["data: Welcome\n\n", "data: [1]\n\n", 'data: {"choices": "x"}\n\n', ""])
async def test_an_event_that_cannot_be_read_or_an_end_alone_is_a_failure(odd: str) -> None:
    """Passing over it would lose a part of the reply without a word."""
    async with ScriptedProvider(Answer(body=odd + "data: [DONE]\n\n", content_type="text/event-stream")) as provider:
        with pytest.raises(ModelError) as caught:
            _ = [item async for item in openai("m", api_key=KEY, base_url=provider.url).stream(HELLO)]
    assert (caught.value.kind, caught.value.is_retriable) == ("server", True)


async def test_comments_and_empty_events_say_nothing() -> None:
    """Gateways send them so that the connection stays open; lines may end in either way."""
    said = '{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}'
    body = f": PROCESSING\r\n\r\ndata:\r\n\r\nid: 7\r\ndata: {said}\r\n\r\ndata: [DONE]"
    async with ScriptedProvider(Answer(body=body, content_type="text/event-stream")) as provider:
        items = [item async for item in openai("m", api_key=KEY, base_url=provider.url).stream(HELLO)]
    assert isinstance(items[-1], ModelReply) and items[-1].text == "Hi"


async def test_a_stream_that_falls_silent_ends_in_time() -> None:
    """The model's `timeout` counts for each silence, not for the whole stream."""
    with ModelServer(lambda _: REPLIES["text"], pace=5) as server:
        slow = openai("gpt-4.1", api_key=KEY, base_url=server.openai_base_url, timeout=0.2)
        with pytest.raises(ModelError) as caught:
            _ = [item async for item in slow.stream(HELLO)]
    assert (caught.value.kind, caught.value.is_retriable) == ("timeout", True)


async def test_leaving_a_stream_closes_its_connection() -> None:
    """Nobody pays for words that nobody reads."""
    with ModelServer(lambda _: REPLIES["text"], pace=0.05) as server:
        async with aclosing(MODELS["anthropic"](server).stream(HELLO)) as items:
            async for _ in items:
                break
        assert (await MODELS["anthropic"](server).infer(HELLO)).text == REPLIES["text"].text
        assert server.stats()["in_flight"] == 0


ERRORS = {
    "openai": '{"error":{"message":"Slow down.","type":"server_error","code":"rate_limit_exceeded"}}',
    "anthropic": '{"type":"error","error":{"type":"overloaded_error","message":"Slow down."}}',
    "responses": '{"type":"response.failed","response":{"error":{"code":"server_error","message":"Slow down."}}}',
}


@pytest.mark.parametrize(
    ("model", "kind"), [("openai", "rate_limit"), ("anthropic", "overloaded"), ("responses", "server")]
)
async def test_an_error_in_the_middle_of_a_stream_has_its_kind(model: str, kind: str) -> None:
    """The status was 200 by then, so the words tell."""
    async with ScriptedProvider(
        Answer(body=f"data: {ERRORS[model]}\n\n", content_type="text/event-stream")
    ) as provider:
        api = "responses" if model == "responses" else "chat"
        claude = anthropic("claude-haiku-4-5", api_key=KEY, base_url=provider.url)
        declared = claude if model == "anthropic" else openai("gpt-4.1", api=api, api_key=KEY, base_url=provider.url)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="Slow down") as caught:
            _ = [item async for item in declared.stream(HELLO)]
    assert (caught.value.kind, caught.value.is_retriable) == (kind, True)


async def test_a_provider_that_answers_at_once_is_read_all_the_same() -> None:
    """Some who speak the protocol cannot stream."""
    async with ScriptedProvider(chat_completion("Hi")) as provider:
        model = openai("gpt-4.1", api_key=KEY, base_url=provider.url)
        items = [item async for item in model.stream(HELLO)]
    assert isinstance(items[-1], ModelReply) and items[-1].text == "Hi"


async def test_calls_that_share_an_index_are_two() -> None:
    """Gemini sends each call whole, all of them under index 0."""
    whole = [{"index": 0, **function_call("look_up", "{}", id)} for id in ("a", "b", "")]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in whole]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    async with ScriptedProvider(Answer(body=body, content_type="text/event-stream")) as provider:
        items = [item async for item in gemini("g", api_key=KEY, base_url=provider.url).stream(HELLO)]
    reply = items[-1]
    assert isinstance(reply, ModelReply)
    assert [call.id for call in reply.tool_calls] == ["a", "b", "call_2"]
    assert reply.finish_reason == "tool"
