"""The model of the bank support demo: it plays Triage and the specialists, offline.

The model server calls `respond` for every request. Which agent it plays follows from the tools on offer and what it
says from the conversation alone: it keeps no state, so the same request always gets the same answer. It must never
look up a policy itself; what it tells the customer came through a tool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from celeriac.testing.model_server import WireCall, WireReply, WireRequest
from examples.bank_support.briefing import read_briefing
from examples.bank_support.dataset import read_queries
from examples.bank_support.intent_classifier import IntentClassifier
from examples.bank_support.policies import needs_approval

#: Learned when the model server starts.
_CLASSIFIER = IntentClassifier.learn(read_queries("train"))


def respond(request: WireRequest) -> WireReply:
    """Answer as the agent would to whom these tools belong."""
    intent = _intent_of(request)
    if _is_open(request, "classify"):
        return _call(request, "classify", intent=intent)
    if needs_approval(intent) and _is_open(request, "ask_for_card_block"):
        reason = f"The customer's message was understood as {intent}: {_question_of(request)}"
        return _call(request, "ask_for_card_block", intent=intent, reason=reason)
    if _is_open(request, "look_up_policy"):
        return _call(request, "look_up_policy", intent=intent)
    if _is_open(request, "reply_to_customer"):
        return _call(request, "reply_to_customer", message=_reply_of(request))
    if request.result_of("reply_to_customer") is not None:
        return WireReply(text="The customer has been answered.")
    return WireReply(text=_reply_of(request) if request.result_of("look_up_policy") else f"Intent: {intent}")


@cache
def accuracy() -> float:
    """The share of `test.csv` that the triage understands."""
    return _CLASSIFIER.accuracy(read_queries("test"))


def _intent_of(request: WireRequest) -> str:
    """The intent the briefing names, else the one Triage chose earlier in the conversation, else a fresh judgement."""
    if (briefed := read_briefing(request.system).intent) is not None:
        return briefed
    for turn in reversed(request.messages):
        for call in turn.tool_calls:
            if call.name == "classify" and isinstance(call.arguments, Mapping) and "intent" in call.arguments:
                return str(call.arguments["intent"])
    return _CLASSIFIER.predict(_question_of(request))


def _question_of(request: WireRequest) -> str:
    """What the customer wrote: the newest user message with a text, wherever the history put it."""
    texts = [turn.text for turn in request.messages if turn.role == "user" and turn.text.strip()]
    return texts[-1] if texts else ""


def _is_open(request: WireRequest, tool: str) -> bool:
    """Whether the tool may be called and has not been answered yet."""
    allowed = request.tool_choice in ("auto", "any", tool)
    return allowed and request.offers(tool) and request.result_of(tool) is None


def _call(request: WireRequest, name: str, **known: str) -> WireReply:
    """Call the tool with those of the known arguments that its schema asks for."""
    schema = next(tool.schema for tool in request.tools if tool.name == name)
    wanted = schema.get("properties", known)
    arguments = {key: value for key, value in known.items() if key in wanted}
    return WireReply(tool_calls=[WireCall(name=name, arguments=arguments)])


def _reply_of(request: WireRequest) -> str:
    """The message to the customer: what was decided, the policy in its own words, what is remembered."""
    briefing = read_briefing(request.system)
    policy = _policy_in(_data_of(request, "look_up_policy"))
    sentences = [f"Dear {briefing.customer}," if briefing.customer else "Thank you for writing to us."]
    if request.result_of("ask_for_card_block") is not None:
        sentences.append(_decision_in(_data_of(request, "ask_for_card_block")))
    sentences.append(policy or "I could not find our rule for this, so a colleague will write to you today.")
    if briefing.remembered:
        sentences.append("We remember from before: " + " / ".join(briefing.remembered))
    return " ".join(sentences)


def _data_of(request: WireRequest, tool: str) -> Any:
    """What the tool returned; None when it has not, or failed."""
    result = request.result_of(tool)
    if result is None or result.is_error:
        return None
    try:
        value = json.loads(result.text)
    except ValueError:
        return result.text
    if not isinstance(value, dict):
        return value
    return None if "error" in value else value.get("data", value)


def _policy_in(data: Any) -> str | None:
    text = data.get("policy") if isinstance(data, dict) else data
    return text if isinstance(text, str) and text else None


def _decision_in(data: Any) -> str:
    """Put a decision into words; it is a truth value, or an object with `approved`."""
    match data.get("approved") if isinstance(data, dict) else data:
        case True:
            return "A member of our staff has confirmed the block, so nobody can pay with your cards any more."
        case False:
            return "A member of our staff has looked at your case and decided not to block your cards."
        case _:
            return "Nobody could decide on the block in time; please freeze your cards in the app now."
