"""Bulk actions: many runs page by page, each of them once, whoever does the pages and whenever they stop."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from store_stage import LINK, OTHER, TENANT, Stage, function, ids, sleep, together

from celeriac.database import reading, transaction
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.platform.durable.bulk import PAGE, BulkAction, BulkKind
from celeriac.platform.durable.operations import Operations
from celeriac.platform.durable.operator import Operator
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.durable.store import Ending
from celeriac.platform.event import Event
from celeriac.platform.run import Run
from celeriac.platform.store.sql_operations import SqlOperations
from celeriac.platform.store.sql_reads import SqlReads
from celeriac.platform.store.tables import bulk_actions, runs

WORK = RunFilter(function_id="work")


@pytest.fixture
def operations(engine: Engine) -> Operations:
    return SqlOperations(engine)


@pytest.fixture
def reads(engine: Engine) -> SqlReads:
    return SqlReads(engine)


def send(stage: Stage, number: int, tenant: str = TENANT, **data: object) -> list[str]:
    """Start so many runs and return their ids."""
    return ids(stage.send(*[Event("ticket", {"n": n, **data}) for n in range(number)], tenant=tenant))


def carry_out(operations: Operations, action: BulkAction) -> BulkAction:
    """Do all pages."""
    while operations.advance(action.id).goes_on:
        assert operations.action(action.tenant_id, action.id).status == "running"
    return operations.action(action.tenant_id, action.id)


def statuses(reads: SqlReads, run_ids: list[str], tenant: str = TENANT) -> set[str]:
    """Return the states of the runs."""
    return {reads.run(tenant, run_id).status for run_id in run_ids}


def all_runs(reads: SqlReads, **where: Any) -> list[Run]:
    """Return all runs of the tenant that fit."""
    found, cursor = [], ""
    while cursor is not None:
        page = reads.runs(TENANT, RunFilter(**where), limit=100, cursor=cursor or None)
        found += page.runs
        cursor = page.next_cursor
    return found


def test_runs_that_stand_are_cancelled_and_those_that_execute_are_asked(
    sql_stage: Stage, operations: Operations, reads: SqlReads
) -> None:
    queued, parked, running = sql_stage.queued().run_id, sql_stage.parked(sleep()), sql_stage.claimed()
    action = operations.begin(TENANT, "cancel", WORK)
    assert (action.status, action.total) == ("running", 3)
    advance = operations.advance(action.id)
    assert sorted(advance.ended) == sorted([queued, parked.run.id])
    assert (advance.flagged, advance.goes_on) == (1, False)
    assert statuses(reads, [queued, parked.run.id]) == {"cancelled"}
    assert sql_stage.refreshed(running).cancel_requested
    over = operations.action(TENANT, action.id)
    assert (over.status, over.seen, over.changed) == ("completed", 3, 3)
    assert over.ended_at is not None


def test_pages_lead_through_all_runs(sql_stage: Stage, operations: Operations, reads: SqlReads) -> None:
    """Also where all of them were created at the same moment."""
    made = send(sql_stage, 2 * PAGE + 7)
    over = carry_out(operations, operations.begin(TENANT, "cancel", WORK))
    assert (over.total, over.seen, over.changed) == (len(made), len(made), len(made))
    assert statuses(reads, made) == {"cancelled"}


def test_runs_that_come_later_and_those_of_others_are_left_alone(
    sql_stage: Stage, operations: Operations, reads: SqlReads
) -> None:
    foreign, mine = send(sql_stage, 3, OTHER), send(sql_stage, 3)
    action = operations.begin(TENANT, "cancel", WORK)
    later = send(sql_stage, 3)
    assert carry_out(operations, action).changed == 3
    assert statuses(reads, mine) == {"cancelled"}
    assert statuses(reads, later) == {"queued"}
    assert statuses(reads, foreign, OTHER) == {"queued"}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (RunFilter(status="queued"), {"work", "other"}),
        (RunFilter(app="desk", function_id="work"), {"work"}),
        (RunFilter(app="shop", function_id="work"), set()),
        (RunFilter(event_name="two"), {"other"}),
        (RunFilter(event_name="two", if_="event.data.n == 1"), {"other"}),
        (RunFilter(status="parked", if_="true"), set()),
        (RunFilter(if_="event.data.n == 1"), {"other"}),
        (RunFilter(if_="run.function_id == 'work' && event.name == 'ticket'"), {"work"}),
        (RunFilter(if_="event.data.nothing == 1 || run.output.x > 2"), set()),
    ],
)
def test_a_filter_chooses(
    sql_stage: Stage, operations: Operations, reads: SqlReads, where: RunFilter, expected: set[str]
) -> None:
    sql_stage.declare(function(), function("other", "two"))
    sql_stage.send(Event("ticket", {"n": 0}), Event("two", {"n": 1}))
    assert operations.count(TENANT, "cancel", where).total == len(expected)
    over = carry_out(operations, operations.begin(TENANT, "cancel", where))
    assert over.changed == len(expected)
    assert {run.function_id for run in all_runs(reads, status="cancelled")} == expected


def test_a_time_range_chooses(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    made = send(sql_stage, 4)
    first = sql_stage.store.now() - timedelta(hours=4)
    with transaction(engine) as connection:
        for hour, run_id in enumerate(made):
            moved = update(runs).where(runs.c.id == run_id).values(created_at=first + timedelta(hours=hour))
            connection.execute(moved)
    hours = RunFilter(created_after=first + timedelta(hours=1), created_before=first + timedelta(hours=3))
    assert operations.count(TENANT, "cancel", hours).total == 2
    advance = operations.advance(operations.begin(TENANT, "cancel", hours).id)
    assert sorted(advance.ended) == sorted(made[1:3])


def ended(stage: Stage, number: int) -> list[str]:
    """Return the ids of failed runs."""
    made = send(stage, number)
    for run_id in made:
        stage.finish(stage.claim(run_id), Ending(status="failed", error_code="x", error_message="no"))
    return made


def test_a_replay_does_each_run_once(sql_stage: Stage, operations: Operations, reads: SqlReads) -> None:
    old = ended(sql_stage, PAGE + 3)
    standing = send(sql_stage, 2)
    over = carry_out(operations, operations.begin(TENANT, "rerun", WORK))
    assert over.changed == PAGE + 3
    new = [run for run in all_runs(reads) if run.rerun_of is not None]
    assert sorted(run.rerun_of or "" for run in new) == sorted(old)
    assert {run.status for run in new} == {"queued"}
    assert statuses(reads, standing) == {"queued"}


def test_what_cannot_be_done_again_is_passed_over(sql_stage: Stage, operations: Operations, reads: SqlReads) -> None:
    sql_stage.declare(function(), function("other", "two"))
    ended(sql_stage, 2)
    [queued] = sql_stage.send(Event("two"))
    sql_stage.finish(sql_stage.claim(queued.run_id))
    sql_stage.store.pause(TENANT, "desk", "work", is_paused=True)
    over = carry_out(operations, operations.begin(TENANT, "rerun", RunFilter(app="desk")))
    assert (over.seen, over.changed) == (3, 1)
    assert [run.rerun_of for run in all_runs(reads) if run.rerun_of] == [queued.run_id]


def test_a_page_that_a_crash_repeats_makes_no_run_twice(
    sql_stage: Stage, operations: Operations, reads: SqlReads, engine: Engine
) -> None:
    """Nor can it be half done: what the page did and the place behind it are one commit."""
    ended(sql_stage, 5)
    action = operations.begin(TENANT, "rerun", WORK)
    assert len(operations.advance(action.id).queued) == 5
    with transaction(engine) as connection:  # as if the commit had been lost, and the new runs had not
        connection.execute(update(bulk_actions).values(status="running", cursor=None, seen=0, changed=0))
    again = operations.advance(action.id)
    assert (list(again.queued), operations.action(TENANT, action.id).changed) == ([], 0)
    assert len([run for run in all_runs(reads) if run.rerun_of]) == 5


def test_any_number_of_workers_do_each_page_once(sql_stage: Stage, operations: Operations, reads: SqlReads) -> None:
    made = send(sql_stage, 4 * PAGE)
    action = operations.begin(TENANT, "cancel", WORK)
    ended: list[str] = []
    while operations.action(TENANT, action.id).status == "running":
        for advance in together(*[lambda: operations.advance(action.id)] * 3):
            ended += advance.ended
    assert sorted(ended) == sorted(made), "a run was ended by two, or by nobody"
    over = operations.action(TENANT, action.id)
    assert (over.seen, over.changed) == (len(made), len(made))


def test_after_an_abort_no_page_follows(sql_stage: Stage, operations: Operations, reads: SqlReads) -> None:
    made = send(sql_stage, 3 * PAGE)
    action = operations.begin(TENANT, "cancel", WORK)
    first = operations.advance(action.id)
    aborted = operations.abort(TENANT, action.id)
    assert (aborted.status, aborted.changed, len(first.ended)) == ("aborted", PAGE, PAGE)
    assert operations.running() == []
    assert operations.advance(action.id).goes_on is False
    assert len([run for run in all_runs(reads) if run.status == "queued"]) == len(made) - PAGE


def test_an_action_that_is_over_cannot_be_aborted(sql_stage: Stage, operations: Operations) -> None:
    action = operations.begin(TENANT, "cancel", WORK)
    over = carry_out(operations, action)
    assert operations.abort(TENANT, action.id) == over
    assert over.status == "completed"


def test_so_many_actions_of_a_tenant_go_on_at_once(operations: Operations) -> None:
    """Nobody's actions may keep the workers from those of others."""
    begun = [operations.begin(TENANT, "cancel", WORK).id for _ in range(10)]
    with pytest.raises(ConflictError, match="go on already"):
        operations.begin(TENANT, "cancel", WORK)
    assert operations.begin(OTHER, "cancel", WORK).status == "running"
    operations.abort(TENANT, begun[0])
    assert operations.begin(TENANT, "cancel", WORK).status == "running"


