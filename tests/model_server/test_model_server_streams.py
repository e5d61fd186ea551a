"""The streams of the model server as the real SDKs read them, with types of their own."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
import openai
import pytest

from celeriac.testing.model_server import Faults, ModelServer, WireCall, WireReply

HELLO: Any = [{"role": "user", "content": "hello"}]

BUSY = WireReply(
    text="Let me look that up.", reasoning="Where is it?", tool_calls=(WireCall(name="look_up", arguments={"n": 1}),)
)


async def test_openais_sdk_puts_a_streamed_chat_completion_together(serve_brain: Any) -> None:
    """Text, arguments, end and usage."""
    server = serve_brain(lambda _: BUSY)
    async with openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="offline") as client:
        options: Any = {"include_usage": True}
        async with client.chat.completions.stream(model="m", messages=HELLO, stream_options=options) as stream:
            reply = await stream.get_final_completion()
    [choice] = reply.choices
    assert (choice.message.content, choice.finish_reason) == (BUSY.text, "tool_calls")
    assert choice.message.tool_calls and choice.message.tool_calls[0].function.arguments == '{"n": 1}'
    assert reply.usage and reply.usage.completion_tokens > 5


async def test_openais_sdk_puts_a_streamed_response_together(serve_brain: Any) -> None:
    """Thoughts, text and call are items."""
    server = serve_brain(lambda _: BUSY)
    async with openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="offline") as client:
        whole = await client.responses.create(model="m", input="hello")
        events = [event async for event in await client.responses.create(model="m", input="hello", stream=True)]
    assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
    assert whole.output_text == BUSY.text
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == BUSY.text
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_anthropics_sdk_puts_a_streamed_message_together(serve_brain: Any) -> None:
    """Thoughts with their signature, text, call and end."""
    server = serve_brain(lambda _: BUSY)
    async with anthropic.AsyncAnthropic(base_url=server.anthropic_base_url, api_key="offline") as client:
        async with client.messages.stream(model="m", max_tokens=100, messages=HELLO) as stream:
            reply = await stream.get_final_message()
    thought, said, called = reply.content
    assert thought.type == "thinking" and thought.thinking == BUSY.reasoning and thought.signature
    assert said.type == "text" and said.text == BUSY.text
    assert called.type == "tool_use" and called.input == {"n": 1}
    assert (reply.stop_reason, reply.usage.output_tokens > 5) == ("tool_use", True)


async def test_half_a_stream_is_a_broken_connection(serve_brain: Any) -> None:
    """Some events arrive; a request without a stream is cut before any."""
    server: ModelServer = serve_brain(faults=Faults(script=("half", "half")))
    events = []
    async with openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="x", max_retries=0) as client:
        with pytest.raises((openai.APIConnectionError, httpx2.HTTPError)):
            async for event in await client.chat.completions.create(model="m", messages=HELLO, stream=True):
                events.append(event)
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(model="m", messages=HELLO)
    assert events
    assert server.stats()["outcomes"] == {"half": 2}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/openai/deployments/m/chat/completions?api-version=1", {"api-key": "k"}, 200),
        ("/openai/deployments/m/chat/completions", {"api-key": "k"}, 404),
        ("/openai/deployments/m/chat/completions?api-version=1", {"authorization": "Bearer k"}, 401),
        ("/v1beta/openai/chat/completions", {"authorization": "Bearer k"}, 200),
        ("/v1beta/openai/chat/completions", {"x-goog-api-key": "k"}, 401),
        ("/xai/v1/chat/completions", {"authorization": "Bearer k"}, 200),
        ("/xai/v1/chat/completions", {}, 401),
        ("/v1/responses", {}, 401),
    ],
)
async def test_each_provider_wants_its_key_in_its_own_header(
    server: ModelServer, path: str, headers: dict[str, str], status: int
) -> None:
    """And Azure its version in the URL."""
    async with httpx2.AsyncClient() as client:
        body = {"model": "m", "messages": HELLO, "input": "hello"}
        assert (await client.post(server.url + path, json=body, headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([{"type": "function_call_output", "call_id": "a", "output": "1"}], "no tool call"),
        ([{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}], "must be followed"),
        ([{"role": "user", "content": "x"}, {"type": "reasoning", "id": "rs_1"}], "required following item"),
        ([{"role": "user"}], "needs 'role' and 'content'"),
    ],
)
async def test_the_responses_api_refuses_what_the_real_one_refuses(
    server: ModelServer, items: Any, problem: str
) -> None:
    """So that an adapter which passes here has the right shapes."""
    async with openai.AsyncOpenAI(base_url=server.openai_base_url, api_key="x", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError, match=problem):
            await client.responses.create(model="m", input=items)
