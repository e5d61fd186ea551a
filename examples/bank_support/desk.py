"""The desk: agents that solve a ticket together. *Triage* says what the customer wants, a specialist answers.

The router is plain code, so a ticket costs three model calls: `classify`, `look_up_policy`, `reply_to_customer`. Where
cards may have to be blocked it costs one more, and a person decides in between.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from celeriac import Agent, Context, Network, Tool, ToolError, openai, tool
from examples.bank_support.briefing import Briefing
from examples.bank_support.effects import note
from examples.bank_support.policies import intents, needs_approval, policy_of, specialist_of


class Case(BaseModel):
    """What is known of a ticket. The agents share it, and it survives every crash."""

    customer: str | None = None
    remembered: list[str] = []
    intent: str | None = None
    #: what a person decided about blocking the cards; None where nobody was asked
    block: Literal["approved", "denied", "undecided"] | None = None
    policy: str | None = None
    reply: str | None = None


# -- tools ------------------------------------------------------------------------------------------------------------


@tool
def classify(ctx: Context[Case], intent: str) -> str:
    """Say what the customer wants: the one intent that fits best."""
    note(ctx, "classify")
    desk = specialist_of(intent)  # an unknown intent goes back to the model, with the closest one
    ctx.state.data.intent = intent
    return desk


@tool
async def ask_for_card_block(ctx: Context[Case], reason: str) -> dict[str, Any]:
    """Ask a colleague whether the customer's cards shall be blocked. It may take hours."""
    note(ctx, "ask_for_card_block")
    if not ctx.step.durable:
        ctx.state.data.block = "undecided"
        return {"approved": None, "reason": "nobody can be asked in a plain script"}
    decision = await ctx.step.wait_for_event(
        "decision", "support/card.block.decided", match="data.ticket_id", timeout="4h"
    )
    if decision is None:
        ctx.state.data.block = "undecided"
        return {"approved": None, "reason": "nobody decided within 4 hours"}
    ctx.state.data.block = "approved" if decision.data["approved"] else "denied"
    return {"approved": decision.data["approved"], "reason": decision.data.get("reason", "")}


@tool
def look_up_policy(ctx: Context[Case], intent: str) -> str:
    """Look up what the bank promises in such a case."""
    note(ctx, "look_up_policy")
    ctx.state.data.policy = policy_of(intent)
    return ctx.state.data.policy


@tool
def reply_to_customer(ctx: Context[Case], message: str) -> None:
    """Send the customer the answer, which quotes the policy. This closes the ticket."""
    note(ctx, "reply_to_customer")
    case = ctx.state.data
    if needs_approval(case.intent or "") and case.block is None:
        raise ToolError("A colleague has to decide first: call ask_for_card_block")
    if case.policy is None:
        raise ToolError("The answer has to quote the policy: call look_up_policy first")
    case.reply = message


# -- agents -----------------------------------------------------------------------------------------------------------


def briefed(ctx: Context[Case]) -> str:
    """What a specialist is told: the task, then the facts of the case."""
    case = ctx.state.data
    facts = Briefing(intent=case.intent, customer=case.customer, remembered=tuple(case.remembered))
    return (
        f"You are on the desk {ctx.agent.name!r} of a bank. One tool call at a time: where you can ask for a card "
        "block, and a card or phone is lost, stolen or misused, do that first; then look up the policy; then reply "
        f"to the customer in a few friendly sentences that quote the policy.\n{facts.text()}"
    )


def specialist(name: str, description: str, *, may_block: bool = False) -> Agent[Case]:
    """A desk that looks up the policy and replies; some may ask for a card block."""
    tools: list[Tool] = [look_up_policy, reply_to_customer]
    if may_block:
        tools.insert(0, ask_for_card_block)
    return Agent[Case](name, description=description, system=briefed, tools=tools, tool_choice="any")


triage = Agent[Case](
    "Triage",
    description="Finds out what the customer wants",
    system=f"Find out what the customer of a bank wants. The intents are: {', '.join(intents())}.",
    tools=[classify],
    tool_choice="classify",
)
SPECIALISTS = {
    "cards": specialist("Cards", "Cards: delivery, payments, limits, loss", may_block=True),
    "transfers": specialist("Transfers", "Transfers, top-ups, exchange rates"),
    "identity": specialist("Identity and security", "Identity, PINs, phones, compromised cards", may_block=True),
    "accounts": specialist("Accounts", "Opening, changing and closing accounts"),
}


def route(ctx: Context[Case]) -> Agent[Case] | None:
    """Triage until the intent is known, then its specialist until the customer has an answer."""
    case = ctx.state.data
    if case.reply is not None:
        return None
    return triage if case.intent is None else SPECIALISTS[specialist_of(case.intent)]


desk = Network[Case](
    "Support desk",
    agents=[triage, *SPECIALISTS.values()],
    state=Case,
    router=route,
    default_model=openai("gpt-4.1-mini"),
    max_iter=12,
)
