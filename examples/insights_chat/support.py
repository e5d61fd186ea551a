"""Customer support by a hybrid router: code lets an agent go on with what its tools brought, a model chooses at first.

A refund is paid when a person has approved it, and not before.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from celeriac import Agent, AgentResult, Context, Network, RoutingAgent, SqlHistory, openai, tool


class Desk(BaseModel):
    """What the agents share. Whose account it is comes from the function, never from a model."""

    user_id: str = ""
    #: what the router's model decided, for whoever looks at it later
    routing: list[str] = []


@tool
def check_subscription(ctx: Context[Desk]) -> dict[str, str]:
    """Look up the customer's subscription."""
    return {"user_id": ctx.state.data.user_id, "plan": "pro", "renews": "2026-04-01"}


@tool
def get_invoice_history(ctx: Context[Desk], limit: int | None = None) -> list[dict[str, Any]]:
    """List the customer's invoices, newest first."""
    invoices = [{"number": "2026-03", "amount": 20.0}, {"number": "2026-03b", "amount": 20.0}]
    return invoices[:limit]


@tool(approval=True)
async def process_refund(
    ctx: Context[Desk], amount: Annotated[float, Field(gt=0, le=500)], reason: str
) -> dict[str, Any]:
    """Pay money back to the customer. A person has to approve it."""
    return await ctx.step.run("pay", pay, ctx.state.data.user_id, amount)


@tool
def check_system_status(component: Literal["api", "dashboard", "billing"]) -> dict[str, str]:
    """Look up how a component of the product is."""
    return {"component": component, "status": "degraded" if component == "api" else "operational"}


@tool
def create_support_ticket(
    title: str,
    description: str,
    priority: Literal["low", "medium", "high"],
    category: Literal["technical", "account", "other"],
) -> dict[str, str]:
    """Open a ticket for the engineers."""
    return {"ticket": "S-1", "title": title, "priority": priority, "category": category}


@tool
def search_knowledge_base(query: str, limit: int = 3) -> list[str]:
    """Search the articles of the help centre."""
    articles = ["Slow API: requests are queued while the API is degraded; send them again after a minute."]
    return [one for one in articles if any(word in one.lower() for word in query.lower().split())][:limit]


async def pay(user_id: str, amount: float) -> dict[str, Any]:
    """Stand for the payment provider."""
    return {"refunded": amount, "to": user_id}


billing = Agent[Desk](
    "Billing Support",
    description="Subscriptions, invoices and refunds",
    system="You help customers with money. Look up the subscription before you refund anything.",
    tools=[check_subscription, process_refund, get_invoice_history],
)
technical = Agent[Desk](
    "Technical Support",
    description="Outages, errors and how things work",
    system="You help customers with technical problems. Look at the status before you open a ticket.",
    tools=[check_system_status, create_support_ticket, search_knowledge_base],
)


def note_decision(ctx: Context[Desk], result: AgentResult[str]) -> None:
    """Keep what was decided."""
    ctx.state.data.routing += [f"{made.name} {made.input.get('name', '')}".strip() for made in result.tool_calls]


chooser = RoutingAgent[Desk](on_response=note_decision)


def hybrid(ctx: Context[Desk]) -> Agent[Desk] | None:
    """Ask the model who begins; an agent that called tools goes on, one that has answered is the last."""
    last = ctx.network.last_result
    if last is None:
        return chooser
    return ctx.network.agents[last.agent] if last.tool_calls else None


customer_support = Network[Desk](
    "Customer support",
    agents=[billing, technical],
    state=Desk,
    router=hybrid,
    default_model=openai("gpt-4.1-mini"),
    max_iter=10,
    history=SqlHistory(),
)
