"""The adapter of OpenAI: what it sends over the real SDK, and how it reads the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conversations import HELLO, KEY, TWO_CALLS
from scripted_provider import Answer, ScriptedProvider, chat_completion, function_call

from celeriac.platform.message import Message, ToolCall, ToolResult
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.platform.models.openai import openai


async def answer_to(request: ModelRequest, answer: Answer) -> ModelReply:
    """Ask a provider that gives this answer."""
    async with ScriptedProvider(answer) as provider:
        return await openai("gpt-4.1", api_key=KEY, base_url=provider.url).infer(request)


async def body_of(request: ModelRequest) -> dict[str, object]:
    """Return what arrives at the provider."""
    async with ScriptedProvider(chat_completion()) as provider:
        await openai("gpt-4.1", api_key=KEY, base_url=provider.url).infer(request)
        return provider.last


async def test_each_tool_result_is_a_message_of_its_own() -> None:
    """OpenAI wants one `tool` message for each call of the reply before it."""
    body = await body_of(TWO_CALLS)
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Compare tea and mud."},
        {
            "role": "assistant",
            "tool_calls": [
                function_call("look_up", '{"what":"tea"}', "a"),
                function_call("look_up", '{"broken_input":"{\\"what\\": "}', "b"),
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": '{"data":"grün"}'},
        {"role": "tool", "tool_call_id": "b", "content": '{"error":{"name":"Invalid","message":"no JSON"}}'},
        {"role": "user", "content": "Go on."},
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("any", "required"),
        ("none", "none"),
        ("look_up", {"type": "function", "function": {"name": "look_up"}}),
    ],
)
async def test_the_tool_choice_is_said_in_openais_words(choice: str, sent: object) -> None:
    """`any` is called `required` there, and a tool's name stands in an object."""
    assert (await body_of(replace(TWO_CALLS, tool_choice=choice)))["tool_choice"] == sent


async def test_a_request_without_tools_says_nothing_about_them() -> None:
    """An empty list of tools is refused, and so is a choice between none."""
    assert await body_of(HELLO) == {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}


async def test_parameters_and_the_step_travel_as_they_are() -> None:
    """The SDK need not know a parameter, and the header names the step, whatever its id."""
    async with ScriptedProvider(chat_completion()) as provider:
        model = openai("gpt-4.1", api_key=lambda: KEY, base_url=provider.url, temperature=0, odd={"a": 1})
        await model.infer(replace(HELLO, origin="run_1 network:Tee/turn:1/größe\n"))
    [asked] = provider.asked
    assert (asked.path, asked.body["temperature"], asked.body["odd"]) == ("/chat/completions", 0, {"a": 1})
    assert asked.headers["x-celeriac-step"] == "run_1 network:Tee/turn:1/gr%C3%B6%C3%9Fe%0A"
    assert asked.headers["authorization"] == f"Bearer {KEY}"


async def test_a_reply_is_read_with_usage_and_cost() -> None:
    """Cached and reasoning tokens are parts of the sums, and the body is kept."""
    reply = await answer_to(HELLO, chat_completion("Hi"))
    usage = reply.usage
    assert (reply.text, reply.model, reply.finish_reason) == ("Hi", "gpt-4.1-2025-04-14", "stop")
    assert (usage.model_calls, usage.tool_calls, usage.input_tokens, usage.output_tokens) == (1, 0, 100, 20)
    assert (usage.cached_tokens, usage.reasoning_tokens) == (40, 5)
    assert 0.0001 < usage.cost_usd < 0.001
    assert reply.raw["choices"][0]["message"]["content"] == "Hi"


async def test_broken_arguments_come_back_as_they_were_sent() -> None:
    """The model can then be told what was wrong; missing and repeated ids get one that each replay finds again."""
    calls = [
        function_call("look_up", '{"what":"tea"}'),
        function_call("look_up", '{"what": ', "x"),
        function_call("look_up", "[1]", "x"),
        function_call("look_up", ""),
    ]
    reply = await answer_to(TWO_CALLS, chat_completion(None, calls=calls, finish="tool_calls"))
    assert reply.finish_reason == "tool"
    assert reply.tool_calls == (
        ToolCall(id="call_0", name="look_up", input={"what": "tea"}),
        ToolCall(id="x", name="look_up", broken_input='{"what": '),
        ToolCall(id="call_2", name="look_up", broken_input="[1]"),
        ToolCall(id="call_3", name="look_up"),
    )


@pytest.mark.parametrize(
    ("sent", "read"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("unheard_of", "stop")],
)
async def test_why_a_reply_ended_is_kept(sent: str, read: str) -> None:
    """A truncated reply does not look like a finished one."""
    assert (await answer_to(HELLO, chat_completion(finish=sent))).finish_reason == read


async def test_a_refusal_is_the_text_and_the_reason() -> None:
    """OpenAI sends it beside an empty content."""
    reply = await answer_to(HELLO, chat_completion(None, refusal="I will not."))
    assert (reply.text, reply.finish_reason) == ("I will not.", "refusal")


async def test_a_forced_call_counts_as_a_tool_turn() -> None:
    """Where the request names the tool, OpenAI says `stop` beside the call."""
    reply = await answer_to(TWO_CALLS, chat_completion(None, calls=[function_call("look_up", "{}", "x")]))
    assert reply.finish_reason == "tool"


async def test_a_message_without_a_word_is_left_out() -> None:
    """It would be refused, and it says nothing."""
    request = ModelRequest(messages=(Message.user("Hello"), Message.assistant(""), Message.user("Hello?")))
    assert [message["content"] for message in (await body_of(request))["messages"]] == ["Hello", "Hello?"]  # type: ignore[attr-defined]


async def test_a_reply_without_usage_and_content_is_still_a_reply() -> None:
    """Some who speak the protocol leave out what they like."""
    reply = await answer_to(HELLO, Answer(body={"choices": [{"message": {"content": [{"text": "Hi"}, {}]}}]}))
    assert (reply.text, reply.model, reply.usage.input_tokens, reply.usage.cost_usd) == ("Hi", "gpt-4.1", 0, 0.0)


async def test_a_result_of_none_is_sent_as_null() -> None:
    """What a tool returns is always wrapped in `data`."""
    call = Message.assistant("", tool_calls=(ToolCall(id="a", name="look_up"),))
    result = Message.tool(ToolResult(call_id="a", name="look_up"))
    body = await body_of(ModelRequest(messages=(call, result)))
    assert body["messages"][1]["content"] == '{"data":null}'  # type: ignore[index]
