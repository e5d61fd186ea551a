"""What the way of a plain event costs: it is the hottest of the platform, and each statement on it is a round trip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event
from starting_stage import ticket
from store_stage import Stage, function

from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.event import Event
from celeriac.platform.flow.limits import Concurrency, Priority, Singleton, Throttle
from celeriac.platform.store.sql_store import SqlStore


@pytest.fixture
def on_postgres(postgres_schema: Engine) -> Stage:
    """A store on Postgres in which `work` starts on `ticket`, and other functions do not."""
    stage = Stage(SqlStore(postgres_schema))
    stage.declare(function(), *(function(f"other-{n}", f"other-{n}") for n in range(20)))
    return stage


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Note the statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(" ".join(statement.split())[:40])

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_limits_that_the_gate_decides_by_cost_an_event_nothing(on_postgres: Stage, postgres_schema: Engine) -> None:
    limits = StartRules(
        concurrency=(Concurrency(1, key="event.data.key"),),
        throttle=Throttle(1, per=timedelta(minutes=1)),
        priority=Priority("event.data.n"),
    )
    on_postgres.declare(function(rules=limits), function("other", "other", rules=StartRules(singleton=Singleton())))
    on_postgres.send(ticket())
    with statements(postgres_schema) as sent:
        [queued] = on_postgres.send(ticket(7))
    assert (len(sent), len(queued.pools), queued.priority) == (3, 1, 7)


@pytest.mark.parametrize("sender_id", [None, "mine"])
def test_an_event_costs_three_statements(on_postgres: Stage, postgres_schema: Engine, sender_id: str | None) -> None:
    on_postgres.send(ticket())
    with statements(postgres_schema) as sent:
        assert len(on_postgres.send(ticket(id=sender_id and f"{sender_id}-{id(sent)}"))) == 1
    assert [words.partition(" ")[0] for words in sent] == ["BEGIN;", "WITH", "COMMIT"]


def test_a_thousand_events_cost_as_many_as_one(on_postgres: Stage, postgres_schema: Engine) -> None:
    on_postgres.send(ticket())
    with statements(postgres_schema) as sent:
        on_postgres.send(*(ticket(n) for n in range(1_000)))
    assert len(sent) == 3


def test_an_event_that_nothing_is_for_costs_as_many(on_postgres: Stage, postgres_schema: Engine) -> None:
    on_postgres.send(ticket())
    with statements(postgres_schema) as sent:
        on_postgres.send(Event("nobody"))
    assert len(sent) == 3


def test_endings_that_nothing_is_for_are_matched_together(on_postgres: Stage, postgres_schema: Engine) -> None:
    while on_postgres.store.match_pending().accepted:
        continue
    for _ in range(20):
        assert on_postgres.finish(on_postgres.claimed())
    with statements(postgres_schema) as sent:
        assert len(on_postgres.store.match_pending().accepted) == 20
    assert [words.partition(" ")[0] for words in sent] == ["SELECT", "BEGIN;", "UPDATE", "COMMIT"]
