"""Two moves on Postgres of which the second begins when the first has done everything but commit."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, update

from celeriac.database import db_ago, transaction
from celeriac.platform.event import Event
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.tables import workers
from rules.held_commits import held_commits
from store.store_stage import Stage, event_wait, function, step_done, worker

HOUR = timedelta(hours=1)


@pytest.fixture
def stage(postgres: Engine) -> Stage:
    """A store in which `work` starts on `ticket`."""
    stage = Stage(SqlStore(postgres))
    stage.declare(function())
    return stage


def test_a_claim_waits_for_a_commit_that_is_under_way(stage: Stage, postgres: Engine) -> None:
    """Else the new worker does not see the step, and its body runs again."""
    claim = stage.claimed("wrk_old")

    def take_over() -> list[str]:
        stage.store.bury(["wrk_old"])
        return [memo.path for memo in stage.store.memos(stage.claim(claim.run.id, "wrk_new"))]

    with held_commits(postgres, "steps") as held:
        commit = held.begin(partial(stage.store.commit, [step_done(claim, "charge")]))
        seen = held.meet(take_over)
    assert (commit.result(10), seen.result(10)) == ([1], ["charge"])


def test_a_claim_waits_for_a_group_that_is_under_way(stage: Stage, postgres: Engine) -> None:
    """The same for the statement that commits many runs at once."""
    claims = [stage.claimed("wrk_old"), stage.claimed("wrk_old")]

    def take_over() -> list[int]:
        stage.store.bury(["wrk_old"])
        return [len(stage.store.memos(stage.claim(claim.run.id, "wrk_new"))) for claim in claims]

    with held_commits(postgres, "steps") as held:
        commit = held.begin(partial(stage.store.commit, [step_done(claim, "charge") for claim in claims]))
        seen = held.meet(take_over)
    assert (commit.result(10), seen.result(10)) == ([1, 1], [1, 1])


def fall_silent(engine: Engine) -> None:
    """Let the last renewal of every worker be two hours ago."""
    with transaction(engine) as connection:
        connection.execute(update(workers).values(seen_at=db_ago(2 * HOUR)))


def test_a_renewal_that_is_under_way_is_not_judged(stage: Stage, postgres: Engine) -> None:
    """The judgement waits for it, and looks at the row again: the worker goes on, and so it has to keep its runs."""
    stage.store.register(worker("wrk_old"))
    claim = stage.claimed("wrk_old")
    fall_silent(postgres)
    with held_commits(postgres, "workers") as held:
        renewal = held.begin(partial(stage.store.renew, "wrk_old"))
        judged = held.meet(partial(stage.store.bury, [], silent_for=HOUR))
    assert (renewal.result(10).is_alive, judged.result(10)) == (True, [])
    assert stage.store.commit([step_done(claim, "charge")]) == [1]


def test_a_renewal_waits_for_a_judgement_that_is_under_way(stage: Stage, postgres: Engine) -> None:
    """Else the worker goes on with runs that are others' by now."""
    stage.store.register(worker("wrk_old"))
    claim = stage.claimed("wrk_old")
    fall_silent(postgres)
    with held_commits(postgres, "runs") as held:
        judged = held.begin(partial(stage.store.bury, [], silent_for=HOUR))
        renewal = held.meet(partial(stage.store.renew, "wrk_old"))
    assert ([run.run_id for run in judged.result(10)], renewal.result(10).is_alive) == ([claim.run.id], False)


def test_a_wake_that_is_not_committed_yet_keeps_the_run_from_parking(stage: Stage, postgres: Engine) -> None:
    """Else the run stands still for ever: the wake found it running, and the parking found its wait open."""
    claim = stage.claimed()
    stage.begin(claim, event_wait())
    with held_commits(postgres, "waits") as held:
        sent = held.begin(partial(stage.send, Event("answer")))
        did_park = held.meet(partial(stage.store.park, claim))
    assert (sent.result(10), did_park.result(10)) == ([], False)


@pytest.mark.parametrize("first", ["event", "wait"])
def test_an_event_and_a_wait_that_meet_find_each_other(stage: Stage, postgres: Engine, first: str) -> None:
    """Without their lock neither transaction sees what the other has not committed yet."""
    claim = stage.claimed()
    register = partial(stage.store.await_event, claim, event_wait(), look_back=HOUR)
    send = partial(stage.send, Event("answer", {"n": 1}))
    moves = (send, register) if first == "event" else (register, send)
    with held_commits(postgres, "events" if first == "event" else "waits") as held:
        both = [held.begin(moves[0]), held.meet(moves[1])]
    for one in both:
        one.result(10)
    [wait] = stage.store.waits(claim)
    assert wait.event is not None
