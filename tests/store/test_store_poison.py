"""Poison: each death of a worker raises the suspicion of its runs, and one that died alone three times fails."""

from __future__ import annotations

import pytest
from store_stage import Stage, step_done

from celeriac.platform.durable.placed import Process
from celeriac.platform.durable.poison import ALONE, POISON
from celeriac.platform.durable.store import Claim


def died(stage: Stage, times: int) -> Claim:
    """Return the claim on a run whose worker has died so often."""
    claim = stage.claimed("wrk_0")
    for number in range(times):
        assert [run.run_id for run in stage.store.bury([f"wrk_{number}"])] == [claim.run.id]
        claim = stage.claim(claim.run.id, f"wrk_{number + 1}")
    return claim


@pytest.mark.parametrize("times", (0, 1, 2))
def test_each_death_raises_the_suspicion(stage: Stage, times: int) -> None:
    assert died(stage, times).suspicion == times


def test_the_last_death_fails_the_run_and_says_so(stage: Stage) -> None:
    claim = died(stage, POISON - 1)
    assert stage.store.bury([f"wrk_{POISON - 1}"]) == []
    run = stage.store.cancel(claim.run.tenant_id, claim.run.id)
    assert (run.status, run.error and run.error["code"]) == ("failed", "poison")
    assert [one.name for one in stage.store.match_pending().accepted] == ["celeriac/run.failed"]


def test_the_late_commit_of_a_poisoned_run_is_refused(stage: Stage) -> None:
    claim = died(stage, POISON - 1)
    stage.store.bury([f"wrk_{POISON - 1}"])
    assert stage.store.commit([step_done(claim, "late")]) == [None]


def test_a_link_that_ends_in_order_clears_the_suspicion(stage: Stage) -> None:
    claim = died(stage, ALONE)
    assert stage.store.requeue(claim) is not None
    again = stage.claim(claim.run.id)
    assert again.suspicion == 0


def test_parking_clears_it_too(stage: Stage) -> None:
    claim = died(stage, 1)
    assert stage.store.park(claim)
    stage.store.cancel(claim.run.tenant_id, claim.run.id)
    assert died(stage, 0).suspicion == 0


def test_giving_back_is_no_death_and_clears_nothing(stage: Stage) -> None:
    claim = died(stage, 1)
    assert stage.store.give_back(claim.run.id, claim.fence) is not None
    assert stage.claim(claim.run.id).suspicion == 1


def test_a_commit_clears_it(stage: Stage) -> None:
    claim = died(stage, ALONE)
    assert stage.store.commit([step_done(claim, "past")]) == [1]
    stage.store.bury([f"wrk_{ALONE}"])
    assert stage.claim(claim.run.id).suspicion == 1


def test_the_commit_of_a_placed_step_clears_it(stage: Stage) -> None:
    claim = died(stage, ALONE)
    assert stage.store.place(claim, "crunch", "cpu", "[]") is not None
    held = stage.store.claim_placed(claim.run.id, "crunch", Process(worker_id="wrk_cpu", pid=1, pid_started=1))
    assert held is not None and stage.store.commit_placed(held, step_done(claim, "crunch")) == []
    stage.store.bury([f"wrk_{ALONE}"])
    assert stage.claim(claim.run.id).suspicion == 1


def test_a_worker_that_lives_and_lets_go_raises_no_suspicion(stage: Stage) -> None:
    claim = stage.claimed("wrk_0")
    assert [run.run_id for run in stage.store.bury(["wrk_0"], is_death=False)] == [claim.run.id]
    assert stage.claim(claim.run.id).suspicion == 0
