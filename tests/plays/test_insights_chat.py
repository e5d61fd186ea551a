"""The chat: threads go on, ids are the same wherever they are seen, clients say what they may, and people approve."""

from __future__ import annotations

from typing import Any

import pytest

from celeriac import Chunk, Message, ToolError
from celeriac.platform.approval import Decision
from celeriac.platform.durable.approvals import open_approvals
from celeriac.testing import Harness
from celeriac.types import Model
from examples.insights_chat import warehouse
from examples.insights_chat.app import CHAT, SUPPORT, app
from examples.insights_chat.insights import Insights, insights
from examples.insights_chat.script import REFUND, SIGNUPS, SLOW, UPGRADES
from examples.insights_chat.support import Desk, customer_support
from plays.playing import Overheard, Stage, facts

#: the event of the network itself
DIRECT = "insights-chat/network-insights"

#: what is told of a turn with a tool and of one without, beside pieces of texts and arguments
TOOL_TURN = [
    "run.started",
    *("step.started", "part.created", "tool_call.arguments.delta", "part.completed", "step.completed"),
    *("step.started", "part.created", "tool_call.output.delta", "part.completed", "step.completed"),
    "usage.updated",
    "run.completed",
]
TEXT_TURN = [
    "run.started",
    *("step.started", "part.created", "text.delta", "part.completed", "step.completed"),
    "usage.updated",
    "run.completed",
]


def asked(text: str, id: str = "m-1", **more: Any) -> dict[str, Any]:
    state = more.pop("state", {})
    return {"user_message": {"id": id, "content": text, "state": state}, "user_id": "u-1", **more}


def names_of(chunks: list[Chunk]) -> list[str]:
    """Return the events in order, of several pieces in a row the first."""
    names = [chunk.event for chunk in chunks]
    return [name for name, before in zip(names, ["", *names], strict=False) if name != before or "delta" not in name]


# -- threads --------------------------------------------------------------------------------------------------------


def test_on_workers_a_thread_goes_on_as_in_a_plain_script(stage: Stage) -> None:
    ours = stage.of_another_tenant()
    for number, question in enumerate((SIGNUPS, UPGRADES)):
        here = insights.run_sync(question, state=Insights(user_id="u-1"), thread_id="t-same", model=ours.model)
        there = ours.completed(ours.send(CHAT, asked(question, f"m-{number}", thread_id="t-same")))
        assert facts(there.output) == facts(here.export())
        assert there.output["thread_id"] == "t-same"


async def test_the_second_question_is_asked_with_what_was_said_before(model: Model) -> None:
    overheard = Overheard(model)
    async with Harness(app, model=overheard) as engine:
        [first] = await engine.send(CHAT, asked(SIGNUPS))
        await engine.send(CHAT, asked(UPGRADES, "m-2", thread_id=first.output["thread_id"]))
    texts = [message.text for message in overheard.asked_as("Insights Event Matcher")[1].messages if message.text]
    assert texts == [SIGNUPS, "There were 3 sign-ups in March.", UPGRADES]


def test_the_ids_of_a_thread_are_those_that_were_streamed(stage: Stage) -> None:
    """In the database, in the stream, and in the output."""
    ours = stage.of_another_tenant()
    run = ours.completed(ours.send(CHAT, asked(SIGNUPS, "m-of-the-client")))
    kept = [one.id for one in ours.fleet.rooms.threads.entries(ours.tenant, run.output["thread_id"], last=10)]
    agents = [one.data for one in ours.told(run) if one.event == "run.started" and one.data["scope"] == "agent"]
    assert kept == ["m-of-the-client", *(one["messageId"] for one in agents)] == run.output["message_ids"]


# -- streaming ------------------------------------------------------------------------------------------------------


async def test_a_chat_is_told_in_the_order_in_which_it_happens(engine: Harness) -> None:
    """The network around the turns of its three agents."""
    [run] = await engine.send(CHAT, asked(SIGNUPS))
    chunks = engine.chunks(run.id)
    assert names_of(chunks) == ["run.started", *TOOL_TURN, *TOOL_TURN, *TEXT_TURN, "run.completed", "stream.ended"]
    assert [chunk.sequence_number for chunk in chunks] == list(range(len(chunks)))
    ended = [chunk.data["name"] for chunk in chunks if chunk.event == "run.completed"]
    assert ended == ["Insights Event Matcher", "Insights Query Writer", "Insights Summarizer", "Insights"]


def test_the_user_has_a_channel(stage: Stage) -> None:
    ours = stage.of_another_tenant()
    run = ours.completed(ours.send(CHAT, asked(SIGNUPS, channel_key="tab-1")))
    ids = [chunk.id for chunk in ours.told(run)]
    told = [one.chunk for one in ours.fleet.rooms.stream.read(ours.tenant, "user:tab-1")]
    assert [chunk.id for chunk in told] == ids
    assert "".join(chunk.data["delta"] for chunk in told if chunk.event == "text.delta") == run.output["text"]


async def test_a_script_hears_the_answer_piece_by_piece(model: Model) -> None:
    pieces: list[str] = []
    async with insights.stream(SIGNUPS, model=model) as stream:
        async for piece in stream.text():
            pieces.append(piece)
        run = await stream.result()
    assert len(pieces) > 1
    assert "".join(pieces) == run.text == "There were 3 sign-ups in March."


# -- what a client may say ------------------------------------------------------------------------------------------


