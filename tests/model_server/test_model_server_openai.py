"""The OpenAI SDK against the model server, over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest

from celeriac.testing.model_server import ModelServer, WireCall, WireReply, WireRequest

LOOK_UP: Any = {
    "type": "function",
    "function": {"name": "look_up", "description": "Look up.", "parameters": {"type": "object", "properties": {}}},
}
HELLO: Any = [{"role": "user", "content": "hello"}]


class Recorder:
    """A brain that keeps what it is asked."""

    def __init__(self) -> None:
        self.seen: list[WireRequest] = []

    def __call__(self, request: WireRequest) -> WireReply:
        self.seen.append(request)
        return WireReply(text="ok")


def two_calls_then_their_results(request: WireRequest) -> WireReply:
    """Call `look_up` twice; once answered, say what came back."""
    if results := request.messages[-1].tool_results:
        return WireReply(text=" and ".join(f"{result.name}={result.text}" for result in results))
    return WireReply(tool_calls=[WireCall(name="look_up", arguments={"n": n}) for n in (1, 2)])


def test_a_text_comes_back_with_its_finish_reason_and_request_id(openai_client: openai.OpenAI) -> None:
    """The plainest exchange."""
    reply = openai_client.chat.completions.create(model="desk", messages=HELLO)
    assert reply.choices[0].message.content == "heard: hello"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model == "desk"
    assert reply._request_id


async def test_parallel_tool_calls_make_a_round_trip(serve_brain: Any) -> None:
    """The calls go out with ids, and their results come back under the names of the tools."""
    server = serve_brain(two_calls_then_their_results)
    async with openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="offline") as client:
        first = await client.chat.completions.create(model="m", messages=HELLO, tools=[LOOK_UP])
        message = first.choices[0].message
        assert first.choices[0].finish_reason == "tool_calls"
        assert message.tool_calls is not None
        assert [json.loads(call.function.arguments) for call in message.tool_calls] == [{"n": 1}, {"n": 2}]  # type: ignore[union-attr]
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": text}
            for call, text in zip(message.tool_calls, ("a", "b"), strict=True)
        ]
        history: Any = [*HELLO, message.model_dump(exclude_none=True), *results]
        second = await client.chat.completions.create(model="m", messages=history, tools=[LOOK_UP])
    assert second.choices[0].message.content == "look_up=a and look_up=b"


def test_the_brain_sees_system_tools_choice_parameters_and_headers(serve_brain: Any) -> None:
    """Nothing that the caller said is lost on the way to the brain."""
    brain = Recorder()
    server = serve_brain(brain)
    choice: Any = {"type": "function", "function": {"name": "look_up"}}
    with openai.OpenAI(base_url=server.openai_base_url, api_key="offline") as client:
        client.chat.completions.create(
            model="m",
            messages=[{"role": "system", "content": "Be kind."}, *HELLO],
            tools=[LOOK_UP],
            tool_choice=choice,
            temperature=0.5,
            extra_headers={"X-Tenant": "ten_1"},
        )
    [request] = brain.seen
    assert (request.provider, request.system, request.tool_choice) == ("openai", "Be kind.", "look_up")
    assert request.offers("look_up") and request.tools[0].description == "Look up."
    assert request.params["temperature"] == 0.5
    assert request.headers["x-tenant"] == "ten_1"


def test_usage_is_counted_from_the_text(openai_client: openai.OpenAI) -> None:
    """A token for every four characters begun, in and out."""
    reply = openai_client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x" * 40}])
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (10, 12, 22)


def test_the_same_request_gets_the_same_ids(openai_client: openai.OpenAI) -> None:
    """Answers depend on the request only."""
    first, second = (openai_client.chat.completions.create(model="m", messages=HELLO) for _ in range(2))
    assert first.id == second.id


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"messages": []}, "messages"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"messages": [*HELLO, {"role": "tool", "tool_call_id": "call_9", "content": "x"}]}, "call_9"),
        ({"messages": [*HELLO, {"role": "assistant"}]}, "assistant"),
        ({"tools": [{"type": "function", "function": {"name": "no blanks"}}]}, "tools.0.function.name"),
    ],
)
def test_what_the_provider_refuses_is_refused(openai_client: openai.OpenAI, change: Any, says: str) -> None:
    """A wrong shape is a 400 that names its place, and the connection goes on."""
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client.chat.completions.create(**{"model": "m", "messages": HELLO, **change})
    assert says in caught.value.message
    assert caught.value.type == "invalid_request_error"
    assert openai_client.chat.completions.create(model="m", messages=HELLO).choices


def test_raw_arguments_of_a_brain_are_sent_as_they_are(serve_brain: Any) -> None:
    """A test can play a model that writes broken JSON."""
    server = serve_brain(lambda _: WireReply(tool_calls=[WireCall(name="look_up", arguments='{"n": ')]))
    with openai.OpenAI(base_url=server.openai_base_url, api_key="offline") as client:
        reply = client.chat.completions.create(model="m", messages=HELLO, tools=[LOOK_UP])
    calls: Any = reply.choices[0].message.tool_calls
    assert calls[0].function.arguments == '{"n": '


async def test_sixty_four_requests_are_answered_side_by_side(serve_brain: Any) -> None:
    """With 0.2 s each, they are all inside at once."""
    server: ModelServer = serve_brain(latency=0.2)
    async with openai.AsyncOpenAI(
        base_url=server.openai_base_url, api_key="offline", http_client=openai.DefaultAioHttpClient()
    ) as client:
        asked = [
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": str(n)}]) for n in range(64)
        ]
        replies = await asyncio.gather(*asked)
    assert [reply.choices[0].message.content for reply in replies] == [f"heard: {n}" for n in range(64)]
    assert server.stats()["peak_in_flight"] > 32
