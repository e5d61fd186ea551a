"""Reruns: an ended run done again, alike in memory and on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

import pytest
from sqlalchemy import Engine, delete
from store_stage import FUTURE, OTHER, TENANT, Stage, attempt_failed, event_wait, function, ids, step_done

from celeriac.database import transaction
from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.ids import derived_id
from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.memo import StepDone
from celeriac.platform.durable.rerun import Wish
from celeriac.platform.durable.store import Claim, Ending, Store
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.flow.limits import Batch
from celeriac.platform.message import Usage
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.sql_operations import SqlOperations
from celeriac.platform.store.sql_reads import SqlReads
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.tables import events
from celeriac.platform.trigger import Trigger

FAILED = Ending(status="failed", error_code="step", error_message="no")


class Reruns(Protocol):
    """What the stores have in common here."""

    def rerun(self, tenant_id: str, run_id: str, wish: Wish) -> Queued: ...


@pytest.fixture
def operations(store: Store) -> Reruns:
    """What does the runs of the store again."""
    if isinstance(store, LocalStore):
        return store
    assert isinstance(store, SqlStore)
    return SqlOperations(store._engine)


def ended(stage: Stage, claim: Claim, *steps: str | StepDone) -> str:
    """Let a run commit these steps, one after the other, and end; return its id."""
    for step in steps:
        entry = step_done(claim, step, f'"{step}"') if isinstance(step, str) else step
        assert stage.store.commit([entry]) != [None]
    assert stage.finish(claim, FAILED)
    return claim.run.id


def remembered(stage: Stage, queued: Queued) -> list[tuple[int, str]]:
    """Claim the run and return what it remembers."""
    return [(memo.seq, memo.path) for memo in stage.store.memos(stage.claim(queued.run_id))]


def again(stage: Stage, operations: Reruns, steps: Sequence[str], from_step: str) -> list[str]:
    """Return what a rerun from the step takes over of a run of these steps."""
    queued = operations.rerun(TENANT, ended(stage, stage.claimed(), *steps), Wish(from_step=from_step))
    return [path for _, path in remembered(stage, queued)]


def test_a_run_is_done_again_with_its_event(stage: Stage, operations: Reruns) -> None:
    claim = stage.claimed()
    queued = operations.rerun(TENANT, ended(stage, claim, "a"), Wish())
    fresh = stage.claim(queued.run_id)
    assert fresh.run.id != claim.run.id
    assert (fresh.event, fresh.run.event_id) == (claim.event, claim.run.event_id)
    assert stage.store.memos(fresh) == []
    assert (queued.fence, queued.is_resume, fresh.steps, fresh.run.rerun_of) == (1, False, 0, claim.run.id)


def test_what_came_before_a_step_is_taken_over(stage: Stage, operations: Reruns) -> None:
    queued = operations.rerun(TENANT, ended(stage, stage.claimed(), *"abcd"), Wish(from_step="c"))
    assert remembered(stage, queued) == [(1, "a"), (2, "b")]


def test_what_is_in_a_step_is_done_again_with_it(stage: Stage, operations: Reruns) -> None:
    """And what is around it, as that ended after it."""
    assert again(stage, operations, ["a", "turn/x", "turn/y", "turn", "z"], "turn") == ["a"]
    assert again(stage, operations, ["a", "turn/x", "turn/y", "turn", "z"], "turn/y") == ["a", "turn/x"]


def test_names_that_begin_alike_are_other_steps(stage: Stage, operations: Reruns) -> None:
    assert again(stage, operations, ["turn:1/x", "turn:1", "turn:10/x", "turn", "last"], "turn") == [
        "turn:1/x",
        "turn:1",
        "turn:10/x",
    ]


def test_a_mere_scope_is_done_again_from_its_beginning(stage: Stage, operations: Reruns) -> None:
    """Nobody knows what of the later steps rests on it."""
    assert again(stage, operations, ["a", "scope/x", "b", "scope/y", "c"], "scope") == ["a"]


def test_of_branches_side_by_side_what_came_first_is_kept(stage: Stage, operations: Reruns) -> None:
    """The numbers have no gap, also where something in between is left out."""
    claim = stage.claimed()
    queued = operations.rerun(TENANT, ended(stage, claim, "a/x", "b/x", "a/y", "b/y", "a"), Wish(from_step="a"))
    assert remembered(stage, queued) == [(1, "b/x"), (2, "b/y")]


def test_the_new_run_goes_on_behind_what_it_took_over(stage: Stage, operations: Reruns) -> None:
    queued = operations.rerun(TENANT, ended(stage, stage.claimed(), *"abc"), Wish(from_step="c"))
    claim = stage.claim(queued.run_id)
    assert claim.steps == 2
    assert stage.store.commit([step_done(claim, "c")]) == [3]


def test_a_rerun_counts_what_it_uses_itself(stage: Stage, operations: Reruns) -> None:
    claim = stage.claimed()
    dear = step_done(claim, "a", usage=Usage(model_calls=3, cost_usd=1.5))
    queued = operations.rerun(TENANT, ended(stage, claim, dear, "b"), Wish(from_step="b"))
    assert stage.claim(queued.run_id).run.usage == Usage()


def test_a_step_that_has_not_ended_is_begun_anew(stage: Stage, operations: Reruns) -> None:
    claim = stage.claimed()
    stage.store.commit([step_done(claim, "a"), attempt_failed(claim, "b", 1)])
    stage.begin(claim, event_wait("reply"))
    ended(stage, claim)
    for path in ("b", "reply"):
        assert remembered(stage, operations.rerun(TENANT, claim.run.id, Wish(from_step=path))) == [(1, "a")]


@pytest.mark.parametrize("path", ["z", "a/b", "", "~cancel:0", "A"])
def test_a_step_that_the_run_has_not_come_to_is_not_found(stage: Stage, operations: Reruns, path: str) -> None:
    stage.declare(function(rules=StartRules(cancel_on=(Trigger("stop"),))))
    run_id = ended(stage, stage.claimed(), "a")
    with pytest.raises(NotFoundError, match="no step"):
        operations.rerun(TENANT, run_id, Wish(from_step=path))


def test_an_input_is_edited(stage: Stage, operations: Reruns) -> None:
    """A rerun of the rerun keeps it, unless it is edited again."""
    claim = stage.claimed()
    run_id = ended(stage, claim, step_done(claim, "a", input="[1]"), step_done(claim, "b", kind="model", input="{}"))
    queued = operations.rerun(TENANT, run_id, Wish(from_step="a", input=[7]))
    edited = stage.claim(queued.run_id)
    assert edited.overrides == {"a": [7]}
    ended(stage, edited, step_done(edited, "a", input="[7]"), step_done(edited, "b", kind="model", input="{}"))
    queued = operations.rerun(TENANT, edited.run.id, Wish(from_step="b", input={"system": "Be brief."}))
    assert stage.claim(queued.run_id).overrides == {"a": [7], "b": {"system": "Be brief."}}


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"kind": "sleep"}, []),
        ({"kind": "tool", "input": "{}"}, {}),
        ({"kind": "run", "input": "[1]"}, {"x": 1}),
        ({"kind": "run"}, "text"),
        ({"kind": "model", "input": '{"system":""}'}, [1]),
    ],
)
def test_an_input_that_does_not_fit_is_refused(
    stage: Stage, operations: Reruns, options: dict[str, Any], given: Any
) -> None:
    claim = stage.claimed()
    run_id = ended(stage, claim, step_done(claim, "a", **options))
    with pytest.raises(ConflictError, match="'a'"):
        operations.rerun(TENANT, run_id, Wish(from_step="a", input=given))


def test_an_input_needs_its_step() -> None:
    with pytest.raises(ConfigError, match="from_step"):
        Wish(input=[1])


def test_a_run_that_goes_on_is_not_done_again(stage: Stage, operations: Reruns) -> None:
    claim = stage.claimed()
    with pytest.raises(ConflictError, match="it is running") as refused:
        operations.rerun(TENANT, claim.run.id, Wish())
    assert refused.value.code == "run_not_ended"


def test_another_tenants_run_is_not_found(stage: Stage, operations: Reruns) -> None:
    run_id = ended(stage, stage.claimed(), "a")
    for tenant, id in ((OTHER, run_id), (TENANT, "run_unknown")):
        with pytest.raises(NotFoundError, match=id):
            operations.rerun(tenant, id, Wish(from_step="a"))


@pytest.mark.parametrize("code", ["unknown_function", "paused"])
def test_a_function_that_may_not_start_is_not_started(stage: Stage, operations: Reruns, code: str) -> None:
    run_id = ended(stage, stage.claimed())
    if code == "paused":
        stage.store.pause(TENANT, "desk", "work", is_paused=True)
    else:
        stage.declare(function("other"))
    with pytest.raises(ConflictError, match="desk/work") as refused:
        operations.rerun(TENANT, run_id, Wish())
    assert refused.value.code == code


def test_a_rerun_goes_by_the_rules_of_now(stage: Stage, operations: Reruns) -> None:
    """What cancels runs of the function cancels it as well."""
    run_id = ended(stage, stage.claimed())
    rules = StartRules(cancel_on=(Trigger("stop", match="data.id"),), start_timeout=timedelta(0))
    stage.declare(function(rules=rules, queue="memory"))
    queued = operations.rerun(TENANT, run_id, Wish())
    assert queued.queue == "memory"
    assert stage.store.ingest(TENANT, [Event("stop", {"id": "T-2"})]).ended == []
    assert stage.store.ingest(TENANT, [Event("stop", {"id": "T-1"})]).ended == [queued.run_id]
    late = operations.rerun(TENANT, run_id, Wish())
    assert [(run.id, run.reason) for run in stage.store.expire()] == [(late.run_id, "start_timeout")]


def test_a_batch_is_done_again_with_all_its_events(stage: Stage, operations: Reruns) -> None:
    stage.declare(function(rules=StartRules(batch=Batch(2, timeout=timedelta(hours=1)))))
    [queued] = stage.send(Event("ticket", {"n": 1}), Event("ticket", {"n": 2}))
    first = stage.claim(queued.run_id)
    fresh = stage.claim(operations.rerun(TENANT, ended(stage, first), Wish()).run_id)
    assert [event.data for event in fresh.events] == [{"n": 1}, {"n": 2}]


def test_a_skipped_run_is_done_after_all(stage: Stage, operations: Reruns) -> None:
    stage.store.pause(TENANT, "desk", "work", is_paused=True)
    [skipped] = stage.store.ingest(TENANT, [Event("ticket", {"id": "T-1"})]).accepted
    stage.store.pause(TENANT, "desk", "work", is_paused=False)
    queued = operations.rerun(TENANT, derived_id("run", skipped.id, "desk", "work"), Wish())
    assert stage.claim(queued.run_id).event.data == {"id": "T-1"}


def test_a_run_knows_which_one_it_repeats(sql_stage: Stage, engine: Engine) -> None:
    run_id = ended(sql_stage, sql_stage.claimed(), "a", "b")
    queued = SqlOperations(engine).rerun(TENANT, run_id, Wish(from_step="b"))
    view = SqlReads(engine).view(TENANT, queued.run_id)
    assert (view.run.rerun_of, view.run.status) == (run_id, "queued")
    assert [step.output for step in view.steps] == ["a"]


def test_a_run_whose_event_is_gone_cannot_be_repeated(sql_stage: Stage, engine: Engine) -> None:
    claim = sql_stage.claimed()
    run_id = ended(sql_stage, claim)
    with transaction(engine) as connection:
        connection.execute(delete(events).where(events.c.id == claim.run.event_id))
    with pytest.raises(ConflictError, match="not kept any more") as refused:
        SqlOperations(engine).rerun(TENANT, run_id, Wish())
    assert refused.value.code == "event_gone"


def test_a_rerun_that_waits_for_an_event_is_woken_by_it(stage: Stage, operations: Reruns) -> None:
    """It is a run like any other."""
    queued = operations.rerun(TENANT, ended(stage, stage.claimed(), "a"), Wish(from_step="a"))
    claim = stage.claim(queued.run_id)
    stage.begin(claim, event_wait("reply", wake_at=FUTURE))
    assert stage.store.park(stage.refreshed(claim))
    assert ids(stage.send(Event("answer"))) == [queued.run_id]
