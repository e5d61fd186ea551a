"""A bank as a client of the platform: opens tickets and decides about card blocks, over HTTP, with its own keys."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from examples.bank_support.customers import Ticket

if TYPE_CHECKING:
    from celeriac.wiring import Installation

#: what a person blocks cards for. A lost phone has none in it, and where the model misread the customer none is gone.
_CARD_IS_GONE = ("lost_or_stolen_card", "compromised_card")

#: answers after which the same request may succeed
_BUSY = (429, 503)
_TRIES = 20

_open = build_opener(ProxyHandler({})).open  # the platform is on this machine, whatever proxy the environment names


@dataclass(frozen=True, kw_only=True)
class Bank:
    """A tenant, with the keys that it was given."""

    name: str
    tenant_id: str
    base_url: str
    event_key: str = field(repr=False)
    api_key: str = field(repr=False)

    @classmethod
    def open(cls, name: str, installation: Installation, base_url: str) -> Bank:
        """Create the tenant and its keys, as an operator would."""
        tenant = installation.tenants.create(name)
        _, event_key = installation.keys.create(tenant.id, "event")
        _, api_key = installation.keys.create(tenant.id, "api")
        return cls(name=name, tenant_id=tenant.id, base_url=base_url, event_key=event_key, api_key=api_key)

    def open_ticket(self, ticket: Ticket) -> str:
        """Submit the ticket; return the id of its event. The ticket's own id makes it safe to repeat."""
        data = {"ticket_id": ticket.ticket_id, "customer_id": ticket.customer_id, "text": ticket.text}
        return self._send({"name": "support/ticket.opened", "id": ticket.ticket_id, "data": data})

    def decide(self, ticket: Ticket) -> bool:
        """Send the decision on the ticket's card block, and return it."""
        approved = approves(ticket)
        reason = "The card is not with the customer." if approved else "No card is gone."
        data = {"ticket_id": ticket.ticket_id, "approved": approved, "reason": reason}
        self._send({"name": "support/card.block.decided", "id": f"{ticket.ticket_id}-decision", "data": data})
        return approved

    def undecided(self) -> list[str]:
        """The events whose runs wait for a decision."""
        parked = self._get("/v1/runs?status=parked&function=solve-ticket&limit=100")["data"]
        return [run["event_id"] for run in parked if _waits_for_decision(self._get(f"/v1/runs/{run['id']}")["steps"])]

    def _send(self, event: dict[str, Any]) -> str:
        asked = Request(
            f"{self.base_url}/e/{self.event_key}", json.dumps(event).encode(), {"Content-Type": "application/json"}
        )
        [event_id] = _answer(asked)["ids"]
        return str(event_id)

    def _get(self, path: str) -> Any:
        return _answer(Request(f"{self.base_url}{path}", headers={"Authorization": f"Bearer {self.api_key}"}))


def approves(ticket: Ticket) -> bool:
    """Decide as somebody who reads the ticket: block where a card is gone, and nowhere else."""
    return ticket.intent in _CARD_IS_GONE


def _answer(asked: Request) -> Any:
    """The JSON of an answer; a busy platform is asked again when it says."""
    for left in reversed(range(_TRIES)):
        try:
            with _open(asked, timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code not in _BUSY or not left:
                raise
            time.sleep(float(error.headers.get("Retry-After") or 1))
    raise AssertionError("the last try returns or raises")


def _waits_for_decision(steps: list[dict[str, Any]]) -> bool:
    return any(
        (step["kind"] == "event" and step["status"] == "waiting") or _waits_for_decision(step["children"])
        for step in steps
    )
