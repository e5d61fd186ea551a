"""What the assistants say about a ride on Sunday."""

from __future__ import annotations

import json

from celeriac.testing.model_server import WireReply, WireRequest
from examples.script import Part, Script, call

HELLO = "Hello! I have moved to Turin, and I ride my bike on Sundays."
QUESTION = "Where should I ride on Sunday?"

_FACTS = ["The user lives in Turin", "The user likes to ride the bike on Sundays"]
_RECALL = call("recall_memories", queries=["where the user lives", "what the user likes on Sundays"])


def next_agent(request: WireRequest) -> WireReply:
    """Go on until the user has an answer."""
    if any(turn.role == "assistant" and turn.text for turn in request.messages):
        return call("done", summary="Answered.")
    return call("select_agent", name="Reflective assistant", reason="The user waits for an answer.")


def welcome(request: WireRequest) -> WireReply:
    """Answer and keep what is new, in one reply."""
    kept = call("create_memories", statements=_FACTS)
    return WireReply(text="Welcome to Turin! I will remember that.", tool_calls=kept.tool_calls)


def suggest(request: WireRequest) -> str:
    """Answer with what was recalled."""
    recalled = request.result_of("recall_memories")
    texts = json.loads(recalled.text)["data"] if recalled is not None else []
    if any("Turin" in text for text in texts):
        return "Along the Po, from the Murazzi to Moncalieri: flat, and close to your home in Turin."
    return "Tell me where you live, and I will find you a route."


SCRIPT = Script(
    Part("You lead a team of agents", "Reflective assistant", says=next_agent),
    Part("You are an assistant with a long-term memory", HELLO, says=[_RECALL, welcome]),
    Part(
        "You are an assistant with a long-term memory",
        says=[_RECALL, suggest],
    ),
    Part("You look up what is remembered", says=_RECALL),
    Part("You answer the user with what has been recalled", says=suggest),
    Part(
        "You keep what the user said",
        says=call("create_memories", statements=["The user asked for a route for Sunday"]),
    ),
)
