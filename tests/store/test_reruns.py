"""Reruns: an ended run done again, alike in memory and on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pytest
from sqlalchemy import Engine
from store_stage import OTHER, TENANT, Stage, attempt_failed, event_wait, function, ids, step_done

from celeriac.clock import duration
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.memo import StepDone
from celeriac.platform.durable.rerun import Wish
from celeriac.platform.durable.store import Claim, Ending, Store
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.flow.limits import Batch
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.sql_operations import SqlOperations
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.trigger import Trigger


class Reruns(Protocol):
    """What the stores have in common here."""

    def rerun(self, tenant_id: str, run_id: str, wish: Wish) -> Queued: ...


@pytest.fixture
def operations(store: Store) -> Reruns:
    """What does runs of the store again."""
    if isinstance(store, LocalStore):
        return store
    assert isinstance(store, SqlStore)
    return SqlOperations(store._engine)


def ended(stage: Stage, *steps: StepDone, claim: Claim | None = None) -> str:
    """End a run after it has committed these steps, and return its id."""
    claim = claim or stage.claimed()
    held = {"run_id": claim.run.id, "tenant_id": claim.run.tenant_id, "fence": claim.fence}
    for step in steps:
        assert stage.store.commit([replace(step, **held)]) != [None]
    assert stage.finish(claim, Ending(status="failed", error_code="step", error_message="no"))
    return claim.run.id


def step(path: str, value: str = "1", **options: object) -> StepDone:
    """Make the entry of a step of whichever run."""
    nobody = Stage.__new__(Stage)
    del nobody
    return StepDone(
        run_id="", tenant_id="", fence=0, path=path, kind=options.pop("kind", "run"), value=value, **options, **_TIMES  # type: ignore[arg-type]
    )


_TIMES = {"started_at": step_done.__defaults__ and None}


def remembered(stage: Stage, queued: Queued) -> list[tuple[int, str]]:
    """Claim the run and return what it remembers."""
    return [(memo.seq, memo.path) for memo in stage.store.memos(stage.claim(queued.run_id))]
