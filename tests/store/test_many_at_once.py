"""Many at once: neither database takes a statement with a parameter for each of very many values."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import DBAPIError
from store_stage import LINK, TENANT, Stage, event_wait, ids

from celeriac.database import reading, transaction
from celeriac.platform.durable.run_keys import RunKey
from celeriac.platform.durable.store import ClaimWish, Link
from celeriac.platform.event import Event
from celeriac.platform.store.sql_cancelling import end_or_flag
from celeriac.platform.store.sql_part import among
from celeriac.platform.store.sql_starting import standing_for
from celeriac.platform.store.sql_waking import lock_runs
from celeriac.platform.store.tables import events, runs, waits

#: more than the parameters of a statement on Postgres
MANY = 65_536

#: more than are named one by one
SOME = 501


def copies(engine: Engine, run_id: str, count: int) -> list[str]:
    """Copy a run with its waits; return the ids of the copies."""
    made = [f"run_copy_{n}" for n in range(count)]
    with transaction(engine) as connection:
        for table, key in ((runs, runs.c.id), (waits, waits.c.run_id)):
            rows = [row._asdict() for row in connection.execute(select(table).where(key == run_id))]
            if rows:
                connection.execute(insert(table), [{**row, key.name: one} for one in made for row in rows])
    return made


def test_any_number_of_values_is_looked_for(sql_stage: Stage, engine: Engine) -> None:
    wanted = [sql_stage.queued().run_id for _ in range(2)]
    sql_stage.queued()
    strange = ['a"b', "a\\b", "{a,b}", "ä", "NULL", *(f"run_{n}" for n in range(MANY))]
    for values in (wanted, [*strange, *wanted]):
        with reading(engine) as connection:
            found = connection.execute(select(runs.c.id).where(among(runs.c.id, values))).scalars().all()
        assert sorted(found) == sorted(wanted)


def test_any_number_of_runs_is_locked(sql_stage: Stage, engine: Engine) -> None:
    known = sql_stage.queued().run_id
    with transaction(engine) as connection:
        assert lock_runs(connection, {known, *(f"run_{n}" for n in range(MANY))}) == {known: "queued"}


def test_any_number_of_runs_is_cancelled(sql_stage: Stage, engine: Engine) -> None:
    known = sql_stage.queued().run_id
    with transaction(engine) as connection:
        [run] = end_or_flag(connection, dict.fromkeys([known, *(f"run_{n}" for n in range(MANY))], "cancelled"))
    assert (run.id, run.status) == (known, "cancelled")


def test_any_number_of_keys_is_looked_up(sql_stage: Stage, engine: Engine) -> None:
    """A request of 5,000 events may have three for each of them, of five parts each."""
    place = {"tenant_id": TENANT, "app": "desk", "function_id": "work"}
    keys = [RunKey(**place, kind="singleton", key=str(n)) for n in range(14_000)]
    with transaction(engine) as connection:
        assert standing_for(connection, keys, ()) == {}


def test_many_runs_wake_by_one_event(sql_stage: Stage, engine: Engine) -> None:
    parked = sql_stage.parked(event_wait()).run.id
    made = copies(engine, parked, SOME)
    assert sorted(ids(sql_stage.send(Event("answer", {"n": 1})))) == sorted([parked, *made])
    (wait,) = sql_stage.store.waits(sql_stage.claim(made[-1]))
    assert json.loads(wait.event or "")["data"] == {"n": 1}
    assert sql_stage.send(Event("answer")) == []


def test_full_batches_are_claimed_together(sql_stage: Stage, engine: Engine) -> None:
    run_id = sql_stage.queued().run_id
    with transaction(engine) as connection:
        event = connection.execute(select(events)).one()._asdict()
        batch = [f"evt_{n}" for n in range(SOME)]
        connection.execute(insert(events), [{**event, "id": one} for one in batch])
        connection.execute(runs.update().where(runs.c.id == run_id).values(event_ids=json.dumps(batch)))
    wishes = [ClaimWish(run_id=one, link=Link(id=one, root_id=LINK.id)) for one in [run_id, *copies(engine, run_id, 2)]]
    claims = sql_stage.store.claim_all(wishes, "wrk_one")
    assert [len(claim.events) for claim in claims if claim is not None] == [SOME] * 3


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_statement_that_cannot_be_sent_is_not_called_an_outage(sql_stage: Stage, engine: Engine) -> None:
    """What is taken for one is tried for ever, and ends the rounds of all workers."""
    statement = f"SELECT id FROM runs WHERE id IN ({', '.join(['%s'] * MANY)})"
    with pytest.raises(DBAPIError, match="65535"), reading(engine) as connection:
        connection.exec_driver_sql(statement, ("run",) * MANY)
    assert sql_stage.queued()
