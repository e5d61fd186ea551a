"""Typed output: asked for by schema, validated, mended once, and typed again on replay."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from celeriac import Agent, App, Context, Network, tool
from celeriac.errors import ConfigError, ModelError
from celeriac.testing import Harness, ScriptedModel, call


class Triage(BaseModel):
    """What an agent says of a ticket."""

    category: Literal["bug", "question"]
    urgency: int
    since: date | None = None


GOOD = '{"category": "bug", "urgency": 3, "since": "2026-01-31"}'
BAD = '{"category": "other", "urgency": "high"}'


async def test_the_reply_comes_back_as_the_type() -> None:
    model = ScriptedModel([GOOD])
    result = await Agent("Triage", output=Triage, model=model).run("It crashes")
    assert result.output == Triage(category="bug", urgency=3, since=date(2026, 1, 31))
    asked = model.requests[0].output
    assert asked is not None and set(asked.schema["properties"]) == {"category", "urgency", "since"}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(list[int], '{"value": [1, 2]}', [1, 2]), (int, '{"value": 7}', 7), (dict[str, int], '{"a": 1}', {"a": 1})],
)
async def test_what_is_no_object_is_wrapped_for_the_model(kind: Any, text: str, value: Any) -> None:
    model = ScriptedModel([text])
    result = await Agent("a", output=kind, model=model).run("go")
    assert result.output == value
    assert model.requests[0].output is not None and model.requests[0].output.schema["type"] == "object"


async def test_a_reply_that_does_not_fit_goes_back_with_what_is_wrong() -> None:
    model = ScriptedModel([BAD, GOOD])
    result = await Agent("a", output=Triage, model=model, max_iter=1).run("It crashes")
    assert result.output.urgency == 3 and result.usage.model_calls == 2
    told = model.requests[1].messages[-1]
    assert told.role == "user" and "urgency" in told.text and "high" not in told.text


async def test_a_reply_that_never_fits_is_an_error_of_its_own_kind() -> None:
    with pytest.raises(ModelError, match="category") as caught:
        await Agent("a", output=Triage, model=ScriptedModel([BAD, BAD]), max_iter=2).run("go")
    assert caught.value.kind == "output"


async def test_tools_may_be_called_before_the_answer() -> None:
    @tool
    def read() -> str:
        """Read the ticket."""
        return "crash"

    result = await Agent("a", output=Triage, tools=[read], model=ScriptedModel([call("read"), GOOD])).run("go")
    assert result.output.category == "bug" and result.tool_results[0].data == "crash"


@tool
async def rest(ctx: Context) -> None:
    """Wait."""
    await ctx.step.sleep("rest", "1h")


def then_rest(seen: list[Any]) -> Network[Any]:
    """Return a network whose second turn parks; its router notes what it sees of the first one's answer."""

    def router(ctx: Context) -> str | None:
        seen.extend(result.output for result in ctx.network.results)
        return ["triage", "rest", None][ctx.network.call_count]

    return Network("N", agents=[Agent("triage", output=Triage), Agent("rest", tools=[rest])], router=router)


async def test_a_remembered_answer_has_its_type_again() -> None:
    app = App("typed", default_model="openai:gpt-4.1-mini")
    seen: list[Any] = []

    @app.function(on="go")
    async def work(ctx: Context) -> int:
        run = await then_rest(seen).run("go")
        return int(run.results[0].output.urgency)

    async with Harness(app, ScriptedModel([GOOD, call("rest")])) as h:
        [run] = await h.send("go")
        await h.restart()
        await h.advance("1h")
        assert h.run(run.id).output == 3
    assert len(seen) == 3 and seen[0] == seen[1] and isinstance(seen[1], Triage)


def test_a_type_without_a_schema_is_refused_where_it_is_declared() -> None:
    with pytest.raises(ConfigError, match="has no JSON schema"):
        Agent("a", output=type("Odd", (), {}))
