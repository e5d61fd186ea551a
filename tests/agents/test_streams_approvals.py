"""A call that waits for a person is told: that it is asked for, with its part, and what was decided, each once."""

from __future__ import annotations

import pytest

from celeriac import Agent, App, Chunk, tool
from celeriac.testing import Harness, ScriptedModel, call, say


@tool(approval=True)
def refund(cents: int) -> str:
    """Pay money back."""
    return "paid"


async def told(*, approved: bool, reason: str | None = None) -> list[Chunk]:
    """Let a call be decided on, over restarts, and return what the run told."""
    app = App("streams")
    model = ScriptedModel([call("refund", cents=500), say("Done")])
    app.agent(Agent("Clerk", tools=[refund], model=model), on="go")
    async with Harness(app) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        await harness.restart()
        [waiting] = harness.open_approvals(run.id)
        await harness.approve(run.id, waiting.request.id, approved=approved, reason=reason, by="ann")
        await harness.advance("1h")
        return harness.chunks(run.id)


@pytest.mark.parametrize("approved", [True, False])
async def test_a_person_is_asked_and_heard_once(approved: bool) -> None:
    chunks = await told(approved=approved, reason="as agreed")
    [asked, decided] = [chunk for chunk in chunks if chunk.event.startswith("hitl")]
    assert (asked.event, decided.event) == ("hitl.requested", "hitl.resolved")
    called = next(chunk for chunk in chunks if chunk.event == "part.created")
    assert asked.data["toolCalls"] == [
        {"partId": called.data["partId"], "toolName": "refund", "toolInput": {"cents": 500}}
    ]
    assert asked.data["requestId"] == decided.data["requestId"] and asked.data["expiresAt"]
    assert decided.data["resolution"] == ("approved" if approved else "denied")
    assert (decided.data["reason"], decided.data["resolvedBy"]) == ("as agreed", "ann")


async def test_the_output_comes_after_the_decision() -> None:
    events = [chunk.event for chunk in await told(approved=True)]
    assert events.index("hitl.requested") < events.index("hitl.resolved") < events.index("tool_call.output.delta")
    assert events[-1] == "stream.ended"
