"""Assistants that remember: the answer waits for no write, recall searches side by side, and tenants share nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from celeriac.platform.memory.local_memories import LocalMemories
from celeriac.platform.memory.memory import Remembered
from celeriac.testing import Harness
from celeriac.types import Model
from examples.assistant_memory.app import ASKED, ASKED_IN_ORDER, Talk, app, orderly, reflecting
from examples.assistant_memory.script import HELLO, QUESTION
from plays.playing import Stage, facts
from waiting import wait_until

HOME = "The user lives in Turin"


class Forgetful(LocalMemories):
    """Memories whose first write fails."""

    writes = 0

    def add(
        self, tenant_id: str, user: str, statements: str | Sequence[str], *, idempotency_key: str | None = None
    ) -> list[Remembered]:
        """Fail once."""
        self.writes += 1
        if self.writes == 1:
            raise ConnectionError("the database went away")
        return super().add(tenant_id, user, statements, idempotency_key=idempotency_key)


class Together(LocalMemories):
    """Memories that answer a search when another one is under way."""

    def __init__(self) -> None:
        super().__init__()
        self._both = threading.Barrier(2, timeout=10)

    def search(self, tenant_id: str, user: str, query: str, limit: int) -> list[Remembered]:
        """Wait for the other search."""
        self._both.wait()
        return super().search(tenant_id, user, query, limit)


def writes_of(stage: Stage) -> list[str]:
    """Return where the tenant's writes stand."""
    wanted = "SELECT status FROM runs WHERE tenant_id = :tenant AND function_id = 'memory-create'"
    return [status for (status,) in stage.fleet.sql(wanted, tenant=stage.tenant)]


def tell(stage: Stage, user_id: str) -> None:
    """Let the user say hello, and wait until it is remembered."""
    stage.serve("memory")
    stage.completed(stage.send(ASKED, {"user_id": user_id, "text": HELLO}))
    wait_until(lambda: set(writes_of(stage)) == {"completed"}, 30, "the memories to be written")


async def test_a_second_conversation_knows_of_the_first(model: Model) -> None:
    told = await reflecting.run(HELLO, state=Talk(user_id="anna"), model=model)
    asked = await orderly.run(QUESTION, state=Talk(user_id="anna"), model=model)
    other = await orderly.run(QUESTION, state=Talk(user_id="ben"), model=model)
    assert told.text == "Welcome to Turin! I will remember that."
    assert HOME in asked.results[0].tool_results[0].data
    assert other.results[0].tool_results[0].data == []
    assert [result.agent for result in asked.results] == ["Memory retrieval", "Personal assistant", "Memory updater"]


def test_on_workers_the_answer_is_there_before_anything_is_written(stage: Stage) -> None:
    ours = stage.of_another_tenant()
    ours.stop_serving("memory")
    run = ours.completed(ours.send(ASKED, {"user_id": "anna", "text": HELLO}))
    assert run.output["text"] == "Welcome to Turin! I will remember that."
    wait_until(lambda: writes_of(ours), 10, "the write to be a run")
    assert writes_of(ours) == ["queued"]
    ours.serve("memory")
    wait_until(lambda: writes_of(ours) == ["completed"], 30, "the memories to be written")


async def test_workers_and_a_plain_script_have_the_same_conversations(stage: Stage) -> None:
    ours, who = stage.of_another_tenant(), {"user_id": "carla"}
    ours.serve("memory")
    first = await reflecting.run(HELLO, state=Talk(**who), model=ours.model)
    second = await orderly.run(QUESTION, state=Talk(**who), model=ours.model)
    there = ours.completed(ours.send(ASKED, {**who, "text": HELLO}))
    assert facts(there.output) == facts(first.export())
    wait_until(lambda: writes_of(ours) == ["completed"], 30, "the memories to be written")
    there = ours.completed(ours.send(ASKED_IN_ORDER, {**who, "text": QUESTION}))
    assert facts(there.output) == facts(second.export())
    assert there.output["answer"].startswith("Along the Po")


def test_tenants_remember_apart_what_users_of_one_name_said(stage: Stage) -> None:
    ours, theirs = stage.of_another_tenant(), stage.of_another_tenant()
    tell(ours, "anna")
    asked = {"user_id": "anna", "text": QUESTION}
    mine = ours.completed(ours.send(ASKED_IN_ORDER, asked))
    foreign = theirs.completed(theirs.send(ASKED_IN_ORDER, asked))
    recalled = [run.output["results"][0]["messages"][1]["tool_result"]["data"] for run in (mine, foreign)]
    assert HOME in recalled[0] and recalled[1] == []


async def test_a_write_that_fails_is_tried_again_on_its_own(model: Model) -> None:
    """The conversation is over by then, and nothing of it is done again."""
    memories = Forgetful()
    async with Harness(app, model=model, memories=memories) as engine:
        [asked] = await engine.send(ASKED, {"user_id": "anna", "text": HELLO})
        [_, write] = engine.runs()
        assert (asked.status, write.status) == ("completed", "parked")
        await engine.advance("5m")
        assert engine.run(write.id).status == "completed"
        assert (engine.attempts(write.id), engine.attempts(asked.id)) == (["add"], [])
    assert {one.text for one in memories.all("test", "anna")} == {HOME, "The user likes to ride the bike on Sundays"}


async def test_recall_searches_side_by_side(model: Model) -> None:
    """Each search waits for the other one."""
    async with Harness(app, model=model, memories=Together()) as engine:
        [run] = await engine.send(ASKED_IN_ORDER, {"user_id": "anna", "text": QUESTION})
        [first] = [one["tool_result"] for one in run.output["results"][0]["messages"] if "tool_result" in one]
        searches = [memo.path for memo in engine.steps(run.id) if "/search" in memo.path]
    assert first["data"] == []
    assert len(searches) == 2
