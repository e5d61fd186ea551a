"""Reads: a tenant sees its runs, and nobody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, update
from store_stage import FUTURE, OTHER, PAST, TENANT, Stage, attempt_failed, event_wait, function, step_done, worker

from celeriac.database import transaction
from celeriac.errors import NotFoundError
from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.reads import RunFilter
from celeriac.platform.event import Event
from celeriac.platform.flow.limits import Batch
from celeriac.platform.run import Status
from celeriac.platform.store.sql_reads import SqlReads
from celeriac.platform.store.tables import runs

ALL = RunFilter()


@pytest.fixture
def reads(engine: Engine) -> SqlReads:
    return SqlReads(engine)


def test_runs_are_listed_newest_first(sql_stage: Stage, reads: SqlReads) -> None:
    made = [sql_stage.queued().run_id for _ in range(3)]
    page = reads.runs(TENANT, ALL)
    assert [run.id for run in page.runs] == made[::-1]
    assert page.next_cursor is None


def test_a_cursor_leads_through_all_runs_once(sql_stage: Stage, reads: SqlReads) -> None:
    sql_stage.send(*[Event("ticket") for _ in range(7)])  # of one moment, so that the id decides
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = reads.runs(TENANT, ALL, limit=2, cursor=cursor)
        seen += [run.id for run in page.runs]
        cursor = page.next_cursor
    assert cursor is None
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize("cursor", ["", "!", "abc", "bnVsbA", "WzEsMl0", "ü"])
def test_a_cursor_that_is_none_is_refused(reads: SqlReads, cursor: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        reads.runs(TENANT, ALL, cursor=cursor)


def test_runs_are_filtered(sql_stage: Stage, reads: SqlReads) -> None:
    sql_stage.declare(function(), function("other", "two"))
    claim = sql_stage.claimed()
    (other,) = sql_stage.send(Event("two"))
    assert [run.id for run in reads.runs(TENANT, RunFilter(status="running")).runs] == [claim.run.id]
    assert [run.id for run in reads.runs(TENANT, RunFilter(function_id="other")).runs] == [other.run_id]
    assert [run.id for run in reads.runs(TENANT, RunFilter(event_id=claim.run.event_id)).runs] == [claim.run.id]
    assert reads.functions(TENANT) == ["other", "work"]


def test_another_tenant_sees_nothing(sql_stage: Stage, reads: SqlReads) -> None:
    claim = sql_stage.claimed()
    assert reads.runs(OTHER, ALL).runs == []
    assert reads.functions(OTHER) == []
    for read in (reads.run, reads.view):
        with pytest.raises(NotFoundError, match=claim.run.id):
            read(OTHER, claim.run.id)
    with pytest.raises(NotFoundError):
        reads.event_runs(OTHER, claim.run.event_id or "")


def test_an_event_leads_to_its_runs(sql_stage: Stage, reads: SqlReads) -> None:
    sql_stage.declare(function(), function("audit", "ticket"))
    (accepted, silent) = sql_stage.store.ingest(TENANT, [Event("ticket"), Event("silent")]).accepted
    assert sorted(run.function_id for run in reads.event_runs(TENANT, accepted.id)) == ["audit", "work"]
    assert reads.event_runs(TENANT, silent.id) == []
    with pytest.raises(NotFoundError):
        reads.event_runs(TENANT, "evt_unknown")


def test_a_run_is_read_as_it_stands(sql_stage: Stage, reads: SqlReads) -> None:
    claim = sql_stage.claimed()
    assert reads.run(TENANT, claim.run.id) == claim.run
    sql_stage.finish(claim)
    run = reads.run(TENANT, claim.run.id)
    assert (run.status, run.output, run.is_final) == ("completed", {"ok": True}, True)


def test_the_view_shows_the_tree_and_the_event(sql_stage: Stage, reads: SqlReads) -> None:
    claim = sql_stage.claimed()
    sql_stage.store.commit([step_done(claim, "net/turn:1/infer", kind="model"), step_done(claim, "net/turn:1")])
    view = reads.view(TENANT, claim.run.id)
    assert view.event == claim.event
    assert view.root_id == "link-1"
    assert view.waiting_for is None
    (net,) = view.steps
    assert [child.path for child in net.children[0].children] == ["net/turn:1/infer"]


def test_the_view_says_what_the_run_waits_for(sql_stage: Stage, reads: SqlReads) -> None:
    parked = sql_stage.parked(event_wait(match=("data.id", '"T-1"')))
    view = reads.view(TENANT, parked.run.id)
    assert view.waiting_for == "waits for event 'answer' with data.id = 'T-1' until 2100-01-01 00:00:00 UTC"
    assert [wait.path for wait in view.waits] == ["reply"]
    assert reads.view(TENANT, sql_stage.queued().run_id).waiting_for == "queued: waits for a worker"


def test_the_reasons_of_many_runs_cost_one_statement(engine: Engine, sql_stage: Stage, reads: SqlReads) -> None:
    parked = [sql_stage.parked(event_wait(name=f"answer-{n}")).run.id for n in range(5)]
    others = [sql_stage.queued().run_id, sql_stage.claimed().run.id, "run_unknown"]
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    reasons = reads.reasons(TENANT, [*parked, *others])
    assert len([one for one in statements if one != "BEGIN"]) == 1
    assert reasons == {
        run_id: words for run_id in [*parked, *others[:1]] if (words := reads.view(TENANT, run_id).waiting_for)
    }
    assert len(reasons) == 6
    assert reads.reasons(OTHER, parked) == reads.reasons(TENANT, []) == {}


def test_reasons_are_worded_as_the_view_words_them(sql_stage: Stage, reads: SqlReads) -> None:
    sql_stage.declare(function(retries=2))
    claim = sql_stage.claimed()
    sql_stage.store.commit([attempt_failed(claim, "charge", 1, PAST), attempt_failed(claim, "charge", 2, FUTURE)])
    sql_stage.store.wake_due()
    assert sql_stage.store.park(sql_stage.refreshed(claim))
    assert reads.reasons(TENANT, [claim.run.id]) == {claim.run.id: reads.view(TENANT, claim.run.id).waiting_for}


def test_only_workers_that_were_heard_of_are_shown(sql_stage: Stage, reads: SqlReads) -> None:
    for worker_id in ("wrk_two", "wrk_one"):
        sql_stage.store.register(worker(worker_id))
    assert reads.workers(timedelta(minutes=1)) == [worker("wrk_one"), worker("wrk_two")]
    assert reads.workers(timedelta(seconds=-60)) == []


def test_the_view_shows_attempts_and_how_many_are_left(sql_stage: Stage, reads: SqlReads) -> None:
    sql_stage.declare(function(retries=2))
    claim = sql_stage.claimed()
    sql_stage.store.commit([attempt_failed(claim, "charge", 1, PAST), attempt_failed(claim, "charge", 2, FUTURE)])
    sql_stage.store.wake_due()
    assert sql_stage.store.park(sql_stage.refreshed(claim))
    view = reads.view(TENANT, claim.run.id)
    assert view.waiting_for == "retries step 'charge' at 2100-01-01 00:00:00 UTC (attempt 3 of 3)"
    assert [attempt.error for attempt in view.steps[0].attempts] == [{"name": "OSError", "message": "no"}] * 2


def test_the_runs_of_an_event_are_also_those_that_it_joined(sql_stage: Stage, engine: Engine) -> None:
    sql_stage.declare(function(rules=StartRules(batch=Batch(2, timeout=timedelta(hours=1)))), function("plain"))
    accepted = sql_stage.store.ingest(TENANT, [Event("ticket", {}), Event("ticket", {})]).accepted
    [first, second] = [
        {run.function_id: run.id for run in SqlReads(engine).event_runs(TENANT, one.id)} for one in accepted
    ]
    assert (first["work"] == second["work"], first["plain"] == second["plain"]) == (True, False)


@pytest.mark.parametrize("status", ["queued", "running", "parked", "completed", "failed", "cancelled", "skipped"])
def test_runs_are_listed_by_any_status(sql_stage: Stage, engine: Engine, status: Status) -> None:
    sql_stage.queued()
    run_id = sql_stage.queued().run_id
    with transaction(engine) as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(status=status, worker_id="wrk_one"))
    found = SqlReads(engine).runs(TENANT, RunFilter(status=status)).runs
    assert [run.id for run in found if run.id == run_id] == [run_id]
    assert {run.status for run in found} == {status}
