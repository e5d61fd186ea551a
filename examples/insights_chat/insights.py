"""Three agents in order: one picks the events that a question is about, one writes SQL, one says what came of it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from celeriac import Agent, Context, Network, SqlHistory, ToolError, openai, tool
from examples.insights_chat import warehouse


class Selection(BaseModel):
    """An event that bears on the question."""

    event_name: str
    reason: str


class Insights(BaseModel):
    """What the agents share. The client may say which events it shows, and never who asks."""

    user_id: str = ""
    event_types: list[str] = list(warehouse.SCHEMAS)
    selected_events: list[Selection] = []
    sql: str | None = None
    title: str | None = None


@tool
def select_events(
    ctx: Context[Insights], events: Annotated[list[Selection], Field(min_length=1, max_length=6)]
) -> dict[str, Any]:
    """Select the events that the question is about."""
    known = ctx.state.data.event_types
    if unknown := [one.event_name for one in events if one.event_name not in known]:
        raise ToolError(f"There are no events {', '.join(unknown)}")
    ctx.state.data.selected_events = events
    return {"selected": [one.event_name for one in events], "total_candidates": len(known)}


@tool
async def generate_sql(ctx: Context[Insights], sql: str, title: str, reasoning: str) -> dict[str, Any]:
    """Write one SELECT over the table events(name, day, user_id, detail), and get its rows."""
    rows = await ctx.step.run("query", warehouse.query, sql)
    ctx.state.data.sql, ctx.state.data.title = sql, title
    return {"title": title, "rows": rows}


def matching(ctx: Context[Insights]) -> str:
    """Tell the matcher which events there are, the first fifty."""
    types = "\n".join(f"- {name}: {warehouse.SCHEMAS.get(name, '')}" for name in ctx.state.data.event_types[:50])
    return f"You pick the events that a question is about. These are there, each with what its detail says:\n{types}"


matcher = Agent[Insights](
    "Insights Event Matcher",
    description="Picks the events that a question is about",
    system=matching,
    tools=[select_events],
    tool_choice=select_events.name,
)
writer = Agent[Insights](
    "Insights Query Writer",
    description="Writes SQL",
    system="You write SQL for SQLite that answers the question from the selected events.",
    tools=[generate_sql],
    tool_choice="any",
)
summarizer = Agent[Insights](
    "Insights Summarizer",
    description="Says what the rows mean",
    system="You answer the question in two sentences from the rows that the query came back with.",
)
_ORDER = [matcher, writer, summarizer]


def in_order(ctx: Context[Insights]) -> Agent[Insights] | None:
    """Give each its turn."""
    return _ORDER[ctx.network.call_count] if ctx.network.call_count < len(_ORDER) else None


insights = Network[Insights](
    "Insights",
    agents=_ORDER,
    state=Insights,
    router=in_order,
    default_model=openai("gpt-4.1-mini"),
    max_iter=6,
    history=SqlHistory(last=50),
    client_state=["event_types"],
)
