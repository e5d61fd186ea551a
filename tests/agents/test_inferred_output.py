"""`ctx.step.ai.infer` with a type: asked for by schema, mended once, remembered, and typed again on replay."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from celeriac import Agent, App, Context, Message, tool
from celeriac.errors import ModelError
from celeriac.testing import Harness, ScriptedModel, call
from celeriac.types import Attachment


class Triage(BaseModel):
    """What a model says of a ticket."""

    category: str
    urgency: int


GOOD, BAD = '{"category": "bug", "urgency": 3}', '{"category": "bug"}'


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return word


def asking(model: ScriptedModel, output: Any, **options: Any) -> tuple[App, list[Any]]:
    """Return an app whose function asks, sleeps and goes on, and what it got at each execution."""
    app, got = App("asks"), list[Any]()

    @app.function(on="go", retries=2)
    async def ask(ctx: Context) -> Any:
        result = await ctx.step.ai.infer("ask", model, "It crashes", output=output, **options)
        got.append(result)
        await ctx.step.sleep("nap", "1h")
        return result.text

    return app, got


async def test_the_reply_is_typed_live_and_on_replay_and_keeps_its_id() -> None:
    model = ScriptedModel([GOOD])
    app, got = asking(model, Triage)
    async with Harness(app) as h:
        await h.send("go")
        await h.restart()
        await h.advance("1h")
    assert [one.output for one in got] == [Triage(category="bug", urgency=3)] * 2
    assert len(model.requests) == 1 and len({one.id for one in got}) == 1
    assert model.requests[0].output is not None and set(model.requests[0].output.schema["required"]) == {
        "category",
        "urgency",
    }


async def test_a_reply_that_does_not_fit_is_mended_by_a_second_step() -> None:
    """The model sees what it said and what is wrong with it; both calls are counted."""
    model = ScriptedModel([BAD, GOOD])
    app, got = asking(model, Triage)
    async with Harness(app) as h:
        [run] = await h.send("go")
        await h.restart()
        await h.advance("1h")
        assert [memo.path for memo in h.steps(run.id)] == ["ask", "ask:again", "nap"]
        assert h.run(run.id).usage.model_calls == 2
    assert [(one.output.urgency, one.usage.model_calls) for one in got] == [(3, 2)] * 2
    assert [message.role for message in model.requests[1].messages] == ["user", "assistant", "user"]
    assert "urgency" in model.requests[1].messages[-1].text


async def test_a_reply_that_never_fits_fails_the_run_at_once() -> None:
    """The kind says why; another attempt would read the same memos."""
    model = ScriptedModel([BAD, BAD])
    app, _ = asking(model, Triage)
    async with Harness(app) as h:
        [run] = await h.send("go")
        assert (run.status, len(model.requests)) == ("failed", 2)
        assert run.error is not None and "urgency" in run.error["message"]


async def test_what_is_no_object_is_unwrapped() -> None:
    app, got = asking(ScriptedModel(['{"value": [1, 2]}']), list[int])
    async with Harness(app) as h:
        await h.send("go")
    assert got[0].output == [1, 2]


async def test_tools_are_offered_and_their_calls_are_returned() -> None:
    """Nothing is executed, and there is no output yet."""
    model = ScriptedModel([call("look_up", word="x")])
    app, got = asking(model, Triage, tools=[look_up])
    async with Harness(app) as h:
        await h.send("go")
    assert [tool.name for tool in model.requests[0].tools] == ["look_up"]
    assert (got[0].tool_calls[0].input, got[0].output) == ({"word": "x"}, None)


async def test_a_type_without_a_schema_is_refused_before_the_call() -> None:
    model = ScriptedModel([])
    app, _ = asking(model, ScriptedModel)
    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.error is not None and "has no JSON schema" in run.error["message"]
    assert model.requests == []


async def test_a_tool_of_a_script_may_ask_too() -> None:
    """With images and files, and a kind of failure of its own."""
    page = Message.user("What is it?", attachments=[Attachment.of(b"%PDF", "application/pdf")])

    @tool
    async def sort(ctx: Context) -> str:
        """Sort."""
        model = ScriptedModel([lambda request: request.messages[0].attachments[0].media_type, BAD, BAD])
        said = await ctx.step.ai.infer("read", model, page)
        with pytest.raises(ModelError) as caught:
            await ctx.step.ai.infer("type", model, "x", output=Triage)
        return f"{said.text} {caught.value.kind}"

    result = await Agent("a", tools=[sort], model=ScriptedModel([call("sort"), "ok"])).run("go")
    assert result.tool_results[0].data == "application/pdf output"


async def test_the_model_of_a_harness_answers_in_place_of_the_one_that_is_named() -> None:
    app = App("named")

    @tool
    async def think(ctx: Context) -> str:
        """Think."""
        return (await ctx.step.ai.infer("think", "openai:gpt-4.1-mini", "?")).text

    @app.function(on="go")
    async def ask(ctx: Context) -> list[str]:
        said = (await ctx.step.ai.infer("ask", "anthropic:claude-haiku-4-5", "Hi")).text
        agent = Agent("a", tools=[think], model="openai:gpt-4.1-mini")
        return [said, (await agent.run("Hi")).text]

    model = ScriptedModel(["scripted", call("think"), "in the tool", "done"])
    async with Harness(app, model) as h:
        [run] = await h.send("go")
        assert run.output == ["scripted", "done"], run.error
    model.assert_done()
