"""What AgentKit's adapters get wrong (W8) and where it shows keys (W17), and how it is here.

The numbers are those of `tests/agents/test_agentkit_defects.py`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from conversations import HELLO, KEY, LOOK_UP, TWO_CALLS, model_at
from scripted_provider import Answer, ScriptedProvider, anthropic_message, chat_completion, function_call
from test_model_streams import MODELS

from celeriac import Agent, App, Network, RoutingAgent, tool
from celeriac.errors import ModelError
from celeriac.platform.message import FinishReason, Message
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.compatible import gemini
from celeriac.platform.models.model import ModelRequest
from celeriac.testing import Harness
from celeriac.testing.model_server import ModelServer, WireCall, WireReply, WireRequest


@tool
def look_up(what: str) -> str:
    """Look something up."""
    return what.upper()


async def sent_by_anthropic(request: ModelRequest) -> dict[str, Any]:
    """Return the body that arrives."""
    async with ScriptedProvider(anthropic_message()) as provider:
        await anthropic("claude-3-5-haiku-latest", api_key=KEY, base_url=provider.url).infer(request)
        return provider.last


# W8: Anthropic's trailing assistant message is sent as the user's, so that no reply can be begun.
async def test_w08_the_beginning_of_a_reply_stays_the_assistants() -> None:
    body = await sent_by_anthropic(ModelRequest(messages=HELLO.messages, prefill="{"))
    assert body["messages"][-1] == {"role": "assistant", "content": [{"type": "text", "text": "{"}]}


# W8: of several system messages Anthropic is told the first.
async def test_w08_anthropic_is_told_all_system_messages() -> None:
    said = (Message.system("Be kind."), *HELLO.messages, Message.system("Be quick."))
    body = await sent_by_anthropic(ModelRequest(system="Be brief.", messages=said))
    assert body["system"] == "Be brief.\n\nBe kind.\n\nBe quick."


# W8: a block of a kind that is not known breaks the turn.
async def test_w08_a_block_that_nobody_knows_breaks_no_turn_and_goes_back() -> None:
    odd = {"type": "from_tomorrow", "secret": "x"}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    call = {"type": "tool_use", "id": "t1", "name": "look_up", "input": {"what": "tea"}}
    answers = (
        anthropic_message(thought, odd, call, stop="tool_use"),
        anthropic_message({"type": "text", "text": "Tea"}),
    )
    async with ScriptedProvider(*answers) as provider:
        result = await Agent("a", tools=[look_up], model=model_at("anthropic", provider.url)).run("Hi")
        assert [block["type"] for block in provider.last["messages"][1]["content"]] == [
            "thinking",
            "from_tomorrow",
            "tool_use",
        ]
    assert result.text == "Tea"


# W8: of Gemini's calls only the first is read, and a text ends no loop.
async def test_w08_geminis_calls_are_all_made_and_its_text_ends_the_turn() -> None:
    def respond(request: WireRequest) -> WireReply:
        if request.result_of("look_up") is not None:
            return WireReply(text="Both.")
        return WireReply(tool_calls=[WireCall(name="look_up", arguments={"what": what}) for what in ("a", "b")])

    with ModelServer(respond) as server:
        model = gemini("gemini-2.5-flash", api_key=KEY, base_url=server.gemini_base_url)
        result = await Agent("a", tools=[look_up], model=model).run("Hi")
        assert server.requests == 2
    assert ([one.data for one in result.tool_results], result.text, result.stopped) == (["A", "B"], "Both.", "")


# W8: Grok is called without a key outside of a durable run.
@pytest.mark.parametrize("model", MODELS)
async def test_w08_every_provider_is_called_with_its_key_in_a_plain_script(model: str) -> None:
    heard: list[WireRequest] = []

    def respond(request: WireRequest) -> WireReply:
        heard.append(request)
        return WireReply(text="Hi")

    with ModelServer(respond) as server:
        await Agent("a", model=MODELS[model](server)).run("Hi")
    assert KEY in {value.removeprefix("Bearer ") for value in heard[0].headers.values()}


# W8: a reply that was cut, by its length or a filter, looks like one that is done.
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("sent", "kept"), [("length", "length"), ("refusal", "refusal"), ("stop", "stop")])
async def test_w08_a_result_says_why_its_reply_ended(model: str, sent: Any, kept: FinishReason) -> None:
    with ModelServer(lambda _: WireReply(text="Tea is", finish=sent)) as server:
        assert (await Agent("a", model=MODELS[model](server)).run("Hi")).finish_reason == kept


async def test_w08_a_filtered_reply_is_told_apart() -> None:
    async with ScriptedProvider(chat_completion("Te", finish="content_filter")) as provider:
        assert (await Agent("a", model=model_at("openai", provider.url)).run("Hi")).finish_reason == "content_filter"


# W8: OpenAI refuses the strict schemas of the stock router's tools.
async def test_w08_the_stock_routers_tools_have_schemas_that_openai_takes() -> None:
    agents = [Agent(name, description=f"Does {name}") for name in ("Tea", "Mud")]
    calls = [function_call("done", '{"summary": ""}', "c1")]
    async with ScriptedProvider(chat_completion(None, calls=calls, finish="tool_calls")) as provider:
        network = Network("N", agents=agents, router=RoutingAgent(), default_model=model_at("openai", provider.url))
        await network.run("Hi")
        functions = [one["function"] for one in provider.asked[0].body["tools"]]
    assert {one["name"] for one in functions} == {"select_agent", "done"}
    for function in functions:
        schema = function["parameters"]
        whole = set(schema.get("required", ())) == set(schema["properties"]) and schema["additionalProperties"] is False
        assert whole or not function.get("strict", False)


# -- W17: keys stand in the opcodes of steps and in the output of functions ---------------------------------------

#: whatever makes a model of a key: a text, a function of nothing, and the environment
GIVEN: dict[str, Callable[[], Any]] = {
    "text": lambda: KEY,
    "function": lambda: lambda: KEY,
    "environment": lambda: None,
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("status", [200, 401])
async def test_w17_no_key_is_in_what_a_run_leaves_behind(
    given: str, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in inputs, results, outputs and errors of steps and runs, nor in the log; the provider repeats it."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    caplog.set_level("DEBUG")
    answer = anthropic_message({"type": "text", "text": "Tea"}) if status == 200 else refusal()
    app = App("keys")
    async with ScriptedProvider(answer, answer) as provider:
        model = anthropic("claude-haiku-4-5", api_key=GIVEN[given](), base_url=provider.url)
        agent = Agent("a", model=model, tools=[look_up])
        app.network(Network("N", agents=[agent], router=lambda ctx: None if ctx.network.call_count else agent), on="go")
        async with Harness(app) as h:
            [run] = await h.send("go", {"input": "Hi"})
            left = repr((run, h.steps(run.id), vars(h._rooms.store.all[run.id])))
        assert any(KEY in value for value in provider.asked[0].headers.values())
    assert run.status == ("completed" if status == 200 else "failed")
    assert "claude-haiku-4-5" in left and KEY not in left + caplog.text


def refusal() -> Answer:
    """The provider repeats the key that it refuses."""
    return Answer(status=401, body={"type": "error", "error": {"type": "authentication_error", "message": f"no {KEY}"}})


async def test_w17_no_key_is_in_what_a_script_exports_or_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor in the error of a call that was refused, however it travels."""
    async with ScriptedProvider(chat_completion("Tea"), refusal()) as provider:
        model = model_at("openai", provider.url)
        run = await Network("N", agents=[Agent("a", model=model)], router=once, default_model=model).run("Hi")
        with pytest.raises(ModelError) as caught:
            await model.infer(TWO_CALLS)
    error = pickle.loads(pickle.dumps(caught.value))
    shown = repr((run.export(), run.state.to_json(), run.results, model, error, vars(error), str(caught.value)))
    assert LOOK_UP.name and KEY not in shown
    assert (error.kind, error.status) == ("auth", 401)


def once(ctx: Any) -> str | None:
    """Let the agent answer once."""
    return None if ctx.network.call_count else "a"
