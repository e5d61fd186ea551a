"""The support desk of two banks as an app: `celeriac worker examples.bank_support.app:app`.

Each bank is a tenant. A ticket is an event; it starts one durable run, which remembers the customer from earlier
tickets and writes its own memory in the background.
"""

from __future__ import annotations

import os
from typing import Any

from pydantic import BaseModel, Field

from celeriac import App, Context, Memory, NonRetriableError, anthropic, openai
from celeriac.types import Model
from examples.bank_support import customers
from examples.bank_support.desk import Case, desk
from examples.bank_support.effects import note

#: each bank has its own provider; BANK_SUPPORT_MODEL ("openai:gpt-4.1") replaces both
MODELS: dict[str, Model] = {
    "Northwind Bank": openai("gpt-4.1-mini"),
    "Harbour Bank": anthropic("claude-haiku-4-5", max_tokens=1000),
}


class TicketOpened(BaseModel):
    """A customer wrote to the bank."""

    ticket_id: str = Field(min_length=1, examples=["T-1"])
    customer_id: str = Field(min_length=1, examples=["nw-1001"])
    text: str = Field(min_length=1, examples=["My card has not arrived yet, where is it?"])


class CardBlockDecided(BaseModel):
    """Somebody decided whether the cards of a ticket's customer are blocked."""

    ticket_id: str = Field(min_length=1)
    approved: bool
    reason: str = ""


app = App("bank-support", memory=Memory(user="event.data.customer_id"))
app.event("support/ticket.opened", TicketOpened)
app.event("support/card.block.decided", CardBlockDecided)


@app.function("solve-ticket", on="support/ticket.opened")
async def solve_ticket(ctx: Context, ticket_id: str, customer_id: str, text: str) -> dict[str, Any]:
    """Answer a customer's ticket, and remember what it was about."""

    def load() -> customers.Customer:
        note(ctx, "load-customer")
        customer = customers.load_customer(customer_id)
        if customer is None:
            raise NonRetriableError(f"Ticket {ticket_id!r}: there is no customer {customer_id!r}")
        return customer

    async def recall() -> list[str]:
        note(ctx, "recall")
        return [memory.text for memory in await ctx.memory.search(text, limit=3)]

    customer = await ctx.step.run("load-customer", load)
    remembered = await ctx.step.run("recall", recall)
    run = await desk.run(
        text, state=Case(customer=customer["name"], remembered=remembered), model=model_of(customer["bank"])
    )
    case = run.state.data
    if case.intent is None or case.reply is None:
        raise NonRetriableError(f"Ticket {ticket_id!r} has no reply after {run.call_count} turns")
    statement = f"Asked about {case.intent.replace('_', ' ')}: {text}"
    await ctx.step.send_event(
        "remember", "bank-support/memory-create", {"statements": [statement], "user_id": customer_id}
    )
    return {"intent": case.intent, "block": case.block, "reply": case.reply, "stop_reason": run.stop_reason}


def model_of(bank: str) -> Model | str:
    """The model that a bank's desk works with."""
    return os.environ.get("BANK_SUPPORT_MODEL") or MODELS[bank]
