"""Windows: how much of a conversation a model is given."""

from __future__ import annotations

from typing import Any

import pytest

from celeriac import Agent, App, Budget, Context, Message, Network, Prompt, State, Summarise, TruncateTokens, tool
from celeriac.errors import ConfigError
from celeriac.platform.agents.summarise import HEADING
from celeriac.platform.models.estimate import tokens_of
from celeriac.testing import Harness, ScriptedModel, call, say
from celeriac.types import Attachment, ModelRequest, Window

MODEL = "openai:gpt-4.1-mini"

#: an exchange of about a hundred tokens
EXCHANGE = [Message.user("q" * 160), Message.assistant("a" * 160, agent="a")]


def earlier(count: int) -> State[Any]:
    said = [Message(one.role, f"{number}{one.text}", agent=one.agent) for number in range(count) for one in EXCHANGE]
    return State({}, messages=said)


def numbers(request: ModelRequest) -> list[str]:
    return [message.text[:1] for message in request.messages]


@tool
def weigh(n: int) -> str:
    """Weigh something."""
    return "h" * n


async def asked(window: Window | None, *, state: State[Any] | None = None, **options: Any) -> ScriptedModel:
    model = options.pop("model", None) or ScriptedModel(["done"])
    agent = Agent("a", window=window, **options)
    await agent.run("Now", state=state, model=model)
    return model


async def test_without_a_window_everything_is_sent() -> None:
    model = await asked(None, state=earlier(4))
    assert numbers(model.requests[0]) == [*"00112233", "N"]


async def test_the_oldest_is_left_out_until_the_rest_fits() -> None:
    model = await asked(TruncateTokens(260), state=earlier(4))
    [request] = model.requests
    assert numbers(request) == [*"2233", "N"]
    assert tokens_of(request.system, request.messages) <= 260


async def test_the_system_prompt_takes_its_share() -> None:
    model = await asked(TruncateTokens(260), state=earlier(4), system="s" * 400)
    assert numbers(model.requests[0]) == [*"33", "N"]


async def test_the_input_is_sent_however_small_the_window_is() -> None:
    model = await asked(TruncateTokens(1), state=earlier(2))
    assert numbers(model.requests[0]) == ["N"]


async def test_a_tools_result_is_never_sent_without_its_call() -> None:
    """Also where one long turn alone is more than fits: its newest reply is kept with its results."""
    script = ScriptedModel([call("weigh", n=400), call("weigh", n=400), call("weigh", n=400), "done"])
    model = await asked(TruncateTokens(300), tools=[weigh], model=script, max_iter=4)
    for request in model.requests:
        calls = [one.id for message in request.messages for one in message.tool_calls]
        results = [message.tool_result.call_id for message in request.messages if message.tool_result is not None]
        assert calls == results and len(calls) == min(len(calls), 1)
        assert request.messages[0].text == "Now"
    assert [len(request.messages) for request in model.requests] == [1, 3, 3, 3]


async def test_a_turn_of_an_earlier_run_is_left_out_whole() -> None:
    first = ScriptedModel([call("weigh", n=800), "heavy"])
    network = Network("N", agents=[Agent("a", tools=[weigh], max_iter=2, window=TruncateTokens(200))], router=_once)
    before = await network.run("Weigh it", model=first)
    model = ScriptedModel(["done"])
    await network.run("Now", state=before.state, model=model)
    assert [message.text for message in model.requests[0].messages] == ["Now"]


def _once(ctx: Context[Any]) -> str | None:
    return None if ctx.network.call_count else "a"


async def test_a_window_is_any_function_of_the_context_and_the_prompt() -> None:
    def only_the_last(ctx: Context[Any], prompt: Prompt) -> None:
        prompt.history = prompt.history[-1:]

    model = await asked(only_the_last, state=earlier(3))
    assert numbers(model.requests[0]) == ["2", "N"]


async def test_an_attachment_counts_as_a_fixed_number_of_tokens() -> None:
    image = Attachment.of(b"x" * 1_000_000, "image/png")
    assert 1_000 <= tokens_of("", [Message.user("See", attachments=[image])]) < 1_100


# -- summaries ------------------------------------------------------------------------------------------------------


def team(window: Window, *names: str, **options: Any) -> Network[Any]:
    def in_turn(ctx: Context[Any]) -> str | None:
        return names[ctx.network.call_count] if ctx.network.call_count < len(names) else None

    agents = [Agent(name, model=MODEL, **options) for name in dict.fromkeys(names)]
    return Network("N", agents=agents, router=in_turn, window=window)


