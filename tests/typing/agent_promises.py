"""What mypy knows of agents: their state, their output, and what belongs to another state.

Nothing here is executed; see `promises.py`.
"""

from __future__ import annotations

from typing import Any, Literal, assert_type

from pydantic import BaseModel

from celeriac import (
    Agent,
    AgentResult,
    Context,
    History,
    McpServer,
    Network,
    NetworkRun,
    Prompt,
    RoutingAgent,
    State,
    Tool,
    tool,
)
from celeriac.platform.agents.streaming import Streaming
from celeriac.testing import ScriptedModel


class Plan(BaseModel):
    """A state."""

    plan: list[str] = []


class Cart(BaseModel):
    """Another state."""

    total: int = 0


class Triage(BaseModel):
    """An output."""

    category: Literal["bug", "question"]


@tool
def write_plan(ctx: Context[Plan], step: str) -> int:
    """Write a step."""
    assert_type(ctx.network.state.data.plan, list[str])
    return len(ctx.state.data.plan)


@tool(retries=1)
async def charge(ctx: Context[Cart], amount: int) -> None:
    """Charge."""
    ctx.state.data.total += amount


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@tool
async def look_up(ctx: Context, word: str) -> str:
    """Look a word up."""
    return word


assert_type(add(1, 2), int)
add("1", 2)  # type: ignore[arg-type]
bare: list[Tool] = [add, write_plan, charge, look_up]

# -- the output: what `output=` says, a text without it ------------------------------------------------------------

plain = Agent("Plain", tools=[add])
triage = Agent("Triage", output=Triage)
both = Agent[Plan, Triage]("Both", output=Triage, tools=[write_plan, add, McpServer("files", "https://x.test")])
one = Agent[Plan]("One", output=Triage)
numbers = Agent("Numbers", output=list[int])
either = Agent("Either", output=int | str)
assert_type(triage, Agent[Any, Triage])
assert_type(both, Agent[Plan, Triage])
assert_type(one, Agent[Plan, Any])
assert_type(numbers, Agent[Any, list[int]])
assert_type(either, Agent[Any, Any])
assert_type(triage.replace(description="Sorts"), Agent[Any, Triage])
# what mypy cannot tell from an output that no type can name: correct at run time, and unchecked
assert_type(Agent[Plan, Triage]("Other", output=Cart), Agent[Plan, Any])


async def outputs() -> None:
    """Read what agents answer."""
    assert_type((await plain.run("go")).output, str)
    assert_type((await triage.run("go")).output, Triage)
    assert_type((await triage.run("go")).output.category, Literal["bug", "question"])
    assert_type(triage.run_sync("go"), AgentResult[Triage])
    (await triage.run("go")).output.urgency  # type: ignore[attr-defined]
    assert_type(triage.stream("go"), Streaming[AgentResult[Triage]])
    await both.run("go", state=Plan())
    await both.run("go", state=State(Plan()))
    await both.run("go", state=Cart())  # type: ignore[arg-type]


# -- the state: said once where an object is made, and everything in it is checked ----------------------------------


def on_start(ctx: Context[Plan], prompt: Prompt) -> None:
    """Change the prompt."""
    prompt.system = ctx.state.data.plan[0]


async def on_start_async(ctx: Context[Plan], prompt: Prompt) -> Prompt:
    """Return the prompt."""
    return prompt


def on_cart(ctx: Context[Cart], prompt: Prompt) -> None:
    """Belong to another state."""


def after_cart(ctx: Context[Cart], result: AgentResult[Any]) -> None:
    """Belong to another state."""


def anywhere(ctx: Context, result: AgentResult[Any]) -> AgentResult[Any]:
    """Belong to any state."""
    return result


def system() -> str:
    """Take nothing."""
    return "Plan."


class CartHistory(History[Cart]):
    """Belongs to another state."""


