"""The moves of a run: whatever is asked of a store, a run goes only where the table lets it go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import celeriac.platform.memory.tables
import celeriac.platform.store.tables
import celeriac.tenants.tables  # noqa: F401 (the three rooms with tables)
from celeriac.database import connect, migrate
from celeriac.platform.durable.store import Claim, Ending
from celeriac.platform.event import Event
from celeriac.platform.run import FINAL, MOVES, Status
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.sql_store import SqlStore
from rules.engine_books import Books, LocalBooks, SqlBooks
from store.store_stage import LINK, PAST, TENANT, Stage, event_wait, function, sleep

#: what can be asked of a store about a run, by whom ever, with a claim that may be old
ASKED: dict[str, Callable[[Stage, Claim], Any]] = {
    "claim": lambda stage, claim: stage.store.claim(claim.run.id, "wrk_new", LINK),
    "park": lambda stage, claim: stage.store.park(claim),
    "requeue": lambda stage, claim: stage.store.requeue(claim),
    "finish": lambda stage, claim: stage.finish(claim),
    "cancel": lambda stage, claim: stage.store.cancel(TENANT, claim.run.id),
    "bury": lambda stage, claim: stage.store.bury(["wrk_one"]),
    "give back": lambda stage, claim: stage.store.give_back(claim.run.id, claim.fence),
    "send": lambda stage, claim: stage.send(Event("answer")),
    "wake": lambda stage, claim: stage.store.wake_due(),
}

#: cancelling a parked run is a wake and an end in one transaction
AT_ONCE = {("parked", "cancel"): "cancelled"}


@pytest.fixture(params=["local", "sqlite"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Stage, Books]:
    """A stage with what reads its store."""
    if request.param == "local":
        local = LocalStore()
        return Stage(local), LocalBooks(local)
    url = f"sqlite:///{tmp_path / 'moves.sqlite'}"
    migrate(url)
    engine = connect(url)
    request.addfinalizer(engine.dispose)
    return Stage(SqlStore(engine)), SqlBooks(engine)


def standing(stage: Stage, status: Status) -> Claim:
    """Return the last claim on a run that stands there, with two waits of which one is due."""
    claim = stage.claimed()
    stage.begin(claim, event_wait())
    stage.begin(claim, sleep(wake_at=PAST))
    claim = stage.refreshed(claim)
    match status:
        case "queued":
            assert stage.store.requeue(claim)
        case "parked":
            assert stage.store.park(claim)
        case "completed" | "failed" | "cancelled":
            assert stage.finish(claim, Ending(status=status))
    return claim


@pytest.mark.parametrize("asked", ASKED)
def test_a_run_goes_only_where_the_table_lets_it_go(books: tuple[Stage, Books], asked: str) -> None:
    stage, seen = books
    stage.declare(function())
    for status in ("queued", "running", "parked", "completed", "failed", "cancelled"):
        claim = standing(stage, status)
        ASKED[asked](stage, claim)
        after = seen.accounts()[claim.run.id].status
        lawful = MOVES[status] | {status, AT_ONCE.get((status, asked), status)}
        assert after in lawful, f"{asked} moved a run from {status} to {after}"


def test_the_table_knows_every_status() -> None:
    assert {status for status in MOVES if status} == set(get_args(Status))
    assert {"completed", "failed", "cancelled", "skipped"} == FINAL
