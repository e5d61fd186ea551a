"""The Anthropic SDK against the model server, over HTTP."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from celeriac.testing.model_server import ModelServer, WireCall, WireReply, WireRequest

LOOK_UP: Any = {"name": "look_up", "description": "Look up.", "input_schema": {"type": "object", "properties": {}}}
HELLO: Any = [{"role": "user", "content": "hello"}]


class Recorder:
    """A brain that keeps what it is asked."""

    def __init__(self) -> None:
        self.seen: list[WireRequest] = []

    def __call__(self, request: WireRequest) -> WireReply:
        self.seen.append(request)
        return WireReply(text="ok")


def two_calls_then_their_results(request: WireRequest) -> WireReply:
    """Say something and call `look_up` twice; once answered, say what came back."""
    if results := request.messages[-1].tool_results:
        return WireReply(text=" and ".join(f"{result.name}={result.text}/{result.is_error}" for result in results))
    return WireReply(text="Let me see.", tool_calls=[WireCall(name="look_up", arguments={"n": n}) for n in (1, 2)])


def test_a_message_comes_back_with_its_stop_reason_and_request_id(anthropic_client: anthropic.Anthropic) -> None:
    """The plainest exchange."""
    reply = anthropic_client.messages.create(model="desk", max_tokens=100, messages=HELLO)
    assert reply.content[0].type == "text" and reply.content[0].text == "heard: hello"
    assert reply.stop_reason == "end_turn"
    assert reply._request_id


async def test_parallel_tool_uses_make_a_round_trip(serve_brain: Any) -> None:
    """Text and calls stand in one message, and the results come back under the names of the tools."""
    server = serve_brain(two_calls_then_their_results)
    async with anthropic.AsyncAnthropic(base_url=server.anthropic_base_url, api_key="offline") as client:
        first = await client.messages.create(model="m", max_tokens=100, messages=HELLO, tools=[LOOK_UP])
        history: Any = [*HELLO, *uses_and_results(first)]
        second = await client.messages.create(model="m", max_tokens=100, messages=history, tools=[LOOK_UP])
    assert first.stop_reason == "tool_use"
    assert [block.type for block in first.content] == ["text", "tool_use", "tool_use"]
    assert second.content[0].type == "text" and second.content[0].text == "look_up={'n': 1}/False and look_up=b/True"


def uses_and_results(reply: anthropic.types.Message) -> list[Any]:
    """The reply as history, and a message with a result for both its calls: a text, and an error in blocks."""
    uses: Any = [block for block in reply.content if block.type == "tool_use"]
    blocks = [{"type": "text", "text": "b"}]
    results = [
        {"type": "tool_result", "tool_use_id": uses[0].id, "content": str(uses[0].input)},
        {"type": "tool_result", "tool_use_id": uses[1].id, "content": blocks, "is_error": True},
    ]
    said = [block.model_dump(exclude_none=True) for block in reply.content]
    return [{"role": "assistant", "content": said}, {"role": "user", "content": results}]


def test_the_brain_sees_the_same_request_from_both_providers(serve_brain: Any) -> None:
    """System, tools, choice and parameters mean the same as in OpenAI's protocol."""
    brain = Recorder()
    server: ModelServer = serve_brain(brain)
    with anthropic.Anthropic(base_url=server.anthropic_base_url, api_key="offline") as client:
        client.messages.create(
            model="m",
            max_tokens=100,
            system="Be kind.",
            messages=HELLO,
            tools=[LOOK_UP],
            tool_choice={"type": "tool", "name": "look_up"},
        )
    [request] = brain.seen
    assert (request.provider, request.system, request.tool_choice) == ("anthropic", "Be kind.", "look_up")
    assert request.offers("look_up") and request.tools[0].description == "Look up."
    assert request.params["max_tokens"] == 100


async def test_usage_counts_system_turns_and_answer(async_anthropic: anthropic.AsyncAnthropic) -> None:
    """A token for every four characters begun; the asynchronous client on aiohttp works too."""
    reply = await async_anthropic.messages.create(
        model="m", max_tokens=100, system="s" * 20, messages=[{"role": "user", "content": "x" * 40}]
    )
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (15, 12)


def test_a_conversation_may_begin_with_what_another_agent_said(anthropic_client: anthropic.Anthropic) -> None:
    """The history of a network begins with an assistant's message; the provider takes it."""
    said: Any = [{"role": "assistant", "content": "I am Triage."}, *HELLO]
    reply = anthropic_client.messages.create(model="m", max_tokens=100, messages=said)
    assert reply.content[0].type == "text" and reply.content[0].text == "heard: hello"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"messages": [{"role": "user", "content": " "}]}, "non-empty"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [LOOK_UP], "tool_choice": {"type": "tool", "name": "other"}}, "'other'"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_9"}]}]}, "toolu_9"),
    ],
)
def test_what_the_provider_refuses_is_refused(anthropic_client: anthropic.Anthropic, change: Any, says: str) -> None:
    """A wrong shape is a 400 in Anthropic's error object, and the connection goes on."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        anthropic_client.messages.create(**{"model": "m", "max_tokens": 100, "messages": HELLO, **change})
    body: Any = caught.value.body
    assert body["error"]["type"] == "invalid_request_error"
    assert says in body["error"]["message"]
    assert anthropic_client.messages.create(model="m", max_tokens=100, messages=HELLO).content
