"""Events whose matching fails, and waits that nobody closed: each by itself, so that no other tenant notices."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from store_stage import OTHER, PAST, TENANT, Stage, event_wait, function, outgoing, step_done

from celeriac.database import transaction
from celeriac.platform.durable.memo import Wait
from celeriac.platform.event import signal_name
from celeriac.platform.store import sql_ingest
from celeriac.platform.store.tables import waits


def test_an_event_that_cannot_be_matched_holds_up_no_other(
    sql_stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sql_stage.declare(function(), function("next", "sent"))
    read = sql_ingest._arrival

    def arrival(row: sql_ingest.AnyRow) -> object:
        if row.id == "evt_bad":
            raise RecursionError("too deep")
        return read(row)

    monkeypatch.setattr(sql_ingest, "_arrival", arrival)
    for tenant, event_id in ((OTHER, "evt_bad"), (TENANT, "evt_good")):
        claim = sql_stage.claimed(tenant=tenant)
        sql_stage.store.commit([step_done(claim, "send", events=(outgoing(event_id),))])
    matched = sql_stage.store.match_pending()
    assert ([one.id for one in matched.accepted], len(matched.queued)) == (["evt_good"], 1)
    assert "evt_bad" in caplog.text
    assert sql_stage.store.match_pending().accepted == [], "it is passed over for a while"
    monkeypatch.setattr(sql_ingest, "_arrival", read)
    sql_stage.store._unmatched._until.clear()  # type: ignore[attr-defined]
    assert [one.id for one in sql_stage.store.match_pending().accepted] == ["evt_bad"]


def test_an_open_wait_of_an_ended_run_is_closed_when_it_is_due(sql_stage: Stage, engine: Engine) -> None:
    """It comes from an older version, say; nobody is woken by it, and it does not stand in the way of others."""
    ended = sql_stage.claimed()
    sql_stage.begin(ended, event_wait(wake_at=PAST))
    sql_stage.finish(ended)
    with transaction(engine) as connection:
        connection.execute(waits.update().values(resolved_at=None))
    assert sql_stage.store.due().waits
    assert sql_stage.store.wake_due() == []
    assert not sql_stage.store.due().waits


def test_an_open_wait_of_an_ended_run_keeps_no_signal(sql_stage: Stage, engine: Engine) -> None:
    wait = Wait(path="a", kind="signal", event_name=signal_name("approve"), wake_at=PAST)
    ended = sql_stage.claimed()
    sql_stage.begin(ended, wait)
    sql_stage.finish(ended)
    with transaction(engine) as connection:
        connection.execute(waits.update().values(resolved_at=None))
    assert sql_stage.store.await_event(sql_stage.claimed(), wait) is not None
