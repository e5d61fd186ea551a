"""State: typed, fresh for every run, and merged from the views of parallel calls."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, Field, computed_field

from celeriac import Agent, Context, Message, Network, Prompt, State, tool
from celeriac.errors import ConfigError
from celeriac.testing import ScriptedModel, call, calls


class Plan(BaseModel):
    steps: set[str] = Field(default_factory=set)
    due: date | None = None
    note: str = Field(default="", alias="Note")

    @computed_field
    def size(self) -> int:
        return len(self.steps)


@tool
def plan(ctx: Context[Plan], step: str) -> None:
    """Add a step to the plan."""
    ctx.state.data.steps.add(step)
    ctx.state.data.due = date(2026, 1, 2)
    ctx.state.data.note = "noted"


def once(ctx: Context) -> str | None:
    return None if ctx.network.call_count else "a"


def network_of(state: Any, *tools: Any) -> Network[Any]:
    return Network("N", agents=[Agent("a", tools=list(tools))], state=state, router=once)


async def test_a_typed_state_comes_back_through_its_type() -> None:
    run = await network_of(Plan, plan).run("go", model=ScriptedModel([call("plan", step="dig")]))
    data = run.state.data
    assert (type(data), data.steps, data.due, data.note) == (Plan, {"dig"}, date(2026, 1, 2), "noted")


async def test_every_run_has_a_state_of_its_own() -> None:
    network = network_of(Plan, plan)
    one, two = await asyncio.gather(
        *(network.run("go", id=step, model=ScriptedModel([call("plan", step=step)])) for step in ("dig", "fill"))
    )
    assert (one.state.data.steps, two.state.data.steps) == ({"dig"}, {"fill"})


async def test_without_a_type_the_state_is_a_dict() -> None:
    @tool
    def count(ctx: Context) -> None:
        """Count."""
        ctx.state.data["n"] = ctx.state.data.get("n", 0) + 1

    run = await network_of(None, count).run("go", model=ScriptedModel([call("count")]))
    assert run.state.data == {"n": 1}


@dataclass
class Basket:
    owner: str
    items: list[str] = field(default_factory=list)


async def test_a_factory_makes_the_state_of_each_run() -> None:
    network = network_of(lambda: Basket("ann"))
    run = await network.run("go", model=ScriptedModel(["ok"]))
    assert run.state.data == Basket("ann")


async def test_a_type_with_required_fields_needs_a_state_for_the_run() -> None:
    with pytest.raises(ConfigError, match=r"needs run\(state=…\)"):
        await network_of(Basket).run("go", model=ScriptedModel([]))
    run = await network_of(Basket).run("go", state=Basket("bob"), model=ScriptedModel(["ok"]))
    assert run.state.data.owner == "bob"


async def test_data_given_to_a_run_is_checked_and_never_changed() -> None:
    @tool
    def take(ctx: Context[Basket], item: str) -> None:
        """Take."""
        ctx.state.data.items.append(item)

    mine = Basket("ann")
    run = await network_of(Basket, take).run("go", state=mine, model=ScriptedModel([call("take", item="egg")]))
    assert (run.state.data.items, mine.items) == (["egg"], [])
    with pytest.raises(ConfigError, match="does not fit"):
        await network_of(Basket).run("go", state="nonsense", model=ScriptedModel([]))


async def test_an_agent_alone_takes_typed_data_too() -> None:
    agent = Agent("a", tools=[plan], model=ScriptedModel([call("plan", step="dig"), "done"]))
    result = await agent.run("go", state=Plan())
    assert (result.tool_results[0].error, result.text) == (None, "done")


def test_a_state_is_written_as_json_and_read_back() -> None:
    state = State(Plan(steps={"dig"}, Note="n"), messages=[Message.user("Hi", id="m1")], thread_id="t")
    again = State.from_json(state.to_json(), Plan)
    assert (again.data, again.thread_id) == (state.data, "t")
    assert again.messages == state.messages and again.history() == state.messages


@tool
async def add(ctx: Context, n: int) -> None:
    """Add to the sum, and list what was added."""
    ctx.network.state.data["sum"] += n
    ctx.state.data["added"].append(n)
    ctx.state.data["by"][str(n)] = True


async def test_parallel_calls_merge_and_a_value_set_twice_is_the_later_calls(caplog: pytest.LogCaptureFixture) -> None:
    start = {"sum": 1, "added": [], "by": {}}
    model = ScriptedModel([calls(call("add", n=10), call("add", n=20))])
    run = await network_of(None, add).run("go", state=start, model=model)
    assert run.state.data == {"sum": 21, "added": [10, 20], "by": {"10": True, "20": True}}
    assert [r.levelno for r in caplog.records if "later call won" in r.getMessage()] == [logging.WARNING]


async def test_changes_deep_inside_untyped_data_are_kept() -> None:
    @tool
    def tick(ctx: Context) -> None:
        """Tick off."""
        ctx.state.data["lists"][0]["done"].append(ctx.state.data["lists"][0]["open"].pop())

    start = {"lists": [{"open": ["egg", "milk"], "done": []}]}
    run = await network_of(None, tick).run("go", state=start, model=ScriptedModel([call("tick")]))
    assert run.state.data == {"lists": [{"open": ["egg"], "done": ["milk"]}]}


class Count(BaseModel):
    """What counts."""

    number: int = 0


@pytest.mark.parametrize(("value", "words"), [("many", "number: Input should be"), (object(), "is no JSON")])
async def test_a_tool_that_breaks_the_state_tells_the_model_and_changes_nothing(value: Any, words: str) -> None:
    @tool
    def miscount(ctx: Context[Count]) -> None:
        """Count."""
        ctx.state.data.number = value

    agent = Agent("a", tools=[miscount])
    network = Network("N", agents=[agent], state=Count, router=lambda ctx: None if ctx.network.call_count else "a")
    run = await network.run("go", model=ScriptedModel([call("miscount")]))
    error = run.results[0].tool_results[0].error
    assert error is not None and words in error["message"]
    assert run.state.data == Count()


async def test_a_hook_that_breaks_the_state_fails_its_turn_by_name() -> None:
    def miscount(ctx: Context[Count], prompt: Prompt) -> None:
        ctx.state.data.number = "many"  # type: ignore[assignment]

    agents = [Agent("a", on_start=miscount)]
    network = Network("N", agents=agents, state=Count, router=lambda ctx: None if ctx.network.call_count else "a")
    with pytest.raises(ConfigError, match="state of network 'N' does not fit its type: number"):
        await network.run("go", model=ScriptedModel(["x"]))


async def test_a_tool_that_fails_changes_nothing() -> None:
    @tool
    def breaks(ctx: Context) -> None:
        """Change and break."""
        ctx.state.data["n"] = 1
        raise ValueError("no")

    run = await network_of(None, breaks).run("go", model=ScriptedModel([call("breaks")]))
    assert run.state.data == {}
