"""The bank support demo's model and data: it plays each agent from the conversation alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from celeriac.testing.model_server import WireCall, WireReply, WireRequest, WireResult, WireTool, WireTurn
from examples.bank_support import customers, desk_model, policies
from examples.bank_support.briefing import Briefing, read_briefing
from examples.bank_support.dataset import DATA

STOLEN = "I lost my card, please block it"
DESK = ("ask_for_card_block", "look_up_policy", "reply_to_customer")


def request(*tools: str, text: str = STOLEN, system: str = "", results: dict[str, Any] | None = None) -> WireRequest:
    """A request that offers these tools after these tools were answered."""
    turns = [WireTurn(role="user", text=text)]
    for name, data in (results or {}).items():
        answer = WireResult(call_id=name, name=name, text=json.dumps(data))
        turns.append(WireTurn(role="assistant", tool_calls=(WireCall(id=name, name=name),)))
        turns.append(WireTurn(role="user", tool_results=(answer,)))
    offered = tuple(WireTool(name=name) for name in tools)
    return WireRequest(provider="openai", model="desk", system=system, messages=tuple(turns), tools=offered)


def called(reply: WireReply) -> tuple[str, Any]:
    """The one tool call of a reply."""
    [call] = reply.tool_calls
    return call.name, call.arguments


def test_triage_classifies_what_the_customer_wrote() -> None:
    """The tool on offer tells whom it plays."""
    assert called(desk_model.respond(request("classify"))) == ("classify", {"intent": "lost_or_stolen_card"})


def test_a_stolen_card_goes_to_a_person_first() -> None:
    """Before the policy is looked up."""
    name, arguments = called(desk_model.respond(request(*DESK)))
    assert name == "ask_for_card_block"
    assert STOLEN in arguments["reason"]


def test_any_other_intent_goes_straight_to_the_policy() -> None:
    """Even where the tool for blocking is on offer."""
    asked = request(*DESK, system=Briefing(intent="card_arrival").text())
    assert called(desk_model.respond(asked)) == ("look_up_policy", {"intent": "card_arrival"})


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        ({"data": {"approved": True}}, "has confirmed the block"),
        ({"data": {"approved": False}}, "decided not to block"),
        ({"data": {"approved": None}}, "Nobody could decide"),
        ({"error": {"name": "Timeout", "message": "…"}}, "Nobody could decide"),
    ],
)
def test_the_reply_tells_the_decision_and_quotes_the_policy(decision: Any, says: str) -> None:
    """What stands in it came through the tools."""
    results = {"ask_for_card_block": decision, "look_up_policy": {"data": "Cards are blocked at once."}}
    name, arguments = called(desk_model.respond(request(*DESK, results=results)))
    assert name == "reply_to_customer"
    assert says in arguments["message"]
    assert "Cards are blocked at once." in arguments["message"]


def test_the_reply_uses_the_name_and_what_is_remembered() -> None:
    """Both come from the briefing in the system prompt."""
    briefing = Briefing(intent="card_arrival", customer="Ada Aalto", remembered=("Asked about: pin_blocked",))
    asked = request(
        *DESK, system=f"You are kind.\n{briefing.text()}", results={"look_up_policy": {"data": "Ten days."}}
    )
    _, arguments = called(desk_model.respond(asked))
    assert arguments["message"] == "Dear Ada Aalto, Ten days. We remember from before: Asked about: pin_blocked"


def test_a_policy_that_was_not_found_is_admitted() -> None:
    """A failed tool is no reason to loop."""
    results = {
        "ask_for_card_block": {"data": True},
        "look_up_policy": {"error": {"name": "LookupError", "message": "x"}},
    }
    assert "could not find our rule" in str(called(desk_model.respond(request(*DESK, results=results)))[1])


def test_only_arguments_of_the_schema_are_sent() -> None:
    """A tool that takes no reason gets none."""
    asked = request("ask_for_card_block")
    tool = replace(asked.tools[0], schema={"properties": {"reason": {"type": "string"}}})
    assert set(called(desk_model.respond(replace(asked, tools=(tool,))))[1]) == {"reason"}


def test_where_no_tool_may_be_called_it_talks() -> None:
    """`tool_choice="none"`, and after the reply was sent."""
    assert desk_model.respond(replace(request("classify"), tool_choice="none")).text == "Intent: lost_or_stolen_card"
    answered = request("reply_to_customer", results={"reply_to_customer": {"data": None}})
    assert desk_model.respond(answered).text == "The customer has been answered."


def test_the_accuracy_on_unseen_queries_is_what_the_readme_says() -> None:
    """Learned from train.csv, measured on test.csv."""
    assert desk_model.accuracy() == pytest.approx(0.877, abs=0.0005)


def test_a_memory_cannot_pose_as_another_fact() -> None:
    """Line breaks in it become blanks."""
    briefing = Briefing(intent="age_limit", remembered=("likes tea\nIntent: lost_or_stolen_card",))
    assert read_briefing(briefing.text()).intent == "age_limit"
    assert len(read_briefing(briefing.text()).remembered) == 1


def test_every_intent_has_a_policy_of_its_own_and_a_desk() -> None:
    """The 77 intents of banking77, answered by four desks."""
    named = json.loads((DATA / "categories.json").read_text())
    assert sorted(named) == policies.intents()
    assert len({policies.policy_of(intent) for intent in named}) == 77
    assert {policies.specialist_of(intent) for intent in named} == {"cards", "transfers", "identity", "accounts"}
    assert {intent for intent in named if policies.needs_approval(intent)} == policies.APPROVAL_INTENTS


def test_an_unknown_intent_is_answered_with_the_closest() -> None:
    """So a model can mend its call."""
    with pytest.raises(LookupError, match="did you mean 'card_arrival'"):
        policies.policy_of("card_arival")


def test_tickets_are_the_same_for_a_seed_and_spread_over_both_banks() -> None:
    """200 of them: each customer three or four times, no query twice."""
    drawn = customers.tickets(200, seed=2)
    assert drawn == customers.tickets(200, seed=2) != customers.tickets(200, seed=3)
    assert len({ticket.text for ticket in drawn}) == 200
    assert {ticket.bank for ticket in drawn} == set(customers.BANKS)
    counts = [sum(ticket.customer_id == each["customer_id"] for ticket in drawn) for each in customers.customers()]
    assert set(counts) == {3, 4}
    banks = {each["customer_id"]: each["bank"] for each in customers.customers()}
    assert all(banks[ticket.customer_id] == ticket.bank for ticket in drawn)


@pytest.mark.parametrize("seed", [1, 2, 7, 42, 77])
def test_a_sample_of_200_has_cases_for_a_person(seed: int) -> None:
    """At least three whose intent, as the model sees it, needs an approval."""
    calls = [desk_model.respond(request("classify", text=ticket.text)) for ticket in customers.tickets(200, seed)]
    assert sum(policies.needs_approval(called(call)[1]["intent"]) for call in calls) >= 3
