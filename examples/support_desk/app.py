"""Two agents and a supervisor who solve a ticket; one of them may ask a developer, and wait for hours.

As durable runs: `celeriac dev examples.support_desk.app:app`, then the event `app/support.ticket.created`, and
`app/support.ticket.developer-response` for a ticket that waits, as T125 does.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from celeriac import (
    Agent,
    AgentResult,
    App,
    Context,
    Network,
    NonRetriableError,
    RoutingAgent,
    Throttle,
    ToolError,
    openai,
    tool,
)
from examples.support_desk.records import Article, Ticket, find_ticket, search_articles, search_releases

CREATED, ANSWERED = "app/support.ticket.created", "app/support.ticket.developer-response"


class Support(BaseModel):
    """What the agents share."""

    #: what the customer was told
    reply: str | None = None


class TicketCreated(BaseModel):
    """A customer opened a ticket."""

    ticket_id: str = Field(examples=["T124"])


class DeveloperResponse(BaseModel):
    """A developer answered the question about a ticket."""

    ticket_id: str
    answer: str
    developer: str = ""


@tool
async def search_knowledge_base(ctx: Context[Support], keyword: str) -> list[Article]:
    """Search the knowledge base by one keyword."""
    return await ctx.step.run("search_knowledge_base", search_articles, keyword)


@tool
async def search_latest_release_notes(ctx: Context[Support], query: str) -> list[Article]:
    """Search the latest release notes."""
    return await ctx.step.run("search_latest_release_notes", search_releases, query)


@tool
def reply_to_customer(ctx: Context[Support], message: str) -> None:
    """Send the customer the answer to the ticket."""
    ctx.state.data.reply = message


@tool
async def ask_developer(
    ctx: Context[Support],
    question: Annotated[str, Field(description="The technical question for the developer")],
    context: Annotated[str, Field(description="What is known about the issue so far")],
) -> dict[str, str]:
    """Ask a developer about a technical issue and wait for the answer, at most four hours."""
    if not ctx.step.durable:
        raise ToolError("Asking a developer takes a durable run: nobody can be waited for in a plain script")
    response = await ctx.step.wait_for_event("developer.response", ANSWERED, match="data.ticket_id", timeout="4h")
    if response is None:
        raise ToolError("No developer answered in time")
    return {"developer_response": response.data["answer"], "developer": response.data.get("developer", "")}


customer_support = Agent[Support](
    "Customer Support",
    description="Helps customers with questions about their account and the product",
    system="You are a support agent who helps customers use the product. Look it up before you answer.",
    tools=[search_knowledge_base, reply_to_customer],
)
technical_support = Agent[Support](
    "Technical Support",
    description="Solves critical tickets: crashes, errors, and everything about the API",
    system="You are a technical support agent. Ask a developer where the release notes do not explain the issue.",
    tools=[search_latest_release_notes, reply_to_customer, ask_developer],
)


@tool
def route_to_agent(ctx: Context[Support], agent: str) -> str:
    """Give the ticket to the agent of this name."""
    if agent not in ctx.network.agents:
        raise ToolError(f"There is no agent {agent!r}. Agents: {', '.join(ctx.network.agents)}")
    return agent


@tool
def close_ticket() -> None:
    """End the work on the ticket: the customer has been answered."""


def on_route(ctx: Context[Support], result: AgentResult[str]) -> str | None:
    """Return the agent that the supervisor chose."""
    chosen = [one.data for one in result.tool_results if one.name == route_to_agent.name and one.error is None]
    return str(chosen[0]) if chosen else None


supervisor = RoutingAgent[Support](
    "Supervisor",
    system="You supervise a support team. Give the ticket to Customer Support, or to Technical Support if it is "
    "critical; close it once the customer has been answered.",
    tools=[close_ticket, route_to_agent],
    on_route=on_route,
)


def route(ctx: Context[Support]) -> Agent[Support] | None:
    """Let an agent that called tools see what came of it; ask the supervisor otherwise."""
    if ctx.state.data.reply is not None:
        return None
    last = ctx.network.last_result
    return ctx.network.agents[last.agent] if last is not None and last.tool_calls else supervisor


desk = Network[Support](
    "Support desk",
    agents=[customer_support, technical_support],
    state=Support,
    router=route,
    default_model=openai("gpt-4.1-mini"),
    max_iter=10,
)

app = App("support-desk")
app.event(CREATED, TicketCreated)
app.event(ANSWERED, DeveloperResponse)


@app.function(on=CREATED, retries=2, throttle=Throttle(100, per="1m"))
async def solve_ticket(ctx: Context, ticket_id: str) -> dict[str, Any]:
    """Have the desk solve a ticket."""
    ticket = await ctx.step.run("get_ticket_details", find_ticket, ticket_id)
    if ticket is None:
        raise NonRetriableError(f"There is no ticket {ticket_id!r}")
    run = await desk.run(task_of(ticket))
    return {**run.export(), "ticket": ticket.id, "answer": run.state.data.reply}


def task_of(ticket: Ticket) -> str:
    """Return what the desk is told."""
    return f"A customer has opened a ticket with the following title: {ticket.title}"
