"""What the desk says about the three tickets."""

from __future__ import annotations

import json
from typing import Any

from celeriac.testing.model_server import WireReply, WireRequest
from examples.script import Part, Script, call, question_of

_QUESTION = "Does /api/v1/users crash for everybody since 2.3?"
_CONTEXT = "The endpoint was rewritten in 2.3; the customer's app crashes on it."


def choose(request: WireRequest) -> WireReply:
    """Give what is about the API to Technical Support, and all else to Customer Support."""
    agent = "Technical Support" if "/api/" in question_of(request) else "Customer Support"
    return call("route_to_agent", agent=agent)


def answer_from_the_articles(request: WireRequest) -> WireReply:
    """Tell the customer what the knowledge base says."""
    [article, *_] = _result(request, "search_knowledge_base")["data"]
    return call("reply_to_customer", message=article["content"])


def answer_from_the_developer(request: WireRequest) -> WireReply:
    """Tell the customer what the developer said, or that somebody will."""
    result = _result(request, "ask_developer")
    if "error" in result:
        return call("reply_to_customer", message="Our developers have your ticket and will write to you.")
    return call("reply_to_customer", message=f"Our developers say: {result['data']['developer_response']}")


SCRIPT = Script(
    Part("You supervise a support team", says=choose),
    Part(
        "support agent who helps customers",
        "upvote",
        says=[call("search_knowledge_base", keyword="upvote"), answer_from_the_articles],
    ),
    Part(
        "support agent who helps customers",
        "login",
        says=[call("search_knowledge_base", keyword="login"), answer_from_the_articles],
    ),
    Part(
        "You are a technical support agent",
        says=[
            call("search_latest_release_notes", query="/api/v1/users"),
            call("ask_developer", question=_QUESTION, context=_CONTEXT),
            answer_from_the_developer,
        ],
    ),
)


def _result(request: WireRequest, tool: str) -> Any:
    result = request.result_of(tool)
    return json.loads(result.text) if result is not None else {}
