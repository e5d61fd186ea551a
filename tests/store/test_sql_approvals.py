"""Open approvals from SQL: what waits for a person is found among everything else that waits, in the order asked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, update
from store_stage import FUTURE, OTHER, PAST, TENANT, Stage, event_wait

from approval_stage import PATH, park_at_approval
from celeriac.database import db_now, transaction
from celeriac.platform.approval import ApprovalRequest
from celeriac.platform.durable.memo import Wait
from celeriac.platform.event import signal_name
from celeriac.platform.store.sql_reads import SqlReads
from celeriac.platform.store.tables import waits


@pytest.fixture
def reads(engine: Engine) -> SqlReads:
    return SqlReads(engine)


def asked(stage: Stage, tenant: str = TENANT) -> tuple[str, ApprovalRequest]:
    """Return a run that asks for an approval, and what it asks."""
    run_id = stage.queued(tenant).run_id
    return run_id, park_at_approval(stage.store, run_id)


def test_a_call_that_waits_is_found_with_its_request(sql_stage: Stage, reads: SqlReads) -> None:
    run_id, request = asked(sql_stage)
    [found] = reads.approvals(TENANT).approvals
    assert (found.run_id, found.app, found.function_id) == (run_id, "desk", "work")
    assert (found.call.path, found.call.request) == (PATH, request)
    assert found.call.expires_at.isoformat() == request.expires_at and found.call.is_open


@pytest.mark.parametrize("signal", ["approval:apr_", "approval:apr_x", "approvalXapr_01", "approval", "approved:o1"])
def test_other_waits_are_not_taken_for_approvals(sql_stage: Stage, reads: SqlReads, signal: str) -> None:
    sql_stage.parked(event_wait())
    sql_stage.parked(Wait(path="a/approval", kind="signal", event_name=signal_name(signal), wake_at=FUTURE))
    assert reads.approvals(TENANT).approvals == []


def test_a_tenant_sees_its_own(sql_stage: Stage, reads: SqlReads) -> None:
    asked(sql_stage, OTHER)
    run_id, _ = asked(sql_stage)
    assert [one.run_id for one in reads.approvals(TENANT).approvals] == [run_id]
    [others] = reads.approvals(OTHER).approvals
    assert reads.approvals(TENANT, run_id=others.run_id).approvals == []


def test_calls_of_one_moment_are_paged_once_each(sql_stage: Stage, reads: SqlReads, engine: Engine) -> None:
    made = {asked(sql_stage)[0] for _ in range(7)}
    with transaction(engine) as connection:
        connection.execute(update(waits).values(since=db_now()))
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = reads.approvals(TENANT, limit=2, cursor=cursor)
        seen += [one.run_id for one in page.approvals]
        cursor = page.next_cursor
    assert cursor is None and len(seen) == 7 and set(seen) == made


def test_the_newest_is_first(sql_stage: Stage, reads: SqlReads, engine: Engine) -> None:
    made = [asked(sql_stage)[0] for _ in range(3)]
    with transaction(engine) as connection:
        for hour, run_id in enumerate(made):
            at = PAST + timedelta(hours=hour)
            connection.execute(update(waits).where(waits.c.run_id == run_id).values(since=at))
    assert [one.run_id for one in reads.approvals(TENANT).approvals] == made[::-1]


@pytest.mark.parametrize("cursor", ["", "!", "bnVsbA"])
def test_a_cursor_that_is_none_is_refused(reads: SqlReads, cursor: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        reads.approvals(TENANT, cursor=cursor)
