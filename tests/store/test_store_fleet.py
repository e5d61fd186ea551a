"""The fleet: who lives, who is dead, and what the dead leave behind."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from store_stage import TENANT, Stage, ids, step_done, worker

from celeriac.database import connect, single
from celeriac.errors import StoreUnavailable
from celeriac.platform.store.sql_store import SqlStore

AT_ONCE = timedelta(0)
HOUR = timedelta(hours=1)


def test_the_time_is_the_databases_and_moves_on(stage: Stage) -> None:
    first, second = stage.store.now(), stage.store.now()
    assert first <= second
    assert abs(first - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_registered_worker_is_alive(stage: Stage) -> None:
    stage.store.register(worker())
    renewal = stage.store.renew("wrk_one")
    assert (renewal.is_alive, renewal.cancelled) == (True, ())
    assert abs(renewal.now - stage.store.now()) < timedelta(minutes=1)


def test_a_worker_without_a_row_is_told_that_it_is_dead(stage: Stage) -> None:
    assert not stage.store.renew("wrk_one").is_alive
    stage.store.register(worker())
    stage.store.retire("wrk_one")
    assert not stage.store.renew("wrk_one").is_alive


def test_a_heartbeat_brings_the_workers_cancelled_runs(stage: Stage) -> None:
    stage.store.register(worker())
    mine, others = stage.claimed("wrk_one"), stage.claimed("wrk_two")
    stage.claimed("wrk_one")
    for claim in (mine, others):
        stage.store.cancel(TENANT, claim.run.id)
    assert stage.store.renew("wrk_one").cancelled == (mine.run.id,)
    stage.finish(mine)
    assert stage.store.renew("wrk_one").cancelled == ()


def test_neighbours_share_host_boot_and_pid_namespace(stage: Stage) -> None:
    near = worker("wrk_near", pid=9)
    for one in (worker(), near, worker("a", host="b"), worker("c", boot_id="c"), worker("d", pid_namespace="d")):
        stage.store.register(one)
    assert stage.store.neighbours("wrk_one") == [near]
    assert stage.store.neighbours("wrk_unknown") == []


def test_the_runs_of_a_buried_worker_are_queued_again(stage: Stage) -> None:
    stage.store.register(worker())
    lost, parked, kept = stage.claimed(), stage.claimed(), stage.claimed("wrk_two")
    stage.store.commit([step_done(lost, "a")])
    assert stage.store.park(parked)
    (queued,) = stage.store.bury(["wrk_one"])
    assert (queued.run_id, queued.fence, queued.is_resume) == (lost.run.id, lost.fence + 1, True)
    assert not stage.store.renew("wrk_one").is_alive
    assert stage.store.refresh(kept) == kept
    assert stage.claim(lost.run.id, "wrk_two").steps == 1


def test_what_the_dead_still_commit_is_refused(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.bury(["wrk_one"])
    assert stage.store.commit([step_done(claim, "a")]) == [None]
    stage.claim(claim.run.id)
    assert stage.store.commit([step_done(claim, "a")]) == [None]


def test_a_worker_is_buried_once(stage: Stage) -> None:
    stage.store.register(worker())
    stage.claimed()
    assert len(stage.store.bury(["wrk_one"])) == 1
    assert stage.store.bury(["wrk_one"]) == []


def test_silent_workers_are_judged_by_the_databases_clock(stage: Stage) -> None:
    stage.store.register(worker())
    claim = stage.claimed()
    assert stage.store.bury([], silent_for=HOUR) == []
    assert stage.store.renew("wrk_one").is_alive
    assert ids(stage.store.bury([], silent_for=AT_ONCE)) == [claim.run.id]
    assert not stage.store.renew("wrk_one").is_alive


def test_a_judgement_that_is_carried_out_late_goes_by_the_time_at_which_it_was_asked_for(stage: Stage) -> None:
    """A database that stood still finds everybody silent when it goes on."""
    before = stage.store.now()
    stage.store.register(worker())
    assert stage.store.bury([], silent_for=AT_ONCE, as_of=before) == []
    assert stage.store.renew("wrk_one").is_alive
    stage.store.bury([], silent_for=HOUR, as_of=before + 2 * HOUR)
    assert stage.store.renew("wrk_one").is_alive
    stage.store.bury([], silent_for=AT_ONCE, as_of=before + 2 * HOUR)
    assert not stage.store.renew("wrk_one").is_alive


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_worker_is_heard_while_all_connections_are_in_use(engine: Engine) -> None:
    """Else the others judge it dead, and take over what it executes."""
    heart = connect(engine.url.render_as_string(hide_password=False), connections=1)
    store = SqlStore(engine, heart=heart)
    store.register(worker())
    with ExitStack() as taken:
        for _ in range(20):
            taken.enter_context(single(engine))
        assert store.renew("wrk_one").is_alive
        with pytest.raises(StoreUnavailable, match="in use"):
            store.now()
    heart.dispose()


def test_nobody_is_buried_without_a_reason(stage: Stage) -> None:
    stage.store.register(worker())
    stage.claimed()
    assert stage.store.bury([]) == []
    assert stage.store.renew("wrk_one").is_alive


def test_a_run_claimed_for_a_worker_that_was_judged_dead_is_found(stage: Stage) -> None:
    """The worker learns of its end by its next heartbeat; a claim in between would stand for ever."""
    stage.store.register(worker())
    stage.store.bury(["wrk_one"])
    claim = stage.claimed("wrk_one")
    assert stage.store.bury([], silent_for=HOUR) == []
    assert ids(stage.store.bury([], silent_for=AT_ONCE)) == [claim.run.id]


def test_a_worker_reads_back_as_it_was_written(stage: Stage) -> None:
    one = worker(capacity=32, version="v3", pid=2**31, pid_started=2**40)
    stage.store.register(replace(one, id="wrk_other"))
    stage.store.register(one)
    assert stage.store.neighbours("wrk_other") == [one]


def test_a_run_that_nobody_executes_is_given_back(stage: Stage) -> None:
    claim = stage.claimed()
    [(run_id, fence)] = [held for held in stage.store.held("wrk_one") if held[0] == claim.run.id]
    assert stage.store.give_back(run_id, fence - 1) is None
    given = stage.store.give_back(run_id, fence)
    assert given is not None and (given.run_id, given.fence) == (run_id, fence + 1)
    assert stage.store.give_back(run_id, fence) is None
