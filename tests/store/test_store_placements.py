"""Placed steps: claimed and committed by (path, token), whatever becomes of the run's own links meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from store_stage import FUTURE, PAST, Stage, attempt_failed, step_done, worker

from celeriac.platform.durable.declaration import Declaration, StartRules
from celeriac.platform.durable.memo import StepDone
from celeriac.platform.durable.placed import DEADLY, PlacedClaim, Process, member
from celeriac.platform.durable.store import Claim
from celeriac.platform.event import Event
from celeriac.platform.flow.limits import Concurrency

PATH = "network:x/crunch"
ONE, TWO = Process(worker_id="wrk_cpu", pid=1, pid_started=1), Process(worker_id="wrk_cpu", pid=2, pid_started=2)


def placed(stage: Stage) -> Claim:
    """Return the claim on a run that has placed a step and parked."""
    claim = stage.claimed()
    queued = stage.store.place(claim, PATH, "cpu", "[]")
    assert queued is not None
    assert (queued.run_id, queued.fence, queued.queue) == (member(claim.run.id, PATH), 1, "cpu")
    fresh = stage.refreshed(claim)
    assert stage.store.park(fresh)
    return fresh


def taken(stage: Stage, claim: Claim, process: Process = ONE) -> PlacedClaim:
    held = stage.store.claim_placed(claim.run.id, PATH, process)
    assert held is not None
    return held


def done(claim: Claim, value: str | None = "42") -> StepDone:
    return step_done(claim, PATH, value)


def test_a_placed_step_is_performed_and_wakes_its_run(stage: Stage) -> None:
    claim = placed(stage)
    [woken] = stage.store.commit_placed(taken(stage, claim), done(claim)) or []
    assert woken.run_id == claim.run.id
    again = stage.claim(claim.run.id)
    assert [(memo.path, memo.seq, memo.value) for memo in stage.store.memos(again)] == [(PATH, 1, "42")]
    assert stage.store.waits(again) == []


def test_only_one_process_gets_it(stage: Stage) -> None:
    claim = placed(stage)
    taken(stage, claim)
    assert stage.store.claim_placed(claim.run.id, PATH, TWO) is None


def test_an_old_token_commits_nothing(stage: Stage) -> None:
    claim = placed(stage)
    old = taken(stage, claim)
    assert stage.store.give_back_placed([old]) != []
    new = taken(stage, claim, TWO)
    assert stage.store.commit_placed(old, done(claim, "1")) is None
    assert stage.store.commit_placed(new, done(claim, "2")) is not None


def test_a_commit_beside_the_runs_own_link_leaves_no_gap(stage: Stage) -> None:
    claim = stage.claimed()
    assert stage.store.place(claim, PATH, "cpu", "[]") is not None
    assert stage.store.commit([step_done(claim, "before")]) == [1]
    assert stage.store.commit_placed(taken(stage, claim), done(claim)) == []
    assert stage.store.commit([step_done(claim, "after")]) == [3]
    assert not stage.store.park(claim), "the commit was a wake"


def test_placing_twice_places_once(stage: Stage) -> None:
    claim = stage.claimed()
    first = stage.store.place(claim, PATH, "cpu", "[1]")
    assert stage.store.place(claim, PATH, "cpu", "[2]") == first
    assert taken(stage, claim).call == "[1]"


def test_an_old_fence_places_nothing(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.give_back(claim.run.id, claim.fence)
    stage.claim(claim.run.id)
    assert stage.store.place(claim, PATH, "cpu", "[]") is None


def test_a_retry_waits_for_its_time_and_counts_its_attempts(stage: Stage) -> None:
    claim = placed(stage)
    assert stage.store.retry_placed(taken(stage, claim), attempt_failed(claim, PATH, 1, FUTURE))
    assert stage.store.wake_placed() == []
    assert stage.store.claim_placed(claim.run.id, PATH, TWO) is None


def test_a_retry_that_is_due_is_queued_again(stage: Stage) -> None:
    claim = placed(stage)
    assert stage.store.retry_placed(taken(stage, claim), attempt_failed(claim, PATH, 1, PAST))
    [queued] = stage.store.wake_placed()
    assert queued.fence == 2
    assert stage.store.wake_placed() == []
    assert taken(stage, claim, TWO).failed == 1


def test_the_steps_of_a_dead_worker_are_queued_again(stage: Stage) -> None:
    claim = placed(stage)
    taken(stage, claim)
    assert [held.path for held, process in stage.store.performing("wrk_cpu") if process == ONE] == [PATH]
    assert [run.run_id for run in stage.store.bury(["wrk_cpu"])] == [member(claim.run.id, PATH)]
    assert stage.store.performing("wrk_cpu") == []


def test_a_step_that_costs_too_many_processes_fails(stage: Stage) -> None:
    claim = placed(stage)
    given = [stage.store.give_back_placed([taken(stage, claim)]) for _ in range(DEADLY)]
    assert [run.run_id for run in given[-1]] == [claim.run.id]
    [memo] = stage.store.memos(stage.claim(claim.run.id))
    assert "poison" in str(memo.error)


def test_an_ended_run_has_its_steps_performed_in_vain(stage: Stage) -> None:
    claim = placed(stage)
    held = taken(stage, claim)
    stage.store.cancel(claim.run.tenant_id, claim.run.id)
    assert stage.store.commit_placed(held, done(claim)) is None
    assert stage.store.give_back_placed([held]) == []
    assert stage.store.claim_placed(claim.run.id, PATH, TWO) is None
    assert stage.store.stranded_placed(datetime.now(UTC) + timedelta(days=1)) == []


def test_a_step_that_was_never_claimed_is_stranded(stage: Stage) -> None:
    claim = placed(stage)
    [queued] = stage.store.stranded_placed(datetime.now(UTC) + timedelta(days=1))
    assert queued.run_id == member(claim.run.id, PATH)
    assert stage.store.stranded_placed(PAST) == []


def test_stranded_steps_are_told_in_pages(stage: Stage) -> None:
    """So that one that is lost is found behind however many that wait for their turn."""
    claim, future = stage.claimed(), datetime.now(UTC) + timedelta(days=1)
    for path in ("c", "a", "b"):
        stage.store.place(claim, path, "cpu", "[]")
    first, second, third = stage.store.stranded_placed(future)
    assert [one.run_id for one in (first, second, third)] == [member(claim.run.id, path) for path in "abc"]
    assert stage.store.stranded_placed(future, most=2) == [first, second]
    assert stage.store.stranded_placed(future, after=second.run_id) == [third]


def test_a_step_whose_worker_has_no_row_is_queued_again(stage: Stage) -> None:
    """It was claimed in the moment in which its worker was judged dead, so that no death is to come."""
    claim = placed(stage)
    taken(stage, claim)
    assert stage.store.bury([], silent_for=timedelta(hours=1)) == []
    assert [run.run_id for run in stage.store.bury([], silent_for=timedelta(0))] == [member(claim.run.id, PATH)]


def test_a_step_whose_worker_lives_is_left_to_it(stage: Stage) -> None:
    stage.store.register(worker(ONE.worker_id))
    taken(stage, placed(stage))
    assert stage.store.bury([], silent_for=timedelta(hours=1)) == []
    assert [process for _, process in stage.store.performing(ONE.worker_id)] == [ONE]


def lost_race(claim: Claim) -> StepDone:
    """Make the entry of a race that the branch of the placed step has lost."""
    return step_done(claim, "race", '{"winner":"b"}', kind="race", closes=("network:x",))


def test_the_step_of_a_branch_that_has_lost_its_race_is_not_performed(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.place(claim, PATH, "cpu", "[]")
    assert stage.store.commit([lost_race(claim)]) == [1]
    assert stage.store.claim_placed(claim.run.id, PATH, ONE) is None
    assert stage.store.stranded_placed(datetime.now(UTC) + timedelta(days=1)) == []


def test_one_that_loses_its_race_meanwhile_is_performed_in_vain(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.place(claim, PATH, "cpu", "[]")
    held = taken(stage, claim)
    stage.store.commit([lost_race(claim)])
    assert stage.store.park(stage.refreshed(claim))
    assert stage.store.commit_placed(held, done(claim)) is None
    assert stage.store.performing(ONE.worker_id) == []


def test_an_old_message_claims_nothing(stage: Stage) -> None:
    """It names the token that its claim would take."""
    claim = placed(stage)
    assert stage.store.give_back_placed([taken(stage, claim)]) != []
    assert stage.store.claim_placed(claim.run.id, PATH, TWO, token=1) is None
    held = stage.store.claim_placed(claim.run.id, PATH, TWO, token=2)
    assert held is not None and held.token == 2


def test_a_step_that_was_not_begun_stands_queued_as_before(stage: Stage) -> None:
    """With its age, and without a death."""
    claim = placed(stage)
    held = taken(stage, claim)
    queued = stage.store.turn_back_placed(held)
    assert queued is not None and (queued.fence, queued.queued_at) == (2, held.queued_at)
    assert stage.store.turn_back_placed(held) is None
    again = taken(stage, claim)
    assert (again.deaths, again.queued_at) == (0, held.queued_at)


def test_a_placed_step_is_of_its_function_and_counts_in_the_pools_of_links(stage: Stage) -> None:
    """The gate is told both; what is held for the whole run its run holds."""
    limits = (Concurrency(1), Concurrency(2, hold="run"))
    rules = StartRules(concurrency=limits)
    stage.declare(Declaration(app="desk", function_id="scan", triggers=("go",), rules=rules))
    claim = stage.claimed_of(Event("go", {}))
    queued = stage.store.place(claim, PATH, "cpu", "[]")
    assert queued is not None
    assert (queued.function, [pool.is_for_run for pool in queued.pools]) == ("desk/scan", [False])
    assert queued.is_resume
