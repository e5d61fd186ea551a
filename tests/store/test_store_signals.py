"""Signals in the stores: given once, to the one wait that has it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from store_stage import FUTURE, OTHER, PAST, TENANT, Stage, ids, sleep, together, wait_begun

from celeriac.errors import ConflictError
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.store import Claim, Signalled
from celeriac.platform.event import Event, signal_name


def signal_wait(path: str = "approval", signal: str = "approve", **options: Any) -> Wait:
    """Make a wait for a signal."""
    return Wait(**{"path": path, "kind": "signal", "event_name": signal_name(signal), "wake_at": FUTURE, **options})


def data_of(stage: Stage, claim: Claim) -> list[Any]:
    """Return what the run's waits were given."""
    return [wait.event and json.loads(wait.event)["data"]["data"] for wait in stage.store.waits(claim)]


def test_a_signal_wakes_the_run_that_waits_for_it_with_its_data(stage: Stage) -> None:
    parked = stage.parked(signal_wait())
    signalled = stage.store.signal(TENANT, "approve", {"by": "ann"})
    assert (signalled.is_awaited, ids(signalled.queued)) == (True, [parked.run.id])
    assert data_of(stage, stage.claim(parked.run.id)) == [{"by": "ann"}]


def test_a_signal_for_a_run_that_executes_keeps_it_from_parking(stage: Stage) -> None:
    claim = stage.claimed()
    stage.begin(claim, signal_wait())
    assert stage.store.signal(TENANT, "approve", 1) == Signalled(run_id=claim.run.id, queued=[])
    assert not stage.store.park(claim)


def test_a_signal_that_nobody_waits_for_is_given_to_nobody(stage: Stage) -> None:
    assert stage.store.signal(TENANT, "approve", 1) == Signalled()
    claim = stage.claimed()
    stage.begin(claim, signal_wait())
    assert data_of(stage, claim) == [None]


def test_a_signal_is_given_once(stage: Stage) -> None:
    stage.parked(signal_wait())
    assert stage.store.signal(TENANT, "approve", 1).is_awaited
    assert not stage.store.signal(TENANT, "approve", 2).is_awaited


def test_a_second_call_with_its_id_is_answered_alike_and_gives_nothing(stage: Stage) -> None:
    first = stage.parked(signal_wait())
    assert stage.store.signal(TENANT, "approve", 1, id="evt_s").is_awaited
    stage.parked(signal_wait())
    assert stage.store.signal(TENANT, "approve", 1, id="evt_s") == Signalled(run_id=first.run.id, queued=[])
    assert data_of(stage, stage.claim(first.run.id)) == [1]


def test_a_call_that_gave_nothing_may_give_when_it_is_made_again(stage: Stage) -> None:
    assert not stage.store.signal(TENANT, "approve", 1, id="evt_s").is_awaited
    stage.parked(signal_wait())
    assert stage.store.signal(TENANT, "approve", 1, id="evt_s").is_awaited


def test_a_second_wait_for_a_signal_is_refused(stage: Stage) -> None:
    claim, other = stage.claimed(), stage.claimed()
    stage.begin(claim, signal_wait())
    with pytest.raises(ConflictError, match="'approve'"):
        stage.store.await_event(other, signal_wait())
    with pytest.raises(ConflictError):
        stage.store.await_event(claim, signal_wait("second"))
    assert stage.store.await_event(claim, signal_wait()) is not None
    assert stage.refreshed(other).waits == 0


def test_signals_of_two_tenants_are_apart(stage: Stage) -> None:
    mine, theirs = stage.claimed(), stage.claimed(tenant=OTHER)
    stage.begin(mine, signal_wait())
    stage.begin(theirs, signal_wait())
    assert stage.store.signal(OTHER, "approve", 2).is_awaited
    assert (data_of(stage, mine), data_of(stage, theirs)) == ([None], [2])


def test_a_signal_is_free_again_when_its_wait_is_over(stage: Stage) -> None:
    parked = stage.parked(signal_wait(wake_at=PAST))
    stage.store.wake_due()
    assert not stage.store.signal(TENANT, "approve", 1).is_awaited
    stage.begin(stage.claimed(), signal_wait())
    assert data_of(stage, stage.claim(parked.run.id)) == [None]


def test_a_signal_is_free_again_when_its_run_has_ended(stage: Stage) -> None:
    parked = stage.parked(signal_wait())
    stage.store.cancel(TENANT, parked.run.id)
    assert not stage.store.signal(TENANT, "approve", 1).is_awaited
    stage.begin(stage.claimed(), signal_wait())


def test_a_signal_ends_the_wait_of_a_run_whose_steps_changed(stage: Stage) -> None:
    wait = replace(sleep("~order"), kind="order", number=3, event_name=signal_name("order:run_x"))
    claim = stage.claimed()
    stage.store.commit([wait_begun(claim, wait)])
    assert stage.store.park(stage.refreshed(claim), reason="step_order_changed")
    assert ids(stage.store.signal(TENANT, "order:run_x", None).queued) == [claim.run.id]
    [known] = stage.store.waits(stage.claim(claim.run.id))
    assert (known.number, known.resolved_at is not None) == (3, True)


def test_the_reason_for_which_a_run_was_parked_goes_with_its_next_link(stage: Stage) -> None:
    claim = stage.claimed()
    stage.begin(claim, sleep(wake_at=PAST))
    assert stage.store.park(stage.refreshed(claim), reason="step_order_changed")
    cancelled = stage.store.cancel(TENANT, stage.parked(sleep()).run.id)
    assert cancelled.reason == "cancelled"
    stage.store.wake_due()
    assert stage.claim(claim.run.id).run.reason is None


def test_no_event_ends_a_wait_for_a_signal(stage: Stage) -> None:
    claim = stage.claimed()
    stage.begin(claim, signal_wait())
    stage.send(Event("approve", 1))
    assert data_of(stage, claim) == [None]


def test_of_two_signals_at_once_one_is_given(sql_stage: Stage) -> None:
    for n in range(10):
        sql_stage.parked(signal_wait(signal=f"approve {n}"))
        answers = together(*(partial(sql_stage.store.signal, TENANT, f"approve {n}", k) for k in range(4)))
        assert sorted(one.is_awaited for one in answers) == [False, False, False, True]
        assert sum(len(one.queued) for one in answers) == 1


def test_of_two_waits_at_once_one_has_the_signal(sql_stage: Stage) -> None:
    def begin(claim: Claim) -> bool:
        try:
            return sql_stage.store.await_event(claim, signal_wait()) is not None
        except ConflictError:
            return False

    claims = [sql_stage.claimed() for _ in range(4)]
    answers = together(*(partial(begin, claim) for claim in claims))
    assert sorted(answers) == [False, False, False, True]
