"""The support desk: it waits for its own ticket's developer, through crashes, and no longer than it said."""

from __future__ import annotations

from typing import Any

from celeriac.testing import Harness
from celeriac.types import Model
from examples.support_desk.app import ANSWERED, CREATED, app, desk, task_of
from examples.support_desk.records import TICKETS
from plays.playing import Overheard, Stage

MENDED = "2.3.1 mends it"
TOLD = f"Our developers say: {MENDED}"
LATER = "Our developers have your ticket and will write to you."


def results_in(output: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["tool_result"] for turn in output["results"] for one in turn["messages"] if "tool_result" in one]


async def test_a_question_is_answered_from_the_knowledge_base(model: Model) -> None:
    """By the agent that the supervisor chose, which is asked once."""
    overheard = Overheard(model)
    run = await desk.run(task_of(TICKETS["T124"]), model=overheard)
    assert [result.agent for result in run.results] == ["Customer Support", "Customer Support"]
    assert run.state.data.reply == "To upvote an item, press the arrow beside it. Press again to take it back."
    assert (run.stop_reason, len(overheard.asked_as("Supervisor"))) == ("router", 1)


async def test_in_a_plain_script_the_model_is_told_that_nobody_can_be_waited_for(model: Model) -> None:
    run = await desk.run(task_of(TICKETS["T125"]), model=model)
    [asked] = [one for result in run.results for one in result.tool_results if one.name == "ask_developer"]
    assert asked.error is not None and "takes a durable run" in asked.error["message"]
    assert run.state.data.reply == LATER


async def test_a_critical_ticket_waits_for_its_developer(engine: Harness) -> None:
    [run] = await engine.send(CREATED, {"ticket_id": "T125"})
    await engine.advance("3h59m")
    assert engine.run(run.id).status == "parked"
    await engine.send(ANSWERED, {"ticket_id": "T125", "answer": MENDED, "developer": "Ada"})
    output = engine.run(run.id).output
    assert output["answer"] == TOLD
    assert {"developer_response": MENDED, "developer": "Ada"} in [one.get("data") for one in results_in(output)]


async def test_the_answer_to_another_ticket_wakes_nobody(engine: Harness) -> None:
    [run] = await engine.send(CREATED, {"ticket_id": "T125"})
    await engine.send(ANSWERED, {"ticket_id": "T123", "answer": "wrong"})
    assert engine.run(run.id).status == "parked"
    await engine.send(ANSWERED, {"ticket_id": "T125", "answer": MENDED})
    assert engine.run(run.id).output["answer"] == TOLD


async def test_after_four_hours_the_desk_goes_on_without_an_answer(engine: Harness) -> None:
    [run] = await engine.send(CREATED, {"ticket_id": "T125"})
    await engine.advance("4h")
    output = engine.run(run.id).output
    assert output["answer"] == LATER
    told = {"name": "ToolError", "message": "No developer answered in time"}
    assert told in [one.get("error") for one in results_in(output)]


async def test_a_crash_while_it_waits_repeats_no_model_call(model: Model) -> None:
    overheard = Overheard(model)
    async with Harness(app, model=overheard) as engine:
        [run] = await engine.send(CREATED, {"ticket_id": "T125"})
        await engine.restart()
        await engine.send(ANSWERED, {"ticket_id": "T125", "answer": MENDED})
        assert engine.run(run.id).output["answer"] == TOLD
    assert [request.agent for request in overheard.requests] == ["Supervisor", *["Technical Support"] * 3]


async def test_an_unknown_ticket_fails_at_once(engine: Harness) -> None:
    [run] = await engine.send(CREATED, {"ticket_id": "T999"})
    assert run.status == "failed"
    assert run.error is not None and run.error["message"] == "There is no ticket 'T999'"
    assert engine.attempts(run.id) == []


def test_workers_that_are_killed_while_a_ticket_waits_lose_nothing(stage: Stage) -> None:
    """The event of another ticket comes first, and another worker takes the answer."""
    event = stage.send(CREATED, {"ticket_id": "T125"})
    stage.parked(event)
    stage.replace_workers()
    stage.send(ANSWERED, {"ticket_id": "T124", "answer": "wrong"})
    stage.send(ANSWERED, {"ticket_id": "T125", "answer": MENDED})
    run = stage.completed(event)
    assert run.output["answer"] == TOLD
    assert run.usage.model_calls == 4


def test_workers_fail_an_unknown_ticket_at_its_first_attempt(stage: Stage) -> None:
    run = stage.fleet.ended(stage.tenant, stage.send(CREATED, {"ticket_id": "T999"}))
    assert (run.status, run.error and run.error["message"]) == ("failed", "There is no ticket 'T999'")
