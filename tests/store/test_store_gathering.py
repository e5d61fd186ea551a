"""Gathering: runs that wait for more events, the last of which counts (debounce) or all of which do (batch)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starting_stage import (
    AT_ONCE,
    HOUR,
    batched,
    debounced,
    numbers,
    ruled,
    run,
    run_of,
    sent,
    ticket,
    woken,
)
from store_stage import OTHER, PAST, TENANT, Stage, function, ids, outgoing, step_done

from celeriac.platform.durable.starting import BATCH_BYTES
from celeriac.platform.event import Event
from celeriac.platform.flow.limits import Batch, Debounce


def test_a_debounced_event_waits_for_the_period(stage: Stage) -> None:
    stage.declare(debounced())
    assert (sent(stage, ticket()).status, woken(stage)) == ("parked", [])


def test_the_last_event_of_a_key_is_the_one_of_the_run(stage: Stage) -> None:
    stage.declare(debounced())
    first = sent(stage, ticket(1))
    assert stage.send(ticket(2), ticket(3)) == []
    stage.declare(debounced(AT_ONCE))
    stage.send(ticket(4))
    assert woken(stage) == [first.id]
    assert numbers(stage, first.id) == [4]


def test_an_event_puts_the_start_off(stage: Stage) -> None:
    stage.declare(debounced(AT_ONCE))
    stage.send(ticket(1))
    stage.declare(debounced())
    stage.send(ticket(2))
    assert woken(stage) == []


def test_events_put_the_start_off_no_further_than_the_longest_wait(stage: Stage) -> None:
    stage.declare(debounced(max_wait=AT_ONCE))
    first = sent(stage, ticket(1))
    stage.send(ticket(2))
    assert woken(stage) == [first.id]


def test_of_events_out_of_order_the_latest_by_its_time_counts(stage: Stage) -> None:
    stage.declare(debounced(AT_ONCE))
    first = sent(stage, ticket(1, ts=PAST + timedelta(seconds=5)))
    stage.send(ticket(2, ts=PAST), ticket(3, ts=PAST + timedelta(seconds=4)))
    assert woken(stage) == [first.id]
    assert numbers(stage, first.id) == [1]


def test_keys_are_debounced_apart(stage: Stage) -> None:
    stage.declare(debounced(AT_ONCE))
    stage.send(ticket(1, key="a"), ticket(2, key="b"), ticket(3, key="a"))
    assert sorted(number for one in woken(stage) for number in numbers(stage, one)) == [2, 3]


@pytest.mark.parametrize("declared", [debounced(AT_ONCE), batched(timeout=AT_ONCE)])
def test_events_without_the_key_share_one(stage: Stage, declared: Any) -> None:
    stage.declare(declared)
    stage.send(Event("ticket", {"n": 1}), ticket(2, key=None))
    assert len(woken(stage)) == 1


@pytest.mark.parametrize("declared", [debounced(AT_ONCE), batched(timeout=AT_ONCE)])
def test_tenants_are_gathered_apart(stage: Stage, declared: Any) -> None:
    stage.declare(declared)
    stage.send(ticket())
    stage.send(ticket(), tenant=OTHER)
    assert len(woken(stage)) == 2


@pytest.mark.parametrize("declared", [debounced(AT_ONCE), batched(timeout=AT_ONCE)])
def test_a_run_that_was_woken_gathers_no_more(stage: Stage, declared: Any) -> None:
    stage.declare(declared)
    first = sent(stage, ticket(1))
    assert woken(stage) == [first.id]
    second = sent(stage, ticket(2))
    assert (second.status, woken(stage)) == ("parked", [second.id])
    assert (numbers(stage, first.id), numbers(stage, second.id)) == ([1], [2])


@pytest.mark.parametrize("declared", [debounced(), batched()])
def test_a_gathering_run_that_was_cancelled_gathers_no_more(stage: Stage, declared: Any) -> None:
    stage.declare(declared)
    first = sent(stage, ticket(1))
    assert stage.store.cancel(TENANT, first.id).status == "cancelled"
    assert sent(stage, ticket(2)).status == "parked"
    assert run(stage, first.id).event_id == first.event_id


def test_a_run_of_a_debounce_without_key_takes_all_events(stage: Stage) -> None:
    stage.declare(ruled(debounce=Debounce(AT_ONCE)))
    stage.send(ticket(1, key="a"), ticket(2, key="b"))
    [one] = woken(stage)
    assert numbers(stage, one) == [2]


def test_a_batch_starts_with_its_last_event(stage: Stage) -> None:
    stage.declare(batched(3))
    first = sent(stage, ticket(1))
    assert stage.send(ticket(2)) == []
    assert ids(stage.send(ticket(3))) == [first.id]
    assert numbers(stage, first.id) == [1, 2, 3]


def test_a_batch_starts_when_its_time_is_up(stage: Stage) -> None:
    stage.declare(batched(3, AT_ONCE))
    first = sent(stage, ticket(1))
    assert woken(stage) == [first.id]
    assert numbers(stage, first.id) == [1]


def test_one_request_may_fill_several_batches(stage: Stage) -> None:
    stage.declare(batched(2))
    started = ids(stage.send(*(ticket(n) for n in range(5))))
    assert sorted(numbers(stage, one) for one in started) == [[0, 1], [2, 3]]
    assert ids(stage.send(ticket(5))) not in ([], started)


def test_keys_are_batched_apart(stage: Stage) -> None:
    stage.declare(batched(2))
    [full] = ids(stage.send(ticket(1, key="a"), ticket(2, key="b"), ticket(3, key="a")))
    assert numbers(stage, full) == [1, 3]


def test_an_event_that_is_not_for_the_batch_starts_a_run_of_its_own(stage: Stage) -> None:
    stage.declare(ruled(batch=Batch(3, timeout=HOUR, if_="event.data.n > 1")))
    started = ids(stage.send(ticket(1), ticket(2), Event("ticket", {"n": "many"})))
    assert len(started) == 2
    assert [1] in [numbers(stage, one) for one in started]


def test_a_batch_starts_when_its_data_are_many_bytes(stage: Stage) -> None:
    stage.declare(batched(100))
    half = {"key": "a", "n": 1, "text": "x" * (BATCH_BYTES // 2)}
    assert stage.send(Event("ticket", half)) == []
    assert len(stage.send(Event("ticket", half))) == 1


def test_the_deadline_of_a_run_that_gathers_begins_with_its_start(stage: Stage) -> None:
    stage.declare(ruled(batch=Batch(2, timeout=HOUR), start_timeout=AT_ONCE))
    first = sent(stage, ticket(1))
    assert stage.store.expire() == []
    stage.send(ticket(2))
    assert [one.id for one in stage.store.expire()] == [first.id]


def test_a_known_event_joins_nothing(stage: Stage) -> None:
    stage.declare(batched(2))
    assert stage.send(ticket(1, id="same"), ticket(1, id="same")) == []
    assert stage.send(ticket(1, id="same")) == []
    assert len(stage.send(ticket(2))) == 1


def test_the_event_of_a_step_joins_too(stage: Stage) -> None:
    stage.declare(function("parent", "begin"), ruled("work", batch=Batch(2, timeout=HOUR)))
    claim = stage.claim(stage.send(Event("begin"))[0].run_id)
    told = tuple(outgoing(f"evt_{n}", "ticket") for n in range(2))
    stage.store.commit([step_done(claim, "send", events=told)])
    assert ids(stage.store.match_pending().queued) == [run_of(stage, "evt_0").id]
