"""The adapter of Anthropic: what it sends over the real SDK, and how it reads the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from conversations import HELLO, KEY, TWO_CALLS
from scripted_provider import Answer, ScriptedProvider, anthropic_message

from celeriac.platform.message import Message, ToolCall
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.model import ModelReply, ModelRequest


async def answer_to(request: ModelRequest, answer: Answer) -> ModelReply:
    """Ask a provider that gives this answer."""
    async with ScriptedProvider(answer) as provider:
        return await anthropic("claude-haiku-4-5", api_key=KEY, base_url=provider.url).infer(request)


async def body_of(request: ModelRequest, **params: Any) -> dict[str, Any]:
    """Return what arrives at the provider."""
    async with ScriptedProvider(anthropic_message()) as provider:
        await anthropic("claude-haiku-4-5", api_key=KEY, base_url=provider.url, **params).infer(request)
        return provider.last


def text(said: str) -> dict[str, str]:
    """A block of text."""
    return {"type": "text", "text": said}


async def test_all_results_of_one_reply_stand_in_one_message() -> None:
    """Anthropic refuses a tool call whose result is not in the very next message."""
    body = await body_of(TWO_CALLS)
    assert (body["system"], body["max_tokens"], body["tool_choice"]) == ("Be brief.", 4096, {"type": "auto"})
    asked, called, told = body["messages"]
    assert asked == {"role": "user", "content": [text("Compare tea and mud.")]}
    assert [block["input"] for block in called["content"]] == [{"what": "tea"}, {"broken_input": '{"what": '}]
    failed = '{"error":{"name":"Invalid","message":"no JSON"}}'
    assert told["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": '{"data":"grün"}'},
        {"type": "tool_result", "tool_use_id": "b", "content": failed, "is_error": True},
        text("Go on."),
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [("any", {"type": "any"}), ("none", {"type": "none"}), ("look_up", {"type": "tool", "name": "look_up"})],
)
async def test_the_tool_choice_is_said_in_anthropics_words(choice: str, sent: object) -> None:
    """Each choice is an object with a type."""
    assert (await body_of(replace(TWO_CALLS, tool_choice=choice)))["tool_choice"] == sent


async def test_one_sides_messages_on_end_become_one_and_blank_ones_none() -> None:
    """System messages join the system prompt."""
    said = (Message.user("One"), Message.system("Be kind."), Message.user(" \n"), Message.user("Two"))
    body = await body_of(ModelRequest(system="Be brief.", messages=said))
    assert body["messages"] == [{"role": "user", "content": [text("One"), text("Two")]}]
    assert body["system"] == "Be brief.\n\nBe kind."


async def test_what_another_agent_said_last_is_input() -> None:
    """As an assistant's message it would be an answer begun, which newer models refuse."""
    said = (Message.user("Plan it."), Message.assistant("The plan: tea.", agent="Planner"))
    body = await body_of(ModelRequest(messages=said))
    assert body["messages"] == [{"role": "user", "content": [text("Plan it."), text("The plan: tea.")]}]


async def test_an_agent_without_tools_may_read_a_conversation_with_tool_calls() -> None:
    """The called tools are defined, and not to be called."""
    body = await body_of(replace(TWO_CALLS, tools=()))
    assert body["tools"] == [{"name": "look_up", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


async def test_parameters_the_sdk_does_not_know_reach_the_provider() -> None:
    """The SDK's own method takes no temperature any more."""
    body = await body_of(HELLO, temperature=0.2, top_k=40, max_tokens=100)
    assert (body["temperature"], body["top_k"], body["max_tokens"]) == (0.2, 40, 100)


async def test_a_reply_is_read_with_usage_and_cost() -> None:
    """What was read from and written to the cache counts as input."""
    reply = await answer_to(HELLO, anthropic_message(text("Hi "), text("there")))
    usage = reply.usage
    assert (reply.text, reply.model, reply.finish_reason) == ("Hi there", "claude-haiku-4-5-20251001", "stop")
    assert (usage.model_calls, usage.tool_calls, usage.input_tokens, usage.output_tokens) == (1, 0, 100, 20)
    assert (usage.cached_tokens, usage.reasoning_tokens) == (30, 5)
    assert usage.cost_usd == pytest.approx((10 * 1 + 30 * 0.1 + 60 * 1.25 + 20 * 5) / 1e6)


async def test_tool_calls_are_read_beside_text_and_thinking() -> None:
    """Blocks of other kinds stay in the raw body."""
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    call = {"type": "tool_use", "id": "", "name": "look_up", "input": {"what": "tea"}}
    reply = await answer_to(TWO_CALLS, anthropic_message(thinking, text("Let me see."), call, stop="tool_use"))
    assert (reply.text, reply.finish_reason) == ("Let me see.", "tool")
    assert reply.tool_calls == (ToolCall(id="call_0", name="look_up", input={"what": "tea"}),)
    assert reply.raw["content"][0] == thinking


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
        ("stop_sequence", "stop"),
    ],
)
async def test_why_a_reply_ended_is_kept(sent: str, read: str) -> None:
    """A truncated reply does not look like a finished one."""
    assert (await answer_to(HELLO, anthropic_message(stop=sent))).finish_reason == read
