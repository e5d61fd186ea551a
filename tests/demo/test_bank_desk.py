"""The bank support desk: what one ticket costs, who answers it, and what a person decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from celeriac.testing import Harness, ScriptedModel, call
from celeriac.testing.model_server import ModelServer
from examples.bank_support.app import app
from examples.bank_support.desk import Case, desk
from examples.bank_support.effects import EFFECTS
from examples.bank_support.policies import policy_of

NORTHWIND, HARBOUR = "nw-1001", "hb-1001"
LOST = "I lost my card, please block it"


def ticket(text: str, customer_id: str = NORTHWIND, ticket_id: str = "T1") -> dict[str, Any]:
    return {"ticket_id": ticket_id, "customer_id": customer_id, "text": text}


def decision(approved: bool, ticket_id: str = "T1") -> tuple[str, dict[str, Any]]:
    return "support/card.block.decided", {"ticket_id": ticket_id, "approved": approved}


@pytest.mark.parametrize(("customer_id", "provider"), [(NORTHWIND, "openai"), (HARBOUR, "anthropic")])
async def test_a_ticket_costs_three_model_calls_of_its_banks_provider(
    model_server: ModelServer, tmp_path: Path, customer_id: str, provider: str
) -> None:
    """Triage, the policy, the reply; the reply quotes the policy."""
    async with Harness(app) as h:
        [run] = await h.send("support/ticket.opened", ticket("My new card has not arrived", customer_id))
        paths = [step.path for step in h.steps(run.id) if step.kind == "model"]
        run = h.run(run.id)
    assert (run.status, run.reason, run.usage.model_calls, run.usage.tool_calls) == ("completed", "router", 3, 3)
    assert run.output["intent"] == "card_arrival" and policy_of("card_arrival") in run.output["reply"]
    asked = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert [(line["provider"], line["key"]) for line in asked] == [(provider, f"{run.id} {path}") for path in paths]


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("My new card has not arrived, where is it?", "Cards"),
        ("My transfer to another account has not arrived", "Transfers"),
        ("Why do you need to verify my identity?", "Identity and security"),
        ("I want to close my account", "Accounts"),
    ],
)
async def test_the_router_picks_the_specialist_from_the_intent(
    model_server: ModelServer, text: str, agent: str
) -> None:
    """One turn of Triage, then two of the desk that the intent belongs to."""
    run = await desk.run(text, model="openai:gpt-4.1-mini")
    assert [result.agent for result in run.results] == ["Triage", agent, agent]


@pytest.mark.parametrize(
    ("approved", "block", "says"),
    [(True, "approved", "has confirmed the block"), (False, "denied", "decided not to block")],
)
async def test_a_person_decides_about_a_lost_card(
    model_server: ModelServer, approved: bool, block: str, says: str
) -> None:
    """The run holds no worker while it waits, and another ticket's decision does not wake it."""
    async with Harness(app) as h:
        [run] = await h.send("support/ticket.opened", ticket(LOST))
        await h.send(*decision(approved, ticket_id="T2"))
        assert h.run(run.id).status == "parked"
        await h.send(*decision(approved))
        done = h.run(run.id)
    assert (done.status, done.usage.model_calls, done.output["block"]) == ("completed", 4, block)
    assert says in done.output["reply"]


async def test_a_lost_card_nobody_decides_on_is_answered_after_four_hours(model_server: ModelServer) -> None:
    """The customer is not left alone."""
    async with Harness(app) as h:
        [run] = await h.send("support/ticket.opened", ticket(LOST, HARBOUR))
        await h.advance("3h")
        assert h.run(run.id).status == "parked"
        await h.advance("2h")
        assert h.run(run.id).output["block"] == "undecided"
        assert "Nobody could decide" in h.run(run.id).output["reply"]


async def test_the_next_ticket_remembers_the_one_before(model_server: ModelServer) -> None:
    """One memory a ticket, written by a run of its own, seen by nobody but its customer."""
    async with Harness(app) as h:
        [first] = await h.send("support/ticket.opened", ticket("My new card has not arrived"))
        [second] = await h.send("support/ticket.opened", ticket("Still no card!", ticket_id="T2"))
        [other] = await h.send("support/ticket.opened", ticket("Where is my card?", "nw-1002", "T3"))
        recalled = {run.id: recall_of(h, run.id) for run in (first, second, other)}
        written = [run for run in h.runs() if run.function_id == "memory-create"]
        assert "We remember from before" in h.run(second.id).output["reply"]
    assert [len(recalled[run.id]) for run in (first, second, other)] == [0, 1, 0]
    assert recalled[second.id][0].endswith(": My new card has not arrived")
    assert [run.status for run in written] == ["completed"] * 3


async def test_a_crash_while_a_person_thinks_changes_nothing(
    model_server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it only the open tool call begins anew; every other body has run once."""
    monkeypatch.setenv(EFFECTS, str(tmp_path / "effects.jsonl"))
    async with Harness(app) as h:
        [run] = await h.send("support/ticket.opened", ticket(LOST))
        await h.restart()
        await h.send(*decision(True))
        assert h.run(run.id).status == "completed"
    lines = [json.loads(line) for line in (tmp_path / "effects.jsonl").read_text().splitlines()]
    bodies = [line["body"] for line in lines if line["body"] != "ask_for_card_block"]
    assert bodies == ["load-customer", "recall", "classify", "look_up_policy", "reply_to_customer"]
    assert lines[2]["path"] == "network:support-desk/turn:1/tool:1:classify"


async def test_an_unknown_customer_fails_the_ticket_at_once() -> None:
    """Trying again would find nobody either."""
    async with Harness(app) as h:
        [run] = await h.send("support/ticket.opened", ticket("Hello?", "xx-1"))
        assert h.run(run.id).status == "failed"
        assert "there is no customer 'xx-1'" in (h.run(run.id).error or {})["message"]


async def test_no_model_can_skip_the_person_or_the_policy() -> None:
    """The tools say what is missing, and the model mends it."""
    reply, lost = call("reply_to_customer", message="Done."), {"intent": "lost_or_stolen_card"}
    asking, looking = call("ask_for_card_block", reason="lost"), call("look_up_policy", **lost)
    triage = [call("classify", intent="lost_card"), call("classify", **lost)]
    model = ScriptedModel({"Triage": triage, "Cards": [reply, asking, reply, looking, reply]})
    run = await desk.run(LOST, model=model)
    errors = [result.error["message"] for one in run.results for result in one.tool_results if result.error]
    assert [error.partition(":")[0] for error in errors[1:]] == [
        "A colleague has to decide first",
        "The answer has to quote the policy",
    ]
    assert "did you mean 'lost_or_stolen_card'" in errors[0] and run.state.data.reply == "Done."
    model.assert_done()


async def test_the_desk_works_in_a_plain_script(model_server: ModelServer) -> None:
    """No app, no store; nobody can be asked there, and the reply says so."""
    run = await desk.run(LOST, state=Case(customer="Ada Aalto"), model="anthropic:claude-haiku-4-5")
    assert run.stop_reason == "router" and run.state.data.block == "undecided"
    assert (run.state.data.reply or "").startswith("Dear Ada Aalto, Nobody could decide")


def recall_of(harness: Harness, run_id: str) -> list[str]:
    found: list[str] = json.loads(next(s.value for s in harness.steps(run_id) if s.path == "recall") or "[]")
    return found