async def test_the_older_part_is_read_as_a_summary() -> None:
    model = ScriptedModel({"a": ["done"], "a summary": ["They spoke of 0 and 1."]})
    await team(Summarise(300, keep_tokens=220), "a").run("Now", state=earlier(4), model=model)
    summarised, answered = model.requests
    assert answered.messages[0].text == f"{HEADING}\n\nThey spoke of 0 and 1."
    assert numbers(answered)[1:] == [*"2233", "N"]
    assert "0qqq" in summarised.messages[0].text and "2qqq" not in summarised.messages[0].text
    assert [message.role for message in answered.messages][:2] == ["user", "user"]


async def test_what_fits_is_not_summarised() -> None:
    model = ScriptedModel({"a": ["done"]})
    await team(Summarise(1_000), "a").run("Now", state=earlier(4), model=model)
    assert numbers(model.requests[0]) == [*"00112233", "N"]


async def test_later_turns_go_on_from_the_summary_and_pay_only_for_what_is_new() -> None:
    long = say("b" * 400)
    model = ScriptedModel({"a": [long, long, "done"], "a summary": ["first", "second"]})
    run = await team(Summarise(350, keep_tokens=220), "a", "a", "a").run("Now", state=earlier(4), model=model)
    asked = [request.messages[0].text for request in model.requests if request.agent == "a summary"]
    assert len(asked) == 2 and "0qqq" in asked[0]
    assert "first" in asked[1] and "0qqq" not in asked[1]
    assert (run.stop_reason, run.usage.model_calls) == ("router", 5)
    model.assert_done()


async def test_a_summary_that_still_covers_enough_is_paid_once_by_several_agents() -> None:
    model = ScriptedModel({"a": ["A"], "b": ["B"], "a summary": ["first"]})
    await team(Summarise(320, keep_tokens=220), "a", "b").run("Now", state=earlier(4), model=model)
    model.assert_done()
    assert [request.agent for request in model.requests] == ["a summary", "a", "b"]
    assert model.requests[2].messages[0].text.endswith("first")


@tool
async def nap(ctx: Context[Any]) -> str:
    """Wait for an hour."""
    await ctx.step.sleep("nap", "1h")
    return "slept"


async def test_a_replay_pays_for_no_summary_again() -> None:
    app = App("summaries")
    state = earlier(4)

    @app.function(on="go")
    async def talk(ctx: Context[Any]) -> str:
        run = await team(Summarise(400, keep_tokens=120), "a", "a", tools=[nap], max_iter=2).run("Now", state=state)
        return run.text

    model = ScriptedModel({"a": [call("nap"), "one", call("nap"), "two"], "a summary": ["first"]})
    async with Harness(app, model) as h:
        [run] = await h.send("go", {})
        for _ in range(2):
            await h.restart()
            await h.advance("1h")
        assert (h.run(run.id).status, h.run(run.id).output) == ("completed", "two")
    model.assert_done()


async def test_a_conversation_longer_than_the_window_is_summarised_part_by_part() -> None:
    model = ScriptedModel({"a": ["done"], "a summary": ["first", "second", "third"]})
    await team(Summarise(280, keep_tokens=120), "a").run("Now", state=earlier(7), model=model)
    parts = [request for request in model.requests if request.agent == "a summary"]
    assert [tokens_of("", request.messages) < 400 for request in parts] == [True, True, True]
    assert "second" in parts[2].messages[0].text
    model.assert_done()


async def test_what_a_summary_uses_counts_for_the_budget() -> None:
    model = ScriptedModel({"a": ["one", "two"], "a summary": ["first"]})
    network = team(Summarise(300, keep_tokens=220), "a", "a")
    run = await network.run("Now", state=earlier(4), model=model, budget=Budget(tokens=30))
    assert run.results[0].usage.model_calls == 2
    assert (run.stop_reason, run.call_count) == ("budget", 1)


async def test_a_summary_has_a_model_and_instructions_of_its_own() -> None:
    own = ScriptedModel(["first"])
    window = Summarise(300, keep_tokens=220, model=own, instructions="Be brief.")
    agents = [Agent("a", model=ScriptedModel(["done"]), window=window)]
    await Network("N", agents=agents, router=_once).run("Now", state=earlier(4))
    assert [request.system for request in own.requests] == ["Be brief."]


@pytest.mark.parametrize(
    "make", [lambda: TruncateTokens(0), lambda: Summarise(0), lambda: Summarise(10, keep_tokens=10)]
)
def test_a_window_that_can_hold_nothing_is_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()
