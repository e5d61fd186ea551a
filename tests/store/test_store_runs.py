"""Runs: every move is a compare-and-set on status and fence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from store_stage import FUTURE, LINK, OTHER, TENANT, Stage, event_wait, function, ids, sleep, step_done, wait_begun

from celeriac.errors import NotFoundError
from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.store import ClaimWish, Ending, Link
from celeriac.platform.event import Event


def test_a_claim_moves_a_queued_run_to_running(stage: Stage) -> None:
    claim = stage.claimed()
    assert (claim.run.status, claim.fence, claim.run.links) == ("running", 1, 1)
    assert (claim.steps, claim.waits, claim.wakes, claim.cancel_requested) == (0, 0, 0, False)
    assert claim.run.created_at is not None
    assert claim.run.started_at is not None
    assert claim.run.created_at <= claim.run.started_at


def test_a_doubled_message_claims_nothing(stage: Stage) -> None:
    claim = stage.claimed()
    assert stage.store.claim(claim.run.id, "wrk_two", LINK) is None
    assert stage.store.refresh(claim) is not None


def test_an_unknown_run_is_not_claimed(stage: Stage) -> None:
    assert stage.store.claim("run_unknown", "wrk_one", LINK) is None


def test_the_root_of_the_chain_is_the_first_one(stage: Stage) -> None:
    claim = stage.claimed()
    queued = stage.store.requeue(claim)
    assert queued is not None
    assert (queued.root_id, queued.parent_id, queued.fence, queued.is_resume) == ("link-1", "link-1", 2, True)
    again = stage.claim(queued.run_id, link=Link(id="link-2", root_id="another"))
    assert again.link == Link(id="link-2", root_id="link-1")
    assert (again.fence, again.run.links, again.run.started_at) == (2, 2, claim.run.started_at)


def test_a_run_that_was_requeued_has_no_holder(stage: Stage) -> None:
    claim = stage.claimed()
    assert stage.store.requeue(claim) is not None
    assert stage.store.requeue(claim) is None
    assert stage.store.refresh(claim) is None
    assert not stage.store.park(claim)


def test_an_old_fence_moves_nothing(stage: Stage) -> None:
    old = stage.claimed()
    stage.store.requeue(old)
    new = stage.claim(old.run.id, "wrk_two")
    assert stage.store.refresh(old) is None
    assert stage.store.requeue(old) is None
    assert not stage.store.park(old)
    assert not stage.finish(old)
    assert stage.store.refresh(new) == new


def test_the_counts_are_read_anew(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.commit([step_done(claim, "a"), step_done(claim, "b"), wait_begun(claim, sleep())])
    stage.store.await_event(claim, event_wait())
    fresh = stage.refreshed(claim)
    assert (fresh.steps, fresh.waits, fresh.wakes, fresh.fence) == (2, 2, 0, claim.fence)


def test_a_run_that_nothing_woke_is_parked(stage: Stage) -> None:
    claim = stage.claimed()
    assert stage.store.park(claim)
    assert not stage.store.park(claim)
    assert stage.store.claim(claim.run.id, "wrk_one", LINK) is None


def test_a_run_that_was_woken_meanwhile_is_not_parked(stage: Stage) -> None:
    claim = stage.claimed()
    stage.begin(claim, event_wait())
    assert stage.send(Event("answer")) == []
    assert not stage.store.park(claim)
    fresh = stage.refreshed(claim)
    assert fresh.wakes == claim.wakes + 1
    assert stage.store.park(fresh)


def test_a_woken_run_is_claimed_as_a_resume(stage: Stage) -> None:
    parked = stage.parked(event_wait())
    (queued,) = stage.send(Event("answer"))
    assert (queued.run_id, queued.fence, queued.is_resume) == (parked.run.id, parked.fence + 1, True)
    assert (queued.root_id, queued.parent_id) == ("link-1", "link-1")
    assert stage.claim(queued.run_id).wakes == 1


def test_a_run_ends_once(stage: Stage) -> None:
    claim = stage.claimed()
    assert stage.finish(claim)
    assert not stage.finish(claim)
    assert stage.store.commit([step_done(claim, "late")]) == [None]


def test_a_failed_run_keeps_its_error(stage: Stage) -> None:
    claim = stage.claimed()
    stage.finish(claim, Ending(status="failed", reason="error", error_code="step", error_message="boom"))
    run = stage.store.cancel(TENANT, claim.run.id)
    assert (run.status, run.reason, run.error) == ("failed", "error", {"code": "step", "message": "boom"})
    assert run.ended_at is not None


def test_the_ending_is_told_by_an_event(stage: Stage) -> None:
    stage.declare(function(), function("listener", "celeriac/run.finished"))
    claim = stage.claimed()
    stage.finish(claim)
    (told,) = stage.store.match_pending().queued
    assert told.is_internal
    assert stage.claim(told.run_id).event.data["run_id"] == claim.run.id


@pytest.mark.parametrize("is_parked", [False, True])
def test_a_run_that_stands_is_cancelled_at_once(stage: Stage, is_parked: bool) -> None:
    stage.declare(function(), function("listener", "celeriac/run.cancelled"))
    run_id = stage.parked(sleep()).run.id if is_parked else stage.queued().run_id
    run = stage.store.cancel(TENANT, run_id)
    assert (run.status, run.reason) == ("cancelled", "cancelled")
    assert run.ended_at is not None
    assert stage.store.claim(run_id, "wrk_one", LINK) is None
    (told,) = stage.store.match_pending().queued
    assert stage.claim(told.run_id).event.data["run_id"] == run_id


def test_a_running_run_is_flagged_for_its_worker(stage: Stage) -> None:
    claim = stage.claimed()
    assert stage.store.cancel(TENANT, claim.run.id).status == "running"
    fresh = stage.refreshed(claim)
    assert fresh.cancel_requested
    assert not stage.store.park(fresh)
    assert stage.finish(fresh, Ending(status="cancelled", reason="cancelled"))


def test_the_flag_outlives_the_link(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.cancel(TENANT, claim.run.id)
    stage.store.requeue(claim)
    run = stage.store.cancel(TENANT, claim.run.id)
    assert run.status == "cancelled"


def test_a_run_that_has_ended_stays_as_it_is(stage: Stage) -> None:
    claim = stage.claimed()
    stage.finish(claim)
    run = stage.store.cancel(TENANT, claim.run.id)
    assert (run.status, run.output) == ("completed", {"ok": True})


def test_another_tenants_run_is_not_found(stage: Stage) -> None:
    run_id = stage.queued().run_id
    with pytest.raises(NotFoundError, match=run_id):
        stage.store.cancel(OTHER, run_id)
    with pytest.raises(NotFoundError):
        stage.store.cancel(TENANT, "run_unknown")
    assert stage.store.claim(run_id, "wrk_one", LINK) is not None


@pytest.mark.parametrize("cancels", [False, True])
def test_the_waits_of_an_ended_run_wake_nobody(stage: Stage, cancels: bool) -> None:
    claim = stage.claimed()
    stage.begin(claim, event_wait())
    stage.begin(claim, sleep(wake_at=claim.event_received_at))
    if cancels:
        assert stage.store.requeue(claim) is not None
        stage.store.cancel(TENANT, claim.run.id)
    else:
        stage.finish(claim)
    assert stage.send(Event("answer")) == []
    assert stage.store.wake_due() == []


def test_runs_queued_for_long_are_stranded_in_pages(stage: Stage) -> None:
    first, second = sorted((stage.queued(), stage.queued()), key=lambda run: run.run_id)
    stage.claimed()
    assert stage.store.stranded(older_than=timedelta(hours=1)) == []
    assert stage.store.stranded(older_than=timedelta(0)) == [first, second]
    assert ids(stage.store.stranded(older_than=timedelta(0), most=1)) == [first.run_id]
    assert ids(stage.store.stranded(older_than=timedelta(0), after=first.run_id)) == [second.run_id]


def test_of_some_runs_those_are_told_that_are_stranded_still(stage: Stage) -> None:
    first, second = sorted((stage.queued(), stage.queued()), key=lambda run: run.run_id)
    begun = stage.claimed()
    assert stage.store.stranded_of([begun.run.id, second.run_id], older_than=timedelta(0)) == [second]
    assert stage.store.stranded_of([first.run_id], older_than=timedelta(hours=1)) == []


def test_a_wake_counts_while_the_run_is_queued(stage: Stage) -> None:
    parked = stage.parked(sleep(wake_at=FUTURE))
    claim = stage.claimed()
    stage.begin(claim, event_wait())
    stage.store.requeue(claim)
    assert stage.send(Event("answer")) == []
    assert stage.claim(claim.run.id).wakes == 1
    assert stage.store.claim(parked.run.id, "wrk_one", LINK) is None


def test_a_message_of_a_fence_that_is_gone_claims_nothing(stage: Stage) -> None:
    """A run that stands in its lane again is not taken past its limits by a copy of its last message."""
    queued = stage.queued()
    again = stage.store.requeue(stage.claim(queued.run_id, link=replace(LINK, fence=queued.fence)))
    assert again is not None
    assert stage.store.claim(queued.run_id, "wrk_one", replace(LINK, fence=queued.fence)) is None
    assert stage.store.claim(queued.run_id, "wrk_one", replace(LINK, fence=again.fence)) is not None


def test_of_two_messages_at_once_the_one_of_the_present_fence_claims(stage: Stage) -> None:
    """An old one that comes along does not take its place."""
    queued = stage.queued()
    wishes = [ClaimWish(run_id=queued.run_id, link=replace(LINK, fence=fence)) for fence in (0, queued.fence)]
    assert [claim is not None for claim in stage.store.claim_all(wishes, "wrk_one")] == [False, True]


def test_a_claim_that_did_not_execute_is_turned_back(stage: Stage) -> None:
    """With its age, and without having begun; the next claim takes a higher fence."""
    queued = stage.queued()
    claim = stage.claim(queued.run_id)
    again = stage.store.turn_back(claim)
    assert again is not None
    assert (again.fence, again.is_resume, again.queued_at) == (claim.fence + 1, False, queued.queued_at)
    assert stage.store.turn_back(claim) is None
    assert stage.claim(queued.run_id).run.links == 1


def test_a_resume_that_is_turned_back_has_begun(stage: Stage) -> None:
    first = stage.claimed()
    assert stage.store.requeue(first) is not None
    second = stage.claim(first.run.id)
    again = stage.store.turn_back(second)
    assert again is not None and again.is_resume
    assert stage.claim(first.run.id).run.started_at == first.run.started_at


def test_runs_that_come_together_are_queued_in_their_order(stage: Stage) -> None:
    runs = stage.send(*(Event("ticket", {"id": f"T-{number}"}) for number in range(20)))
    ages = [run.queued_at for run in runs]
    assert ages == sorted(ages)
    read = {run.run_id: run.queued_at for run in stage.store.stranded(older_than=timedelta(days=-1))}
    assert [read[run.run_id] for run in runs] == ages


def test_a_start_that_is_turned_back_may_still_be_too_late(stage: Stage) -> None:
    """Its time to start counts from when it was queued; a link that had begun keeps its deadline."""
    stage.declare(function(rules=StartRules(start_timeout=timedelta(hours=1))))
    queued = stage.queued()
    assert stage.store.turn_back(stage.claim(queued.run_id), start_timeout=timedelta(hours=1)) is not None
    assert stage.store.expire() == []
    assert stage.store.turn_back(stage.claim(queued.run_id), start_timeout=timedelta(hours=-1)) is not None
    assert [(run.id, run.status) for run in stage.store.expire()] == [(queued.run_id, "cancelled")]


def test_a_link_executes_under_its_own_fence_alone(stage: Stage) -> None:
    claim = stage.claimed()
    run_id = claim.run.id
    assert [stage.store.is_executing(run_id, fence) for fence in (0, 1, 2)] == [False, True, False]
    assert stage.finish(claim)
    assert not stage.store.is_executing(run_id, 1)
