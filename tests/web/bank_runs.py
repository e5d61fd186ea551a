"""Runs as a bank's support desk has them, told to a store as its engine would, for the pages and the API to show.

Every text that comes from outside is handed in by the test, so that hostile ones go the same way as friendly ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from approval_stage import ask_for_approval
from celeriac.platform.durable.declaration import Declaration, StartRules
from celeriac.platform.durable.ending import ending_event
from celeriac.platform.durable.memo import AttemptFailed, Entry, StepDone, Wait
from celeriac.platform.durable.store import Claim, Ending, Link, Store
from celeriac.platform.event import Event
from celeriac.platform.flow.limits import Concurrency, RateLimit, Throttle
from celeriac.platform.message import Usage

TICKET = "support/ticket.opened"
#: what must stay a text wherever it is shown
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}</pre><!--"

#: what the report says about when it may begin
NIGHTLY = StartRules(
    concurrency=(Concurrency(1, key="event.data.branch", hold="run"),),
    throttle=Throttle(100, per=timedelta(minutes=1)),
    rate_limit=RateLimit(1, per=timedelta(hours=6), key="event.data.day"),
)

POLICY = "A new card is sent within five working days. The old one is blocked at once."


@dataclass
class Desk:
    """The support desk of one tenant, with the function `support` on tickets."""

    store: Store
    tenant_id: str

    def open(self) -> Desk:
        """Declare the functions."""
        functions = [
            Declaration(app="bank", function_id="support", triggers=(TICKET,), retries=4),
            Declaration(app="bank", function_id="nightly-report", triggers=("bank/day.ended",), rules=NIGHTLY),
        ]
        self.store.declare("bank", functions, [])
        return self

    def ticket(self, text: str = "I still have not received my new card, I ordered it over a week ago.") -> str:
        """Submit a ticket and return the id of its run, which is queued."""
        data = {"ticket_id": "t-1042", "customer_id": "c-17", "text": text}
        (queued,) = self.store.ingest(self.tenant_id, [Event(TICKET, data)]).queued
        return queued.run_id

    def started(self, text: str = "My card is gone.") -> Played:
        """Return a run that a worker executes."""
        claim = self.store.claim(self.ticket(text), "wrk_desk", Link(id="link-1", root_id="link-1"))
        assert claim is not None
        return Played(self.store, claim)

    def completed(self, reply: str = "Your new card is on its way.") -> str:
        """Return the id of a run that took three turns and ended."""
        run = self.started("I still have not received my new card, I ordered it over a week ago.")
        run.customer()
        run.turn(1, "Triage", "classify", {"intent": "card_arrival"}, {"intent": "card_arrival"})
        run.turn(2, "Cards", "look_up_policy", {"intent": "card_arrival"}, {"policy": POLICY})
        run.turn(3, "Cards", "reply_to_customer", {"text": reply}, {"reply": reply})
        run.end(Ending(status="completed", reason="router", output=json.dumps({"reply": reply})))
        return run.id

    def waiting(self) -> str:
        """Return the id of a run that waits for a person's decision inside of a tool call."""
        run = self.started("Somebody stole my wallet with the card in it!")
        run.customer()
        run.turn(1, "Triage", "classify", {"intent": "lost_or_stolen_card"}, {"intent": "lost_or_stolen_card"})
        run.reply("network:bank-support/turn:2", "Cards", "block_card", {"ticket_id": "t-1042"})
        run.wait_for("network:bank-support/turn:2/tool:1:block_card/decision", "support/card.block.decided")
        return run.id

    def asking(self, text: str = "Somebody stole my wallet with the card in it!") -> str:
        """Return the id of a run that waits for a person to approve a tool call."""
        run = self.started(text)
        turn, given = "network:bank-support/turn:1", {"card": "c-17", "because": text}
        run.reply(turn, "Cards", "block_card", given)
        request = ask_for_approval(self.store, run.claim, f"{turn}/tool:1:block_card", given, agent="Cards")
        assert request.tool == "block_card"
        return run.id

    def failed(self, message: str = "Ticket not found: t-1042") -> str:
        """Return the id of a run whose first step used up its attempts."""
        run = self.started()
        error = json.dumps({"name": "ConnectionError", "message": "the ledger does not answer"})
        for number in (1, 2):
            run.attempt_failed("load_customer", number, error)
        run.step("load_customer", value=None, error=error, attempt=3)
        run.end(Ending(status="failed", reason="error", error_code="step", error_message=message))
        return run.id


