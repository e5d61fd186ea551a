"""Processes: what holds between threads holds between real processes on one database."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from store_stage import LINK, Stage, function, ids, step_done

from celeriac.database import connect, migrate
from celeriac.platform.event import Event
from celeriac.platform.store.sql_store import SqlStore

RUNS = 60


def claim_all(url: str, worker_id: str, run_ids: list[str]) -> list[str]:
    """Claim what can be claimed, commit a step to each, and return the ids of the runs that were won."""
    store = SqlStore(connect(url))
    won = []
    for run_id in run_ids:
        claim = store.claim(run_id, worker_id, LINK)
        if claim is not None and store.commit([step_done(claim, "a")]) == [1]:
            won.append(run_id)
    return won


def test_processes_share_the_runs_and_lose_none(database_url: str) -> None:
    migrate(database_url)
    engine = connect(database_url)
    stage = Stage(SqlStore(engine))
    stage.declare(function())
    run_ids = ids(stage.send(*[Event("ticket") for _ in range(RUNS)]))
    engine.dispose()
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes:
        answers = [processes.submit(claim_all, database_url, f"wrk_{n}", run_ids) for n in range(3)]
        won = [run_id for answer in answers for run_id in answer.result(60)]
    assert sorted(won) == sorted(run_ids)
