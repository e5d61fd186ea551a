"""Tool calls as no provider should send them, and as models write them nonetheless: they go back to the model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conversations import HELLO, KEY, PROVIDERS, model_of
from scripted_provider import Answer, ScriptedProvider, chat_completion, function_call

from celeriac import Agent, App, tool
from celeriac.platform.models.openai import openai
from celeriac.testing import Harness
from celeriac.testing.model_server import ModelServer, WireCall, WireReply, WireRequest

#: what Python reads though it is no JSON, or what no walk through it comes to the end of
ODD = ['{"x": NaN}', '{"x": -Infinity}', '{"x": 1e999}', '{"x":' + "[" * 500 + "]" * 500 + "}", '{"x":' + "[" * 100_000]


@tool
def weigh(x: float) -> float:
    """Weigh."""
    return x


async def error_told(app: App) -> dict[str, Any]:
    """Run the agent; return the error of its first call."""
    async with Harness(app) as harness:
        [run] = await harness.send("go", {"input": "?"})
        assert run.status == "completed", run.error
        error: dict[str, Any] = run.output["results"][0]["messages"][1]["tool_result"]["error"]
        return error


@pytest.mark.parametrize("arguments", ODD, ids=["nan", "infinity", "huge", "deep", "deeper"])
async def test_arguments_that_cannot_be_kept_go_back_to_the_model(arguments: str) -> None:
    answers = chat_completion(None, calls=[function_call("weigh", arguments, "a")]), chat_completion("Well.")
    async with ScriptedProvider(*answers) as provider:
        app = App("odd")
        model = openai("gpt-4.1", api_key=KEY, base_url=provider.url)
        app.agent(Agent("A", tools=[weigh], model=model, max_iter=3), on="go")
        assert (await error_told(app))["name"] == "InvalidArguments"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_so_do_those_of_streams(provider: str) -> None:
    def respond(request: WireRequest) -> WireReply:
        asked = any(turn.tool_results for turn in request.messages)
        return (
            WireReply(text="Well.")
            if asked
            else WireReply(tool_calls=(WireCall(name="weigh", arguments='{"x": NaN}'),))
        )

    with ModelServer(respond) as server:
        app = App("odd")
        app.agent(Agent("A", tools=[weigh], model=model_of(provider, server), max_iter=3), on="go")
        assert (await error_told(app))["name"] == "InvalidArguments"


async def test_numbers_that_are_none_are_null_in_the_body() -> None:
    """Servers of one's own send them as the logarithms of probabilities."""
    body: Any = chat_completion("Hi").body
    body["choices"][0]["logprobs"] = {"content": [{"logprob": float("-inf")}]}
    body["usage"]["prompt_tokens"] = float("inf")
    answer = Answer(body=json.dumps(body), content_type="application/json")
    async with ScriptedProvider(answer) as provider:
        reply = await openai("gpt-4.1", api_key=KEY, base_url=provider.url).infer(HELLO)
    assert reply.raw["choices"][0]["logprobs"] == {"content": [{"logprob": None}]}
    assert (reply.text, reply.usage.input_tokens) == ("Hi", 0)


async def test_no_two_calls_have_one_id() -> None:
    """Providers refuse results under an id that stands there twice."""
    calls = [function_call("weigh", "{}", id) for id in ("call_1", "", "call_1", "call_2")]
    async with ScriptedProvider(chat_completion(None, calls=calls)) as provider:
        reply = await openai("gpt-4.1", api_key=KEY, base_url=provider.url).infer(HELLO)
    assert [call.id for call in reply.tool_calls] == ["call_1", "call_1_", "call_2", "call_3"]


async def test_a_name_that_is_no_text_is_no_tools() -> None:
    calls: list[Any] = [{"id": 5, "type": "function", "function": {"name": 7, "arguments": "{}"}}]
    async with ScriptedProvider(chat_completion(None, calls=calls)) as provider:
        reply = await openai("gpt-4.1", api_key=KEY, base_url=provider.url).infer(HELLO)
    assert [(call.id, call.name) for call in reply.tool_calls] == [("call_0", "")]
