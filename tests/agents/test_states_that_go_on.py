"""States that are written down, read back and given to another run."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from celeriac import Agent, App, Context, Message, Network, SqlHistory, State, tool
from celeriac.testing import Harness, ScriptedModel, call

MODEL = "openai:gpt-4.1-mini"


class Plan(BaseModel):
    steps: set[str] = set()
    deep: dict[str, list[int]] = {"n": []}


class Verdict(BaseModel):
    good: bool
    why: str


@tool
def add(ctx: Context[Plan], step: str) -> None:
    """Add a step."""
    ctx.state.data.steps.add(step)
    ctx.state.data.deep["n"].append(1)


def once(ctx: Context[Any]) -> str | None:
    return None if ctx.network.call_count else "a"


def network(**options: Any) -> Network[Plan]:
    return Network[Plan]("N", agents=[Agent("a", tools=[add], **options)], state=Plan, router=once, default_model=MODEL)


async def test_a_run_that_resumes_a_written_state_has_its_data_messages_results_and_thread() -> None:
    begun = State(Plan(steps={"dig"}), messages=[Message.user("Before", id="m0")], thread_id="t-resume")
    desk = Network[Plan](
        "N", agents=[Agent("a", tools=[add])], state=Plan, router=once, default_model=MODEL, history=SqlHistory()
    )
    first = await desk.run("First", state=begun, model=ScriptedModel([call("add", step="fill")]))
    model = ScriptedModel(["done"])
    second = await desk.run("Second", state=State.from_json(first.state.to_json(), Plan), model=model)
    assert second.state.data == Plan(steps={"dig", "fill"}, deep={"n": [1]})
    assert second.state.messages == begun.messages
    assert second.state.thread_id == "t-resume"
    assert second.state.results[:2] == first.state.results
    said = [(message.role, message.text) for message in model.requests[0].messages]
    assert said == [("user", "Before"), ("user", "First"), ("assistant", ""), ("tool", ""), ("user", "Second")]


async def test_a_typed_answer_survives_being_written_down() -> None:
    typed = network(output=Verdict)
    first = await typed.run("First", model=ScriptedModel(['{"good": true, "why": "short"}']))
    read = State.from_json(first.state.to_json(), Plan)
    assert read.results[1].output == {"good": True, "why": "short"}
    second = await typed.run("Second", state=read, model=ScriptedModel(['{"good": false, "why": "long"}']))
    assert [result.output for result in second.state.results] == [
        "First",
        Verdict(good=True, why="short"),
        "Second",
        Verdict(good=False, why="long"),
    ]


async def test_an_answer_that_no_longer_fits_its_agents_type_stays_as_it_was_written() -> None:
    first = await network().run("First", model=ScriptedModel(["just words"]))
    second = await network(output=Verdict).run(
        "Second", state=first.state, model=ScriptedModel(['{"good": false, "why": "long"}'])
    )
    assert [result.output for result in second.state.results] == [
        "First",
        "just words",
        "Second",
        Verdict(good=False, why="long"),
    ]


async def test_two_runs_that_are_given_one_state_share_nothing_and_leave_it_as_it_was() -> None:
    given = State(Plan())
    runs = await asyncio.gather(
        *(network().run("go", state=given, model=ScriptedModel([call("add", step=step)])) for step in ("dig", "fill"))
    )
    assert [run.state.data.steps for run in runs] == [{"dig"}, {"fill"}]
    assert [run.state.data.deep for run in runs] == [{"n": [1]}, {"n": [1]}]
    assert (given.data, given.results) == (Plan(), [])


async def test_what_a_run_is_told_has_the_same_id_and_time_on_each_replay() -> None:
    """W7: a text that nobody gave an id is given one by its place in its run."""
    app, told = App("replays"), []

    @app.function(on="go")
    async def go(ctx: Context[Any]) -> None:
        for said in ("One", Message.user("Two")):
            run = await network().run(said)
            told.append((run.input.text, run.input.id, run.input.created_at))
        await ctx.step.sleep("nap", "1h")

    async with Harness(app, ScriptedModel(["one", "two"])) as h:
        [run] = await h.send("go", {})
        await h.restart()
        await h.advance("1h")
        assert h.run(run.id).status == "completed"
    assert len(told) > 2 and len(set(told)) == 2, told
    assert len({id for _, id, _ in told}) == 2
    assert all(isinstance(moment, datetime) for _, _, moment in told)