async def test_a_client_says_what_it_shows_and_not_who_it_is(engine: Harness) -> None:
    state = {"event_types": ["app/user.signed-up"], "user_id": "mallory", "sql": "SELECT 1"}
    [run] = await engine.send(CHAT, asked(SIGNUPS, state=state))
    assert run.output["state"]["event_types"] == ["app/user.signed-up"]
    assert run.output["state"]["user_id"] == "u-1"
    assert "count(*)" in run.output["state"]["sql"]


async def test_state_that_does_not_fit_fails_at_once(engine: Harness) -> None:
    [run] = await engine.send(CHAT, asked(SIGNUPS, state={"event_types": 7}))
    assert run.error is not None and run.error["message"] == "The state of message 'm-1' does not fit"
    assert engine.attempts(run.id) == []


async def test_a_client_that_sends_straight_to_the_network_is_held_to_the_same(engine: Harness) -> None:
    """Its own knowledge of the conversation takes the place of the thread, as far as it is sealed."""
    [first] = await engine.send(DIRECT, {"input": SIGNUPS})
    said = [{"role": "user", "content": SIGNUPS}, *first.output["results"]]
    asked_again = {"input": UPGRADES, "thread_id": first.output["thread_id"]}
    [second] = await engine.send(DIRECT, {**asked_again, "history": said})
    said[-1]["messages"][-1]["text"] = "There were 900 sign-ups in March."
    [third] = await engine.send(DIRECT, {**asked_again, "history": said})
    [fourth] = await engine.send(DIRECT, {"input": SIGNUPS, "state": {"user_id": "root"}})
    assert second.output["text"] == "There were 1 upgrades in March."
    assert [run.error and run.error["code"] for run in (third, fourth)] == ["invalid_event", "invalid_event"]


async def test_a_conversation_that_the_client_brings_is_not_read_a_second_time(model: Model) -> None:
    overheard = Overheard(model)
    async with Harness(app, model=overheard) as engine:
        [first] = await engine.send(DIRECT, {"input": SIGNUPS})
        said = [{"role": "user", "content": SIGNUPS}, *first.output["results"]]
        await engine.send(DIRECT, {"input": UPGRADES, "thread_id": first.output["thread_id"], "history": said})
    texts = [message.text for message in overheard.asked_as("Insights Event Matcher")[1].messages if message.text]
    assert texts == [SIGNUPS, "There were 3 sign-ups in March.", UPGRADES]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM events",
        "DROP TABLE events",
        "SELECT 1; DELETE FROM events",
        "ATTACH DATABASE 'x' AS x",
        "PRAGMA writable_schema = 1",
        "WITH gone AS (SELECT 1) DELETE FROM events",
        "nonsense",
        "",
    ],
)
def test_sql_that_is_no_query_is_refused(sql: str) -> None:
    with pytest.raises(ToolError, match="SELECT"):
        warehouse.query(sql)


def test_a_query_returns_rows() -> None:
    found = warehouse.query("SELECT user_id FROM events WHERE name = 'app/user.signed-up' ORDER BY day LIMIT 2")
    assert found == [{"user_id": "u-1"}, {"user_id": "u-2"}]


# -- customer support -----------------------------------------------------------------------------------------------


async def test_a_model_chooses_once_and_code_goes_on(model: Model) -> None:
    overheard = Overheard(model)
    run = await customer_support.run(SLOW, state=Desk(user_id="u-1"), model=overheard)
    assert [request.agent for request in overheard.requests] == [
        "Default routing agent",
        "Technical Support",
        "Technical Support",
    ]
    assert (run.state.data.routing, run.stop_reason) == (["select_agent Technical Support"], "router")


@pytest.mark.parametrize(
    ("approved", "told"), [(True, "You get 20.00 back."), (False, "I am sorry, we cannot refund this: Charged once")]
)
def test_a_refund_waits_for_a_person_on_workers(stage: Stage, approved: bool, told: str) -> None:
    ours = stage.of_another_tenant()
    event = ours.send(SUPPORT, asked(REFUND))
    run = ours.parked(event)
    [waiting] = open_approvals(ours.fleet.rooms.reads.view(ours.tenant, run.id))
    assert waiting.request.input == {"amount": 20, "reason": "charged twice"}
    decision = Decision(approved=approved, reason="Charged once", by="Ada")
    assert ours.fleet.rooms.operator.approve(ours.tenant, run.id, waiting.request.id, decision)
    assert ours.completed(event).output["text"] == told


async def test_nothing_is_paid_before_a_person_has_decided(engine: Harness) -> None:
    [run] = await engine.send(SUPPORT, asked(REFUND))
    assert [memo.path for memo in engine.steps(run.id) if memo.path.endswith("/pay")] == []
    [waiting] = engine.open_approvals(run.id)
    await engine.restart()
    await engine.approve(run.id, waiting.request.id)
    assert [memo.path.rpartition("/")[2] for memo in engine.steps(run.id) if memo.path.endswith("/pay")] == ["pay"]


async def test_a_plain_script_tells_the_model_that_nobody_can_approve(model: Model) -> None:
    run = await customer_support.run(Message.user(REFUND), state=Desk(user_id="u-1"), model=model)
    [refused] = [one for result in run.results for one in result.tool_results if one.name == "process_refund"]
    assert refused.error is not None and refused.error["name"] == "not_durable"
    assert run.text == "A colleague has to approve refunds; I have passed it on."
