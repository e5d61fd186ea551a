"""Looking back for what came before a wait: all that is old is read, none of it under the lock of its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select
from store_stage import Stage, event_wait, function, ids, outgoing, step_done

from celeriac.database import answers_within, connect, transaction
from celeriac.platform.durable.memo import Wait
from celeriac.platform.event import Event
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.tables import events

HOUR = timedelta(hours=1)

#: more than one page, and more than two
MANY = 1_050


@pytest.fixture
def beside(engine: Engine) -> Iterator[Stage]:
    """The same store as another process has it."""
    other = connect(engine.url.render_as_string(hide_password=False))
    yield Stage(SqlStore(other))
    other.dispose()


@contextmanager
def after_the_old_ones_are_read(engine: Engine, act: Callable[[], Any]) -> Iterator[list[Any]]:
    """Act once, when the first page of events has been read."""
    came: list[Any] = []

    def look(_: Any, __: Any, statement: str, *___: Any) -> None:
        if not came and "LIMIT" in statement and "events.received_at >=" in statement:
            with answers_within(timedelta(seconds=5)):
                came.append(act())

    event.listen(engine, "after_cursor_execute", look)
    yield came
    event.remove(engine, "after_cursor_execute", look)


def waited(stage: Stage) -> Wait | None:
    return stage.store.await_event(stage.claimed(), event_wait(match=("data.n", "1")), look_back=HOUR)


@pytest.mark.parametrize("apart", [timedelta(0), timedelta(microseconds=1)])
def test_the_last_of_many_old_events_is_found(sql_stage: Stage, engine: Engine, apart: timedelta) -> None:
    """Whether they came together or one by one."""
    sql_stage.send(Event("answer", {"n": 0}))
    with transaction(engine) as connection:
        row = connection.execute(select(events)).one()._asdict()
        before = [{**row, "id": f"evt_{n}", "received_at": row["received_at"] - n * apart} for n in range(MANY)]
        connection.execute(insert(events), before)
    missed = waited(sql_stage)
    sql_stage.send(Event("answer", {"n": 1}, id="mine"))
    found = waited(sql_stage)
    assert missed is not None and missed.event is None
    assert found is not None and '"id":"mine"' in (found.event or "")


def test_an_event_that_comes_while_the_old_ones_are_read_is_found(
    sql_stage: Stage, beside: Stage, engine: Engine
) -> None:
    """Nobody who sends it waits for them to be read."""
    with after_the_old_ones_are_read(engine, lambda: beside.send(Event("answer", {"n": 1}))) as came:
        wait = waited(sql_stage)
    assert came == [[]]
    assert wait is not None and wait.event is not None


def test_an_event_of_a_step_that_is_matched_while_the_old_ones_are_read_is_found(
    sql_stage: Stage, beside: Stage, engine: Engine
) -> None:
    """It was received before, in a transaction that ended after."""
    sender = beside.claimed()

    def send() -> list[str]:
        beside.store.commit([step_done(sender, "send", events=(outgoing(name="answer"),))])
        with transaction(engine) as connection:
            connection.execute(events.update().values(received_at=beside.store.now() - HOUR / 2))
        return [one.name for one in beside.store.match_pending().accepted]

    with after_the_old_ones_are_read(engine, send) as came:
        wait = waited(sql_stage)
    assert came == [["answer"]]
    assert wait is not None and wait.event is not None


def test_an_event_that_is_found_wakes_nobody_twice(sql_stage: Stage) -> None:
    sql_stage.declare(function(), function("child", "answer"))
    sender, waiting = sql_stage.claimed(), sql_stage.claimed()
    sql_stage.store.commit([step_done(sender, "send", events=(outgoing(name="answer"),))])
    wait = sql_stage.store.await_event(waiting, event_wait(match=("data.n", "1")), look_back=HOUR)
    assert wait is not None and wait.event is not None
    assert waiting.run.id not in ids(sql_stage.store.match_pending().queued)
    assert sql_stage.refreshed(waiting).wakes == waiting.wakes
