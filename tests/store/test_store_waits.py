"""Waits: a run stands still until its time or its event, and never misses either."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from store_stage import FUTURE, OTHER, PAST, Stage, attempt_failed, event_wait, ids, sleep, step_done, wait_begun

from celeriac.platform.durable.memo import Wait
from celeriac.platform.event import Event

HOUR = timedelta(hours=1)


def test_a_parked_run_wakes_when_its_event_arrives(stage: Stage) -> None:
    parked = stage.parked(event_wait())
    assert ids(stage.send(Event("answer", {"yes": True}))) == [parked.run.id]
    claim = stage.claim(parked.run.id)
    (wait,) = stage.store.waits(claim)
    assert wait.resolved_at is not None
    assert json.loads(wait.event or "")["data"] == {"yes": True}


def test_the_event_is_handed_on_with_name_id_and_time(stage: Stage) -> None:
    parked = stage.parked(event_wait())
    stage.send(Event("answer", {"a": 1}, id="mine", ts=PAST))
    (wait,) = stage.store.waits(stage.claim(parked.run.id))
    assert json.loads(wait.event or "") == {"name": "answer", "data": {"a": 1}, "id": "mine", "ts": PAST.isoformat()}


def test_only_an_event_that_matches_wakes(stage: Stage) -> None:
    parked = stage.parked(event_wait(match=("data.ticket.id", '"T-1"')))
    assert (
        stage.send(Event("answer", {"ticket": {"id": "T-2"}}), Event("answer", {}), Event("answer", {"ticket": 1}))
        == []
    )
    assert ids(stage.send(Event("answer", {"ticket": {"id": "T-1"}}))) == [parked.run.id]


def test_values_are_compared_as_json(stage: Stage) -> None:
    stage.parked(event_wait(match=("data.n", "1")))
    assert stage.send(Event("answer", {"n": "1"}), Event("answer", {"n": True})) == []
    assert len(stage.send(Event("answer", {"n": 1.0}))) == 1


def test_another_tenants_event_wakes_nobody(stage: Stage) -> None:
    stage.parked(event_wait())
    assert stage.send(Event("answer"), tenant=OTHER) == []


def test_an_event_wakes_all_runs_that_wait_for_it(stage: Stage) -> None:
    parked = [stage.parked(event_wait()).run.id for _ in range(3)]
    assert sorted(ids(stage.send(Event("answer")))) == sorted(parked)
    assert stage.send(Event("answer")) == []


def test_two_waits_of_a_run_that_end_together_queue_it_once(stage: Stage) -> None:
    claim = stage.claimed()
    stage.begin(claim, event_wait("one"))
    stage.begin(claim, event_wait("two"))
    assert stage.store.park(claim)
    assert ids(stage.send(Event("answer"))) == [claim.run.id]
    assert stage.claim(claim.run.id).waits == 2


def test_the_first_of_two_events_is_kept(stage: Stage) -> None:
    parked = stage.parked(event_wait())
    stage.send(Event("answer", {"n": 1}), Event("answer", {"n": 2}))
    stage.send(Event("answer", {"n": 3}))
    (wait,) = stage.store.waits(stage.claim(parked.run.id))
    assert json.loads(wait.event or "")["data"] == {"n": 1}


def test_an_event_from_before_the_wait_does_not_count(stage: Stage) -> None:
    claim = stage.claimed()
    stage.send(Event("answer"))
    wait = stage.store.await_event(claim, event_wait())
    assert wait is not None
    assert wait.resolved_at is None
    assert wait.since is not None


def test_looking_back_finds_the_first_event_that_came_before(stage: Stage) -> None:
    claim = stage.claimed()
    stage.send(Event("answer", {"n": 0}), Event("answer", {"n": 1}), Event("answer", {"n": 1, "late": True}))
    wait = stage.store.await_event(claim, event_wait(match=("data.n", "1")), look_back=HOUR)
    assert wait is not None
    assert wait.resolved_at is not None
    assert json.loads(wait.event or "")["data"] == {"n": 1}
    assert stage.store.waits(claim) == [wait]


def test_looking_back_does_not_see_other_tenants(stage: Stage) -> None:
    claim = stage.claimed()
    stage.send(Event("answer"), tenant=OTHER)
    wait = stage.store.await_event(claim, event_wait(), look_back=HOUR)
    assert wait is not None
    assert wait.resolved_at is None


def test_a_wait_that_is_registered_is_returned_as_it_is(stage: Stage) -> None:
    claim = stage.claimed()
    first = stage.store.await_event(claim, event_wait())
    stage.send(Event("answer", {"n": 1}))
    again = stage.store.await_event(claim, replace(event_wait(), wake_at=PAST), look_back=HOUR)
    assert first is not None
    assert again is not None
    assert (again.wake_at, again.since) == (FUTURE, first.since)
    assert again.resolved_at is not None
    assert stage.refreshed(claim).waits == 1


def test_under_an_old_fence_no_wait_is_registered(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.requeue(claim)
    assert stage.store.await_event(claim, event_wait()) is None


def test_a_run_wakes_when_its_time_has_come(stage: Stage) -> None:
    parked = stage.parked(sleep(wake_at=PAST))
    stage.parked(sleep(wake_at=FUTURE))
    assert ids(stage.store.wake_due()) == [parked.run.id]
    assert stage.store.wake_due() == []
    (wait,) = stage.store.waits(stage.claim(parked.run.id))
    assert (wait.kind, wait.event) == ("sleep", None)
    assert wait.resolved_at is not None


def test_a_wait_for_an_event_ends_by_its_time_without_one(stage: Stage) -> None:
    parked = stage.parked(event_wait(wake_at=PAST))
    assert ids(stage.store.wake_due()) == [parked.run.id]
    assert stage.send(Event("answer")) == []
    (wait,) = stage.store.waits(stage.claim(parked.run.id))
    assert wait.event is None
    assert wait.resolved_at is not None


def test_a_time_that_comes_while_the_run_executes_keeps_it_from_parking(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.commit([wait_begun(claim, sleep(wake_at=PAST))])
    assert stage.store.wake_due() == []
    assert not stage.store.park(claim)


def test_waits_are_returned_in_the_order_of_their_resolution(stage: Stage) -> None:
    claim = stage.claimed()
    for path, name in (("a", "first"), ("b", "second"), ("c", "never")):
        stage.begin(claim, event_wait(path, name))
    stage.send(Event("second"))
    stage.send(Event("first"))
    assert [wait.path for wait in stage.store.waits(claim)] == ["b", "a", "c"]


def test_a_wait_whose_step_has_a_memo_is_over(stage: Stage) -> None:
    claim = stage.claimed()
    stage.begin(claim, event_wait())
    stage.store.commit([attempt_failed(claim, "charge", 1)])
    stage.store.commit([step_done(claim, "reply", kind="event"), step_done(claim, "charge", attempt=2)])
    assert stage.store.waits(claim) == []


def test_a_planned_retry_wakes_the_run(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.commit([attempt_failed(claim, "charge", 1, PAST)])
    fresh = stage.refreshed(claim)
    assert (fresh.waits, fresh.steps) == (1, 0)
    assert stage.store.park(fresh)
    assert ids(stage.store.wake_due()) == [claim.run.id]
    (wait,) = stage.store.waits(stage.claim(claim.run.id))
    assert (wait.number, wait.kind) == (1, "retry")


def test_a_wait_reads_back_as_it_was_written(stage: Stage) -> None:
    claim = stage.claimed()
    wait = Wait(path="turn:1/nap", kind="sleep", wake_at=FUTURE)
    stage.begin(claim, wait)
    assert stage.store.waits(claim) == [wait]


def test_a_time_that_was_over_within_its_own_link_wakes_nobody(stage: Stage) -> None:
    claim = stage.claimed()
    stage.begin(claim, sleep("nap", PAST))
    stage.store.commit([attempt_failed(claim, "charge", 1, PAST)])
    stage.store.commit([step_done(claim, "nap", kind="sleep"), step_done(claim, "charge", attempt=2)])
    stage.begin(claim, sleep("long", FUTURE))
    assert stage.store.park(stage.refreshed(claim))
    assert stage.store.wake_due() == []
    assert stage.store.wake_due() == []


def test_a_time_that_wakes_nobody_keeps_no_other_from_waking(stage: Stage) -> None:
    claim = stage.claimed()
    stage.begin(claim, sleep("nap", PAST))
    stage.store.commit([step_done(claim, "nap", kind="sleep")])
    stage.begin(claim, sleep("other", PAST))
    assert stage.store.park(stage.refreshed(claim))
    assert ids(stage.store.wake_due()) == [claim.run.id]
    assert stage.store.wake_due() == []


def test_a_call_that_waits_for_its_tenants_limit_is_woken_and_knows_what_it_waited_for(stage: Stage) -> None:
    limit, ticket = "openai:requests", "1767225600000017"
    wait = Wait(path="a/~limits", kind="limit", number=2, wake_at=PAST, match_path=limit, match_value=ticket)
    parked = stage.parked(wait)
    assert ids(stage.store.wake_due()) == [parked.run.id]
    [known] = stage.store.waits(stage.claim(parked.run.id))
    assert known.resolved_at is not None
    assert (known.kind, known.number, known.match_path, known.match_value) == ("limit", 2, limit, ticket)
