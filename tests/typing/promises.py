"""What mypy knows of the public names: `assert_type` for what it must infer, an ignored error for what it must refuse.

Nothing here is executed. An `ignore` that hides no error is an error itself, so that every wrong line stays wrong.
"""

from __future__ import annotations

from typing import Any, assert_type

from pydantic import BaseModel

from celeriac import (
    Agent,
    AgentResult,
    App,
    Batch,
    Context,
    Cron,
    Debounce,
    Event,
    Network,
    NetworkRun,
    Run,
    State,
    Trigger,
    tool,
)
from celeriac.testing import Harness, ScriptedModel


class Plan(BaseModel):
    """A state."""

    plan: list[str] = []


class Cart(BaseModel):
    """Another state."""

    total: int = 0


app = App("typing")


@tool
def write_plan(ctx: Context[Plan], step: str) -> int:
    """Write a step."""
    assert_type(ctx.state, State[Plan])
    assert_type(ctx.state.data.plan, list[str])
    assert_type(ctx.network, NetworkRun[Plan])
    assert_type(ctx.agent, Agent[Plan, Any])
    ctx.state.data.paln  # type: ignore[attr-defined]
    return len(ctx.state.data.plan)


planner = Agent[Plan]("Planner", tools=[write_plan])
cashier = Agent[Cart]("Cashier")
anybody = Agent("Anybody")


def by_state(ctx: Context[Plan]) -> Agent[Plan] | None:
    """Route by the plan."""
    return planner if ctx.state.data.plan else None


network = Network[Plan]("Planning", agents=[planner], state=Plan, router=by_state)
Network[Plan]("Mixed", agents=[planner, cashier], router=by_state)  # type: ignore[list-item]
Network[Plan]("Other", agents=[planner], state=Cart, router=by_state)  # type: ignore[arg-type]
Agent("a", tolls=[write_plan])  # type: ignore[call-overload]
Agent("a", tools=[len])  # type: ignore[list-item]
Network("n", agents=[anybody], max_iter="3", router=lambda ctx: None)  # type: ignore[arg-type]


def a_tool_is_still_its_function(ctx: Context[Plan]) -> None:
    """Call a tool."""
    assert_type(write_plan(ctx, "dig"), int)
    write_plan(ctx, 1)  # type: ignore[arg-type]
    write_plan(ctx)  # type: ignore[call-arg]


async def load(id: str, times: int = 1) -> Cart:
    """Load a cart."""
    return Cart(total=times)


def count(id: str) -> int:
    """Count."""
    return len(id)


@app.function(on="shop/opened")
async def shop(ctx: Context, cart_id: str) -> dict[str, int]:
    """Use every verb of the step."""
    assert_type(await ctx.step.run("load", load, cart_id, 2), Cart)
    assert_type(await ctx.step.run("count", count, cart_id), int)
    assert_type(await ctx.step.run("made", lambda: 1), int)
    await ctx.step.run("load", load, 7)  # type: ignore[arg-type]
    await ctx.step.run("count", count)  # type: ignore[call-arg, arg-type]
    await ctx.step.run(load, cart_id)  # type: ignore[call-overload]
    ctx.step.run("forgotten", count, cart_id)  # type: ignore[unused-awaitable]
    assert_type(await ctx.step.wait_for_event("paid", "shop/paid", timeout="1h"), Event | None)
    await ctx.step.wait_for_event("paid", "shop/paid")  # type: ignore[call-arg]
    assert_type(await ctx.step.send_event("tell", "shop/closed", {"id": cart_id}), list[str])
    assert_type((await ctx.step.ai.infer("ask", "openai:gpt-4.1", "Why?")).text, str)
    assert_type((await ctx.step.ai.infer("ask", "openai:gpt-4.1", "Why?")).output, str)
    assert_type((await ctx.step.ai.infer("ask", "openai:gpt-4.1", "Why?", output=Plan)).output, Plan)
    assert_type((await ctx.step.ai.infer("ask", "openai:gpt-4.1", "Why?", output=list[int])).output, list[int])
    assert_type((await ctx.step.ai.infer("ask", "openai:gpt-4.1", "Why?", tools=[write_plan])).tool_calls[0].name, str)
    await ctx.step.ai.infer("ask", "openai:gpt-4.1", 7)  # type: ignore[call-overload]
    return {}


