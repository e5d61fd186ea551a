"""The commit: whole groups at once, each entry under its own fence, each for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_stage import FUTURE, OTHER, PAST, TENANT, Stage, attempt_failed, outgoing, sleep, step_done, wait_begun

from celeriac.platform.durable.memo import Entry, Memo
from celeriac.platform.message import Usage


def test_steps_get_their_seq_in_the_order_of_commits(stage: Stage) -> None:
    claim = stage.claimed()
    assert stage.store.commit([step_done(claim, "a")]) == [1]
    assert stage.store.commit([step_done(claim, "b"), step_done(claim, "c")]) == [2, 3]
    assert [(memo.path, memo.seq) for memo in stage.store.memos(claim)] == [("a", 1), ("b", 2), ("c", 3)]


def test_a_memo_is_what_was_committed(stage: Stage) -> None:
    claim = stage.claimed()
    value = '{"text":"ä \\\\ \\" {x,y} NULL \\u2028 %s $1","list":[1,null]}'
    stage.store.commit([step_done(claim, "turn:1/infer", value, kind="model")])
    assert stage.store.memos(claim) == [Memo(path="turn:1/infer", kind="model", seq=1, value=value)]


def test_a_failed_step_is_remembered_by_its_error(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.commit([step_done(claim, "a", None, error='{"name":"E","message":"m"}', attempt=5)])
    assert stage.store.memos(claim)[0] == Memo(path="a", kind="run", seq=1, error='{"name":"E","message":"m"}')


def test_a_group_of_many_runs_is_answered_entry_by_entry(stage: Stage) -> None:
    one, two = stage.claimed(), stage.claimed()
    group = [step_done(one, "a"), step_done(two, "a"), wait_begun(two, sleep()), step_done(two, "b")]
    assert stage.store.commit(group) == [1, 1, 0, 2]


def test_nothing_is_answered_with_nothing(stage: Stage) -> None:
    assert stage.store.commit([]) == []


def test_under_an_old_fence_nothing_is_stored(stage: Stage) -> None:
    old = stage.claimed()
    stage.store.requeue(old)
    new = stage.claim(old.run.id)
    lost: list[Entry] = [
        step_done(old, "a", events=(outgoing(),)),
        attempt_failed(old, "b", 1),
        wait_begun(old, sleep()),
    ]
    assert stage.store.commit([*lost, step_done(new, "a")]) == [None, None, None, 1]
    assert stage.refreshed(new).waits == 0
    assert stage.store.waits(new) == []
    assert stage.store.match_pending().accepted == []


def test_a_run_that_is_not_running_takes_nothing(stage: Stage) -> None:
    claim = stage.claimed()
    assert stage.store.park(claim)
    assert stage.store.commit([step_done(claim, "a")]) == [None]


def test_another_tenants_entry_is_not_stored(stage: Stage) -> None:
    claim = stage.claimed()
    stranger = replace(step_done(claim, "a"), tenant_id=OTHER)
    assert stage.store.commit([stranger]) == [None]
    assert stage.store.memos(claim) == []


def test_an_entry_on_record_is_answered_as_it_was_then(stage: Stage) -> None:
    claim = stage.claimed()
    entries: list[Entry] = [
        step_done(claim, "a"),
        attempt_failed(claim, "b", 1),
        wait_begun(claim, sleep()),
        step_done(claim, "c"),
    ]
    assert stage.store.commit(entries) == [1, 0, 0, 2]
    assert stage.store.commit([step_done(claim, "d"), *entries]) == [3, 1, 0, 0, 2]
    fresh = stage.refreshed(claim)
    assert (fresh.steps, fresh.waits) == (3, 2)


def test_an_entry_on_record_is_answered_even_when_the_fence_is_lost(stage: Stage) -> None:
    claim = stage.claimed()
    entry = step_done(claim, "a")
    stage.store.commit([entry])
    stage.store.requeue(claim)
    assert stage.store.commit([entry]) == [1]


def test_a_path_that_is_taken_takes_no_other_step(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.commit([step_done(claim, "a", "1")])
    assert stage.store.commit([step_done(claim, "a", "2"), step_done(claim, "b")]) == [None, 2]
    assert [memo.value for memo in stage.store.memos(claim)] == ["1", "1"]


def test_usage_is_added_to_the_run(stage: Stage) -> None:
    claim = stage.claimed()
    used = Usage(model_calls=1, input_tokens=10, output_tokens=2, cached_tokens=4, reasoning_tokens=1, cost_usd=0.25)
    stage.store.commit([step_done(claim, "a", usage=used), step_done(claim, "b", usage=Usage(tool_calls=3))])
    stage.store.commit([step_done(claim, "c", usage=used)])
    stage.finish(claim)
    assert stage.store.cancel(TENANT, claim.run.id).usage == used + used + Usage(tool_calls=3)


def test_the_events_of_a_step_are_stored_with_it_once(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.commit([step_done(claim, "a", events=(outgoing("evt_a"), outgoing("evt_b", ts=PAST)))])
    accepted = stage.store.match_pending().accepted
    assert sorted(one.id for one in accepted) == ["evt_a", "evt_b"]


def test_a_failed_attempt_plans_the_next_one(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.commit([attempt_failed(claim, "a", 1, PAST)])
    stage.store.commit([attempt_failed(claim, "a", 2, FUTURE)])
    (wait,) = stage.store.waits(claim)
    assert (wait.path, wait.kind, wait.number, wait.wake_at) == ("a", "retry", 2, FUTURE)
    assert stage.store.memos(claim) == []


def test_five_hundred_entries_of_a_hundred_runs_are_one_group(stage: Stage) -> None:
    claims = [stage.claimed() for _ in range(100)]
    group = [step_done(claim, f"step-{n}") for n in range(5) for claim in claims]
    assert stage.store.commit(group) == [n for n in range(1, 6) for _ in claims]


@pytest.mark.parametrize("size", [1, 300_000])
def test_a_value_of_any_size_comes_back(stage: Stage, size: int) -> None:
    claim = stage.claimed()
    value = '"' + "\\\\ä" * size + '"'
    stage.store.commit([step_done(claim, "a", value)])
    assert stage.store.memos(claim)[0].value == value
