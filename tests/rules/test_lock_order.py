"""The order of locks: who waits for a run, or for a key, holds nothing that whoever has it may still need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, select, update

from celeriac.database import transaction
from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.placed import DEADLY, Process
from celeriac.platform.durable.store import Claim
from celeriac.platform.event import Event
from celeriac.platform.store.sql_part import lock_names
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.tables import events, placed_steps, run_keys, runs, waits
from rules.held_commits import until_one_waits
from store.store_stage import PAST, TENANT, Stage, event_wait, function, ids, sleep, step_done, worker


@pytest.fixture
def stage(postgres: Engine) -> Stage:
    """A store in which `work` starts on `ticket`."""
    stage = Stage(SqlStore(postgres))
    stage.declare(function())
    return stage


@contextmanager
def meanwhile(engine: Engine, lock: Callable[[Connection], Any], move: Callable[[], Any]) -> Iterator[Connection]:
    """Let the move wait for a lock that the yielded connection has; at the end it must come to its own."""
    with ThreadPoolExecutor(1) as thread:
        with transaction(engine) as connection:
            lock(connection)
            moved = thread.submit(move)
            until_one_waits(engine)
            yield connection
        moved.result(10)


def run_of(claim: Claim) -> Callable[[Connection], Any]:
    """Lock the row of a run."""
    return lambda connection: connection.execute(select(runs.c.id).where(runs.c.id == claim.run.id).with_for_update())


def take(connection: Connection, table: Table, *where: Any) -> int:
    """Lock rows at once; raise where somebody has one of them."""
    return len(connection.execute(select(table).where(*where).with_for_update(nowait=True)).all())


def performed(stage: Stage, engine: Engine, claim: Claim, path: str, *, deaths: int = 0) -> None:
    """Let a process perform a placed step of the run."""
    stage.store.place(claim, path, "cpu", "[]")
    stage.store.claim_placed(claim.run.id, path, Process(worker_id="wrk_one", pid=7, pid_started=70))
    with transaction(engine) as connection:
        connection.execute(update(placed_steps).where(placed_steps.c.path == path).values(deaths=deaths))


def test_who_gives_placed_steps_back_waits_for_their_runs_first(stage: Stage, postgres: Engine) -> None:
    """The run may be another's who commits the first of the steps."""
    claim = stage.claimed("wrk_two")
    performed(stage, postgres, claim, "a")
    performed(stage, postgres, claim, "b", deaths=DEADLY - 1)
    given = [one for one, _ in stage.store.performing("wrk_one")]
    with meanwhile(postgres, run_of(claim), lambda: stage.store.give_back_placed(given)) as connection:
        assert take(connection, placed_steps) == 2


def test_who_buries_locks_all_runs_in_one_order(stage: Stage, postgres: Engine) -> None:
    """A run whose placed step fails by it may come before one that its worker executed."""
    first, second = sorted([stage.queued().run_id, stage.queued().run_id])
    placing = stage.claim(first, "wrk_two")
    stage.claim(second, "wrk_one")
    stage.store.register(worker())
    performed(stage, postgres, placing, "a", deaths=DEADLY - 1)
    with meanwhile(postgres, run_of(placing), lambda: stage.store.bury(["wrk_one"])) as connection:
        assert take(connection, runs, runs.c.id == second) == 1
    assert stage.store.held("wrk_one") == []


def test_a_wait_that_ends_quietly_is_left_to_who_has_its_run(stage: Stage, postgres: Engine) -> None:
    claim = stage.claimed()
    stage.begin(claim, sleep("a", wake_at=PAST))
    stage.store.commit([step_done(claim, "a")])
    with transaction(postgres) as connection:
        run_of(claim)(connection)
        assert stage.store.wake_due() == []
        assert take(connection, waits, waits.c.resolved_at.is_(None)) == 1
    assert stage.store.wake_due() == []
    assert not stage.store.due().waits


def test_an_id_that_may_be_used_again_is_found_before_any_run_is_locked(stage: Stage, postgres: Engine) -> None:
    """Else a key would be waited for by who holds a run that another event wakes."""
    stage.declare(function(rules=StartRules(idempotency="event.data.id")))
    waiting = stage.parked(event_wait())
    old = Event("ticket", {"id": "T-2"}, id="same")
    stage.send(old)
    with transaction(postgres) as connection:
        connection.execute(update(events).where(events.c.sender_id == "same").values(received_at=PAST))
        key = connection.execute(select(run_keys).where(run_keys.c.key == '"T-2"')).one()
    woken: list[str] = []

    def lock(connection: Connection) -> None:
        lock_names(connection, {("key", key.tenant_id, key.app, key.function_id, key.kind, key.key)}, "exclusive")

    with meanwhile(postgres, lock, lambda: woken.extend(ids(stage.send(Event("answer"), old)))) as connection:
        assert take(connection, runs, runs.c.id == waiting.run.id, runs.c.tenant_id == TENANT) == 1
    assert woken == [waiting.run.id]