@app.function()
async def total(ctx: Context, cart_id: str) -> Cart:
    """Be invoked."""
    return Cart()


@app.function(on="shop/closed")
async def close(ctx: Context) -> None:
    """Use the verbs that have to do with other runs, and those that race."""
    assert_type(await ctx.step.invoke("total", total, {"cart_id": "7"}), Cart)
    assert_type(await ctx.step.invoke("total", "typing/total", timeout="1h"), Any)
    assert_type(await ctx.step.invoke("planning", app.network(network)), Any)
    await ctx.step.invoke("total", load)  # type: ignore[call-overload]
    ctx.step.invoke("forgotten", total)  # type: ignore[unused-awaitable]
    assert_type(await ctx.step.wait_for_signal("go", "go:7", timeout="1d"), Any)
    await ctx.step.wait_for_signal("go", "go:7")  # type: ignore[call-arg]
    assert_type(await ctx.step.send_signal("go", "go:8", {"n": 1}), bool)
    await ctx.step.wait_for_event("paid", "shop/paid", timeout="1h", if_="async.data.n > 1", since="5m")
    await ctx.step.defer("later", total, {"cart_id": "7"})
    assert_type(await ctx.step.ai.wrap("ask", load, "x", 2), Cart)
    assert_type(await ctx.step.ai.wrap("ask", count, "x"), int)
    await ctx.step.ai.wrap("ask", count, 7)  # type: ignore[arg-type]
    reply = await ctx.step.fetch("page", "https://example.org", headers={"Accept": "text/html"})
    assert_type(reply.status, int)
    assert_type(reply.text, str)
    winner, value = await ctx.step.race(a=ctx.step.run("a", count, "x"), b=ctx.step.run("b", count, "y"))
    assert_type(winner, str)
    assert_type(value, int)
    await ctx.step.race(a=1)  # type: ignore[arg-type]


async def runs() -> None:
    """Run agents, networks and functions."""
    run = await network.run("go")
    assert_type(run, NetworkRun[Plan])
    assert_type(run.state.data, Plan)
    assert_type((await anybody.run("go")), AgentResult[str])
    assert_type((await anybody.run("go")).output, str)
    await network.run("go", state=Plan())
    await network.run("go", state=Cart())  # type: ignore[arg-type]
    await network.run("go", model=ScriptedModel(["x"]))
    await network.run("go", model=7)  # type: ignore[arg-type]
    async with Harness(app) as h:
        assert_type((await h.send("shop/opened"))[0].output, Any)


app.function(on=[Trigger("a", if_="event.data.n > 1"), Cron("0 6 * * *"), "b"], debounce=Debounce("1s"), timeout="1h")
app.function(debounce="1s")  # type: ignore[arg-type]
app.network(network, batch=Batch(2, timeout=1))  # type: ignore[call-arg]
assert_type(app.start(shop, {"cart_id": "c"}), Run)
assert_type(app.wait("run_1", timeout="10s"), Run)
assert_type(app.signal("go"), bool)
assert_type(app.approve("run_1", "call_1", approved=False, reason="Too much", by="Ada"), bool)


class Search(BaseModel):
    """The parameters of a tool as a whole."""

    words: str


@tool(parameters=Search, approval=lambda ctx, input: True, timeout="30s", on_finish=lambda ctx, result: result)
def find(ctx: Context[Plan], search: Search) -> list[str]:
    """Find."""
    return [search.words]


assert_type(find(Context[Plan].__new__(Context), Search(words="tea")), list[str])
Agent("Finder", tools=[find, shop, cashier.as_tool()])  # a durable function is a tool as it is
Agent[Plan]("Finder", tools=[find, shop])
Agent[Cart]("Finder", tools=[find])  # type: ignore[list-item]
Agent("Finder", tools=[lambda text: text])  # type: ignore[list-item]
tool(aproval=True)  # type: ignore[call-overload]
app.function(retires=2)  # type: ignore[call-arg]
app.function(links="step")  # type: ignore[arg-type]
