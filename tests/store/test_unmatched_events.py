"""Events whose matching fails, and waits that nobody closed: each by itself, so that no other tenant notices."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from store_stage import OTHER, PAST, TENANT, Stage, event_wait, function, outgoing, step_done

from celeriac.database import transaction
from celeriac.platform.durable.memo import Wait
from celeriac.platform.event import signal_name
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.tables import events, waits


def set_data(engine: Engine, event_id: str, data: str) -> None:
    """Let an event hold this, whatever the codec says to it."""
    with transaction(engine) as connection:
        connection.execute(events.update().where(events.c.id == event_id).values(data=data))


def test_an_event_that_cannot_be_matched_holds_up_no_other(
    sql_stage: Stage, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    sql_stage.declare(function(), function("next", "answer"))
    sql_stage.parked(event_wait(match_path="data.deep", match_value="1"))
    for tenant, event_id in ((TENANT, "evt_bad"), (OTHER, "evt_good")):
        sent = (outgoing(event_id, "answer"),)
        sql_stage.store.commit([step_done(sql_stage.claimed(tenant=tenant), "send", events=sent)])
    set_data(engine, "evt_bad", '{"deep":' + "[" * 600 + "]" * 600 + "}")
    matched = sql_stage.store.match_pending()
    assert ([one.id for one in matched.accepted], len(matched.queued)) == (["evt_good"], 1)
    assert "evt_bad" in caplog.text
    set_data(engine, "evt_bad", '{"deep":1}')
    assert sql_stage.store.match_pending().accepted == [], "it is passed over for a minute"
    assert [one.id for one in SqlStore(engine).match_pending().accepted] == ["evt_bad"]


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