def test_another_tenants_action_is_not_found(operations: Operations) -> None:
    action = operations.begin(TENANT, "cancel", WORK)
    for ask in (operations.action, operations.abort):
        with pytest.raises(NotFoundError, match=action.id):
            ask(OTHER, action.id)
    assert operations.actions(OTHER) == []
    assert operations.action(TENANT, action.id).status == "running"


def test_actions_are_listed_newest_first(operations: Operations) -> None:
    begun = [operations.begin(TENANT, "cancel", WORK).id for _ in range(5)]
    first = operations.actions(TENANT, limit=3)
    rest = operations.actions(TENANT, limit=3, before=first[-1].place)
    assert [action.id for action in (*first, *rest)] == begun[::-1]


def test_an_action_tells_its_filter(sql_stage: Stage, operations: Operations) -> None:
    until = sql_stage.store.now()
    where = RunFilter(status="failed", event_name="ticket", created_before=until, if_="event.data.n > 1")
    assert operations.begin(TENANT, "rerun", where).where == where


def test_a_count_of_very_many_is_an_estimate(sql_stage: Stage, operations: Operations) -> None:
    for _ in range(5):
        sql_stage.send(*[Event("ticket", {"n": n % 2}) for n in range(500)])
    exact = operations.count(TENANT, "cancel", WORK)
    half = operations.count(TENANT, "cancel", RunFilter(if_="event.data.n == 1"))
    assert (exact.total, exact.is_exact) == (2_500, True)
    assert not half.is_exact
    assert 1_150 <= half.total <= 1_350


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("cancel", RunFilter()),
        ("rerun", RunFilter()),
        ("cancel", RunFilter(status="failed")),
        ("rerun", RunFilter(status="parked")),
    ],
)
def test_an_action_on_everything_or_nothing_is_refused(
    sql_stage: Stage, operations: Operations, reads: SqlReads, kind: BulkKind, where: RunFilter
) -> None:
    operator = Operator(sql_stage.store, operations, reads, None)  # type: ignore[arg-type]  # nothing is dispatched
    for ask in (operator.begin, operator.count):
        with pytest.raises(ConfigError):
            ask(TENANT, kind, where)
    assert operations.actions(TENANT) == []


@pytest.mark.parametrize("text", ["event.data.", "data.n == 1", "async.data.n == 1"])
def test_an_expression_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        RunFilter(if_=text)


def test_a_run_that_traffic_changes_is_waited_for(sql_stage: Stage, operations: Operations, engine: Engine) -> None:
    """Passing it over would leave it out for ever."""
    run_id = sql_stage.queued().run_id
    action = operations.begin(TENANT, "cancel", WORK)

    def hold_and_claim() -> bool:
        return sql_stage.store.claim(run_id, "wrk_one", LINK) is not None

    claimed, advance = together(hold_and_claim, lambda: operations.advance(action.id))
    assert (len(advance.ended), advance.flagged) == ((0, 1) if claimed else (1, 0))
    with reading(engine) as connection:
        row = connection.execute(select(runs.c.status, runs.c.cancel_requested)).one()
    assert tuple(row) == (("running", True) if claimed else ("cancelled", False))
