"""What the agents say about sign-ups, a refund and a slow API."""

from __future__ import annotations

import json
from typing import Any

from celeriac.testing.model_server import WireRequest
from examples.script import Part, Script, call, calls, question_of

SIGNUPS = "How many sign-ups came in March?"
UPGRADES = "And how many of them upgraded?"
REFUND = "I was charged twice in March, I want a refund of 20."
SLOW = "Your API is slow today."

_SIGNED_UP = {"event_name": "app/user.signed-up", "reason": "A sign-up is this event."}
_UPGRADED = {"event_name": "app/plan.upgraded", "reason": "An upgrade is this event."}


def _counting(name: str) -> str:
    return f"SELECT count(*) AS number FROM events WHERE name = '{name}' AND day LIKE '2026-03-%'"


def choose(request: WireRequest) -> Any:
    """Choose by what the question is about."""
    agent = "Billing Support" if "refund" in question_of(request) else "Technical Support"
    return call("select_agent", name=agent, reason="The customer asks for it.")


def count(request: WireRequest) -> str:
    """Say the number that the query came back with."""
    [row] = _result(request, "generate_sql")["data"]["rows"]
    what = "upgrades" if "upgraded" in question_of(request) else "sign-ups"
    return f"There were {row['number']} {what} in March."


def refunded(request: WireRequest) -> str:
    """Say what became of the refund."""
    result = _result(request, "process_refund")
    if "data" in result:
        return f"You get {result['data']['refunded']:.2f} back."
    if result["error"]["name"] == "Denied":
        return f"I am sorry, we cannot refund this: {result['error']['message']}"
    return "A colleague has to approve refunds; I have passed it on."


def explain(request: WireRequest) -> str:
    """Say how the API is, and what to do."""
    status = _result(request, "check_system_status")["data"]["status"]
    return f"The API is {status}. {_result(request, 'search_knowledge_base')['data'][0]}"


SCRIPT = Script(
    Part("You pick the events", SIGNUPS, says=call("select_events", events=[_SIGNED_UP])),
    Part("You pick the events", UPGRADES, says=call("select_events", events=[_SIGNED_UP, _UPGRADED])),
    Part(
        "You write SQL",
        SIGNUPS,
        says=call("generate_sql", sql=_counting("app/user.signed-up"), title="Sign-ups", reasoning="They are counted."),
    ),
    Part(
        "You write SQL",
        UPGRADES,
        says=call("generate_sql", sql=_counting("app/plan.upgraded"), title="Upgrades", reasoning="They are counted."),
    ),
    Part("You answer the question in two sentences", says=count),
    Part("You lead a team of agents", "Billing Support", says=choose),
    Part(
        "You help customers with money",
        says=[
            calls(call("check_subscription"), call("get_invoice_history", limit=2)),
            call("process_refund", amount=20, reason="charged twice"),
            refunded,
        ],
    ),
    Part(
        "You help customers with technical problems",
        says=[
            calls(call("check_system_status", component="api"), call("search_knowledge_base", query="slow api")),
            explain,
        ],
    ),
)


def _result(request: WireRequest, tool: str) -> Any:
    result = request.result_of(tool)
    return json.loads(result.text) if result is not None else {}
