"""Usage: whatever is done is counted with it, once, under its tenant, day, function and model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from store_stage import OTHER, TENANT, Stage, attempt_failed, outgoing, step_done

from celeriac.platform.durable.placed import Process
from celeriac.platform.durable.rerun import Wish
from celeriac.platform.durable.store import Ending
from celeriac.platform.durable.usage import UsageRow, Usages
from celeriac.platform.event import Event
from celeriac.platform.message import Usage
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.sql_operations import SqlOperations

FUNCTION = "desk/work"
CALL = Usage(model_calls=1, input_tokens=10, output_tokens=2, cached_tokens=4, reasoning_tokens=1, cost_usd=0.25)
TOOL = Usage(tool_calls=1)


def total(usages: Usages, tenant: str | None = TENANT) -> UsageRow:
    """Return all that was used today."""
    [row] = usages.usage(tenant, usages.today(), usages.today(), by=())
    return row


def test_nothing_was_used_in_the_beginning(stage: Stage, usages: Usages) -> None:
    assert usages.usage(TENANT, usages.today(), usages.today()) == []
    assert total(usages) == UsageRow()


def test_a_run_and_the_bytes_of_its_event_are_counted(stage: Stage, usages: Usages) -> None:
    stage.send(Event("ticket", {"id": "ä"}))
    rows = usages.usage(TENANT, usages.today(), usages.today(), by=("function",))
    assert rows == [UsageRow(function="", bytes=len('{"id":"ä"}'.encode())), UsageRow(function=FUNCTION, runs=1)]


def test_an_event_that_is_sent_again_is_counted_once(stage: Stage, usages: Usages) -> None:
    event = Event("ticket", {"id": 1}, id="mine")
    stage.send(event)
    stage.send(event, Event("ticket", {"id": 1}, id="other"))
    assert (total(usages).runs, total(usages).bytes) == (2, 2 * len('{"id":1}'))


def test_links_are_counted_as_they_are_claimed(stage: Stage, usages: Usages) -> None:
    claim = stage.claimed()
    assert stage.store.claim(claim.run.id, "wrk_two", claim.link) is None
    stage.store.bury(["wrk_one"])
    stage.claim(claim.run.id)
    assert (total(usages).runs, total(usages).links) == (1, 2)


def test_steps_are_counted_under_the_model_that_they_called(stage: Stage, usages: Usages) -> None:
    claim = stage.claimed()
    asked = step_done(claim, "a", '"ä"', kind="model", usage=CALL, model="openai:gpt")
    stage.store.commit([asked, step_done(claim, "b", usage=TOOL), step_done(claim, "c", None, error="{}")])
    [plain, called] = usages.usage(TENANT, usages.today(), usages.today(), by=("model",))[0:2]
    assert (plain.model, plain.steps, plain.tool_calls, plain.model_calls) == ("", 2, 1, 0)
    assert called == UsageRow(model="openai:gpt", steps=1, bytes=4, **CALL.export())


def test_a_lone_step_is_counted_like_one_of_many(stage: Stage, usages: Usages) -> None:
    claim = stage.claimed()
    before = total(usages)
    stage.store.commit([step_done(claim, "a", usage=CALL, model="m")])
    stage.store.commit([step_done(claim, "b")])
    after = total(usages)
    assert (after.steps, after.model_calls, after.cost_usd) == (2, 1, 0.25)
    assert after.bytes - before.bytes == 2


def test_a_group_of_many_runs_is_counted_by_tenant_and_function(stage: Stage, usages: Usages) -> None:
    mine, other = stage.claimed(), stage.claimed(tenant=OTHER)
    stage.store.commit([step_done(mine, "a"), step_done(mine, "b"), step_done(other, "a", usage=CALL, model="m")])
    rows = usages.usage(None, usages.today(), usages.today(), by=("tenant",))
    assert [(row.tenant_id, row.steps, row.model_calls) for row in rows] == [(TENANT, 2, 0), (OTHER, 1, 1)]


def test_a_commit_whose_answer_was_lost_is_counted_once(stage: Stage, usages: Usages) -> None:
    claim = stage.claimed()
    entries = [step_done(claim, "a", usage=CALL, model="m", events=(outgoing(),)), step_done(claim, "b")]
    stage.store.commit(entries)
    once = total(usages)
    assert stage.store.commit([*entries, step_done(claim, "c")]) == [1, 2, 3]
    twice = total(usages)
    assert (twice.steps, twice.model_calls, twice.bytes) == (once.steps + 1, 1, once.bytes + 1)


def test_a_step_that_lost_its_right_is_not_counted(stage: Stage, usages: Usages) -> None:
    old = stage.claimed()
    stage.store.bury(["wrk_one"])
    new = stage.claim(old.run.id)
    lost = [step_done(old, "a", usage=CALL, events=(outgoing(),)), attempt_failed(old, "b", 1)]
    before = total(usages)
    assert stage.store.commit([*lost, step_done(new, "a")]) == [None, None, 1]
    assert (total(usages).steps, total(usages).model_calls, total(usages).bytes) == (1, 0, before.bytes + 1)


def test_failed_attempts_are_not_counted(stage: Stage, usages: Usages) -> None:
    claim = stage.claimed()
    stage.store.commit([attempt_failed(claim, "a", 1)])
    assert total(usages).steps == 0


def test_events_of_a_step_and_of_an_ending_count_for_the_function(stage: Stage, usages: Usages) -> None:
    claim = stage.claimed()
    stage.store.commit([step_done(claim, "a", "null", events=(outgoing("evt_1"), outgoing("evt_2")))])
    assert usages.usage(TENANT, usages.today(), usages.today(), by=("function",))[1].bytes == 4 + 2 * len('{"n":1}')
    before = total(usages).bytes
    assert stage.finish(claim, Ending(status="completed", output='"ü"'))
    assert not stage.finish(claim)
    assert total(usages).bytes - before > 100


def test_a_run_that_is_cancelled_tells_of_it_once(stage: Stage, usages: Usages) -> None:
    queued = stage.queued()
    before = total(usages).bytes
    stage.store.cancel(TENANT, queued.run_id)
    after = total(usages).bytes
    stage.store.cancel(TENANT, queued.run_id)
    assert before < after == total(usages).bytes


def test_a_placed_step_is_counted_at_its_commit(stage: Stage, usages: Usages) -> None:
    claim = stage.claimed()
    stage.store.place(claim, "scan", "heavy", "{}")
    placed = stage.store.claim_placed(claim.run.id, "scan", Process(worker_id="wrk_one", pid=1, pid_started=1))
    assert placed is not None
    done = step_done(claim, "scan", '"done"')
    assert stage.store.commit_placed(placed, done) is not None
    assert stage.store.commit_placed(placed, done) is None
    assert (total(usages).steps, total(usages).links) == (1, 1)


def test_a_rerun_is_a_run_and_what_it_takes_over_is_no_step(stage: Stage, usages: Usages) -> None:
    operations: Any = stage.store if isinstance(stage.store, LocalStore) else SqlOperations(stage.store._engine)
    claim = stage.claimed()
    stage.store.commit([step_done(claim, "a"), step_done(claim, "b")])
    stage.finish(claim)
    operations.rerun(TENANT, claim.run.id, Wish(from_step="b"))
    assert (total(usages).runs, total(usages).steps) == (2, 2)


def test_another_tenants_usage_is_not_ones_own(stage: Stage, usages: Usages) -> None:
    stage.claimed(tenant=OTHER)
    assert total(usages) == UsageRow()
    assert usages.spent(TENANT, usages.today()) == 0.0


def test_cost_is_known_by_day_and_month(stage: Stage, usages: Usages) -> None:
    claim = stage.claimed()
    stage.store.commit([step_done(claim, "a", usage=CALL, model="m"), step_done(claim, "b", usage=CALL, model="n")])
    today = usages.today()
    assert usages.spent(TENANT, today) == usages.spent_now(TENANT).today == usages.spent_now(TENANT).this_month == 0.5
    assert usages.spent(TENANT, today + timedelta(days=1)) == 0.0


def test_days_outside_are_left_out(stage: Stage, usages: Usages) -> None:
    stage.claimed()
    today, day = usages.today(), timedelta(days=1)
    assert usages.usage(TENANT, today - 7 * day, today - day) == []
    assert usages.usage(TENANT, today + day, today + 7 * day) == []
    assert {row.day for row in usages.usage(TENANT, today - day, today + day)} == {today}