Agent[Plan]("a", on_start=on_start, on_response=anywhere, on_tools=anywhere, on_finish=anywhere)
Agent[Plan]("a", on_start=on_start_async, system=system, tools=[write_plan, add, look_up, both.as_tool()])
Agent[Plan]("a", system=lambda ctx: ", ".join(ctx.state.data.plan), enabled=lambda ctx: bool(ctx.state.data.plan))
Agent[Plan]("a", on_finish=lambda ctx, result: ctx.state.data.plan.append(result.text))
Agent[Plan]("a", on_error=lambda ctx, error: f"{error} after {len(ctx.state.data.plan)} steps")
Agent[Plan]("a", system=lambda ctx: ctx.state.data.paln)  # type: ignore[attr-defined]
Agent[Plan]("a", enabled=lambda ctx: bool(ctx.state.data.paln))  # type: ignore[attr-defined]
Agent[Plan]("a", on_finish=lambda ctx, result: ctx.state.data.paln)  # type: ignore[attr-defined]
Agent[Plan]("a", tools=[charge])  # type: ignore[list-item]
Agent[Plan]("a", on_start=on_cart)  # type: ignore[arg-type]
Agent[Plan]("a", on_response=after_cart)  # type: ignore[arg-type]
Agent[Plan]("a", on_tools=after_cart)  # type: ignore[arg-type]
Agent[Plan]("a", on_finish=after_cart)  # type: ignore[arg-type]
Agent[Plan]("a", history=CartHistory())  # type: ignore[arg-type]
Agent("a", tools=[write_plan], on_start=on_cart)  # type: ignore[arg-type]
Agent("a", on_start=lambda ctx: None)  # type: ignore[arg-type, misc]
Agent("a", max_itr=3)  # type: ignore[call-overload]

audited: dict[str, Any] = {"on_response": anywhere, "on_finish": anywhere}
Agent[Plan]("a", description="Shares its hooks", **audited)

planner, cashier, anybody = Agent[Plan]("Planner"), Agent[Cart]("Cashier"), Agent("Anybody")


def by_plan(ctx: Context[Plan]) -> Agent[Plan] | str | None:
    """Route."""
    return planner if ctx.network.state.data.plan else None


async def by_plan_async(ctx: Context[Plan]) -> Agent[Plan]:
    """Route."""
    return planner


def by_cart(ctx: Context[Cart]) -> None:
    """Route by another state."""


def on_route(ctx: Context[Plan], result: AgentResult[Any]) -> str | None:
    """Read a choice."""
    return result.text or None


assert_type(Network("n", agents=[planner], state=Plan), Network[Plan])
Network[Plan]("n", agents=[planner, anybody, both], state=Plan, router=by_plan)
Network[Plan]("n", agents=[planner], state=Plan, router=by_plan_async)
Network[Plan]("n", agents=[planner], state=lambda: Plan(), router=lambda ctx: planner)
Network[Plan]("n", agents=[planner], router=lambda ctx: planner if ctx.state.data.plan else None)
Network[Plan]("n", agents=[planner], router=RoutingAgent[Plan](tools=[write_plan], on_route=on_route))
Network[Plan]("n", agents=[planner], router=lambda ctx: ctx.state.data.paln)  # type: ignore[attr-defined]
Network[Plan]("n", agents=[planner], router=by_cart)  # type: ignore[arg-type]
Network[Plan]("n", agents=[planner, cashier], router=by_plan)  # type: ignore[list-item]
Network[Plan]("n", agents=[planner], router=RoutingAgent[Cart]())  # type: ignore[arg-type]
Network[Plan]("n", agents=[planner], router=lambda ctx: cashier)  # type: ignore[arg-type, return-value]
Network[Plan]("n", agents=[planner], state=Cart)  # type: ignore[arg-type]
Network[Plan]("n", agents=[planner], history=CartHistory())  # type: ignore[arg-type]
RoutingAgent[Cart](tools=[write_plan], on_route=on_route)  # type: ignore[arg-type, list-item]


async def runs(network: Network[Plan]) -> None:
    """Run a network."""
    run = await network.run("go", router=by_plan)
    assert_type(run, NetworkRun[Plan])
    assert_type(run.state.data.plan, list[str])
    await network.run("go", router=by_cart)  # type: ignore[arg-type]
    assert_type(network.stream("go"), Streaming[NetworkRun[Plan]])
    await network.run("go", model={"Planner": "openai:gpt-4.1"})
    await network.run("go", model={planner: "openai:gpt-4.1", "Other": ScriptedModel([])})
    await network.run("go", model={RoutingAgent[Plan]("Boss"): ScriptedModel([])})
    by_name: dict[str, ScriptedModel] = {"Planner": ScriptedModel([])}
    await network.run("go", model=by_name)
    await network.run("go", model={"Planner": 1})  # type: ignore[dict-item]
