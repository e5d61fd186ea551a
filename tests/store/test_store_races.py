"""Races: two processes at once, played by threads that start together, round after round."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from store_stage import LINK, PAST, TENANT, Stage, event_wait, function, ids, sleep, step_done, together

from celeriac.platform.event import Event

HOUR = timedelta(hours=1)

rounds = pytest.mark.parametrize("turn", range(15))


def test_of_many_claims_one_wins(stage: Stage) -> None:
    run_id = stage.queued().run_id
    claims = together(*[partial(stage.store.claim, run_id, f"wrk_{n}", LINK) for n in range(8)])
    assert len([claim for claim in claims if claim is not None]) == 1


@rounds
def test_a_wake_in_the_instant_of_parking_is_not_lost(stage: Stage, turn: int) -> None:
    claim = stage.claimed()
    stage.begin(claim, event_wait())
    did_park, queued = together(partial(stage.store.park, claim), partial(stage.send, Event("answer")))
    assert ids(queued) == ([claim.run.id] if did_park else [])
    assert did_park or stage.refreshed(claim).wakes == 1


@rounds
def test_an_event_and_its_wait_do_not_miss_each_other(stage: Stage, turn: int) -> None:
    claim = stage.claimed()
    register = partial(stage.store.await_event, claim, event_wait(), look_back=HOUR)
    together(register, partial(stage.send, Event("answer", {"n": 1})))
    (wait,) = stage.store.waits(claim)
    assert wait.event is not None


@rounds
def test_a_commit_and_the_loss_of_its_fence_agree(stage: Stage, turn: int) -> None:
    claim = stage.claimed()

    def take_over() -> int:
        stage.store.bury(["wrk_one"])
        return stage.claim(claim.run.id, "wrk_two").steps

    (seq,), steps_seen = together(partial(stage.store.commit, [step_done(claim, "a")]), take_over)
    assert (seq, steps_seen) in ((1, 1), (None, 0))


@rounds
def test_a_cancel_and_a_park_agree(stage: Stage, turn: int) -> None:
    claim = stage.claimed()
    did_park, run = together(partial(stage.store.park, claim), partial(stage.store.cancel, TENANT, claim.run.id))
    assert (did_park, run.status) in ((True, "cancelled"), (False, "running"))


@rounds
def test_a_cancel_and_a_claim_agree(stage: Stage, turn: int) -> None:
    run_id = stage.queued().run_id
    claim, run = together(
        partial(stage.store.claim, run_id, "wrk_one", LINK), partial(stage.store.cancel, TENANT, run_id)
    )
    assert (claim is None, run.status) in ((True, "cancelled"), (False, "running"))


@rounds
def test_a_wake_and_an_ending_agree(stage: Stage, turn: int) -> None:
    claim = stage.claimed()
    stage.begin(claim, event_wait())
    did_end, queued = together(partial(stage.finish, claim), partial(stage.send, Event("answer")))
    assert (did_end, queued) == (True, [])


def test_a_due_wait_wakes_its_run_once(stage: Stage) -> None:
    parked = [stage.parked(sleep(wake_at=PAST)).run.id for _ in range(40)]
    woken = [run for answer in together(*[stage.store.wake_due] * 4) for run in ids(answer)]
    woken += ids(stage.store.wake_due())
    assert sorted(woken) == sorted(parked)


def test_the_dead_are_buried_once(stage: Stage) -> None:
    lost = [stage.claimed().run.id for _ in range(20)]
    found = [run for answer in together(*[partial(stage.store.bury, ["wrk_one"])] * 4) for run in ids(answer)]
    assert sorted(found) == sorted(lost)


def test_a_pending_event_starts_its_runs_once(stage: Stage) -> None:
    stage.declare(function(), function("child", "celeriac/run.finished"))
    for _ in range(10):
        stage.finish(stage.claimed())
    started = [run for answer in together(*[stage.store.match_pending] * 4) for run in ids(answer.queued)]
    started += ids(stage.store.match_pending().queued)
    assert len(started) == len(set(started)) == 10


def test_one_id_sent_by_many_at_once_is_one_event(stage: Stage) -> None:
    events = [Event("ticket", {}, id=f"id-{n}") for n in range(20)]
    answers = together(
        *[partial(stage.store.ingest, TENANT, given) for given in (events, events[::-1], events[5:] + events[:5])]
    )
    accepted = {one.id for answer in answers for one in answer.accepted}
    assert len(accepted) == 20
    assert sum(len(answer.queued) for answer in answers) == 20


@rounds
def test_groups_that_meet_in_opposite_order_do_not_block_each_other(stage: Stage, turn: int) -> None:
    claims = [stage.claimed() for _ in range(6)]

    def group(name: str, order: int) -> list[int | None]:
        return stage.store.commit([step_done(claim, name) for claim in claims[::order]])

    answers = together(partial(group, "a", 1), partial(group, "b", -1))
    assert sorted(answers[0] + answers[1]) == [1] * 6 + [2] * 6


def test_the_workers_of_an_app_may_declare_at_once(stage: Stage) -> None:
    functions = [function(f"work-{n}") for n in range(5)]
    together(*[partial(stage.store.declare, "desk", functions, [])] * 4)
    assert len(stage.send(Event("ticket"))) == 5