@dataclass
class Played:
    """A run that is executing, and the words by which a test lets it go on."""

    store: Store
    claim: Claim

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC) - timedelta(seconds=2)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.claim.run.id

    def customer(self) -> None:
        """Load the customer and what is remembered of them."""
        self.step("load_customer", {"id": "c-17", "name": "Ada Okafor", "since": 2019}, seconds=0.03)
        self.step("recall", [{"text": "Asked for a new card in March.", "score": 0.71}], seconds=0.05)

    def turn(self, number: int, agent: str, tool: str, given: dict[str, Any], change: dict[str, Any]) -> None:
        """Take a whole turn: a model call, one tool call, and what they changed."""
        path = f"network:bank-support/turn:{number}"
        began, before = self.now, getattr(self, "_state", {})
        self.reply(path, agent, tool, given)
        patch = [{"op": "set", "path": [key], "value": value} for key, value in change.items()]
        self.step(f"{path}/tool:1:{tool}", {"data": change, "patch": patch}, kind="tool", given=given, seconds=0.02)
        memo = {"agent": agent, "result": {"agent": agent}, "patch": patch, "stack": [], "stop": None}
        self.step(path, memo, kind="turn", given={"state": before}, began=began, seconds=0.0)
        self._state = before | change

    def reply(self, path: str, agent: str, tool: str, given: dict[str, Any]) -> None:
        """Make the model call of a turn, which asks for one tool."""
        call = {"id": "call_1", "name": tool, "input": given}
        usage = Usage(model_calls=1, input_tokens=412, output_tokens=38, cached_tokens=128, cost_usd=0.00042)
        messages = [
            {"role": "user", "text": "I still have not received my new card."},
            {"role": "assistant", "text": "Let me see.", "agent": "Triage", "tool_calls": [call]},
            {"role": "tool", "tool_result": {"call_id": "call_1", "name": tool, "data": {"ok": True}}},
        ]
        asked = {"system": f"You are {agent} of the bank.", "messages": messages, "model": "openai:gpt-4.1-mini"}
        out = {"model": "gpt-4.1-mini", "text": f"I will use {tool}.", "tool_calls": [call], "usage": usage.export()}
        counted = {"usage": usage, "model": "openai:gpt-4.1-mini"}
        self.step(f"{path}/infer", out, kind="model", given=asked | {"agent": agent}, seconds=0.31, **counted)

    def step(self, path: str, value: Any = None, *, seconds: float = 0.1, given: Any = None, **options: Any) -> None:
        """Commit a step that took this long."""
        began = options.pop("began", self.now)
        self.now += timedelta(seconds=seconds)
        text = None if "error" in options else json.dumps(value)
        facts = {"kind": "run", "value": text, "input": None if given is None else json.dumps(given), **options}
        self._commit(StepDone(**self._right(path), started_at=began, ended_at=self.now, **facts))

    def attempt_failed(self, path: str, number: int, error: str) -> None:
        """Let an attempt fail, and half a second pass until the next one."""
        began, self.now = self.now, self.now + timedelta(seconds=0.2)
        wait = Wait(path=path, kind="retry", number=number, wake_at=self.now + timedelta(seconds=0.5))
        entry = AttemptFailed(
            **self._right(path), number=number, error=error, started_at=began, ended_at=self.now, wait=wait
        )
        self._commit(entry)
        self.now += timedelta(seconds=0.5)

    def wait_for(self, path: str, event: str) -> None:
        """Wait for an event about the ticket, and park."""
        wait = Wait(
            path=path,
            kind="event",
            event_name=event,
            match_path="data.ticket_id",
            match_value='"t-1042"',
            wake_at=self.now + timedelta(hours=4),
        )
        assert self.store.await_event(self.claim, wait) is not None
        fresh = self.store.refresh(self.claim)
        assert fresh is not None
        assert self.store.park(fresh)

    def end(self, ending: Ending) -> None:
        """End the run."""
        ended = replace(self.claim.run, status=ending.status)
        assert self.store.finish(self.claim, ending, ending_event(ended))

    def _commit(self, entry: Entry) -> None:
        assert self.store.commit([entry]) != [None]

    def _right(self, path: str) -> dict[str, Any]:
        run = self.claim.run
        return {"run_id": run.id, "tenant_id": run.tenant_id, "fence": self.claim.fence, "path": path}
