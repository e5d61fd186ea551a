"""Forged messages: whoever may write to the broker or to Redis starts nothing that the truth does not allow."""

from __future__ import annotations

from dataclasses import replace

from store_stage import TENANT, Stage, sleep, step_done

from celeriac.platform.durable.store import Link

FORGED = Link(id="forged", root_id="forged")


def test_a_message_with_another_tenant_s_run_acts_for_that_run_s_own_tenant(stage: Stage) -> None:
    """Messages carry ids alone: whose a run is, is read from the truth."""
    theirs = stage.queued(tenant="ten_other")
    claim = stage.claim(replace(theirs, tenant_id=TENANT).run_id, link=FORGED)
    assert (claim.run.tenant_id, claim.run.id) == ("ten_other", theirs.run_id)


def test_a_message_moves_no_run_that_is_not_queued(stage: Stage) -> None:
    """Parked, executing, ended or unknown: nothing is claimed and nothing told."""
    parked, ended, executing = stage.parked(sleep()), stage.claimed(), stage.claimed()
    stage.finish(ended)
    for run_id in (parked.run.id, ended.run.id, executing.run.id, "run_none"):
        assert stage.store.claim(run_id, "wrk_two", FORGED) is None
    assert stage.store.commit([step_done(executing, "goes-on")]) == [1]


def test_a_step_cannot_be_committed_for_another_tenant(stage: Stage) -> None:
    claim = stage.claimed()
    assert stage.store.commit([replace(step_done(claim, "a"), tenant_id="ten_other")]) == [None]
    assert stage.store.commit([step_done(claim, "a")]) == [1]
