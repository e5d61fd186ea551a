"""Races of events that share a key: each of them ends up in exactly one run, whatever happens at the same time."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import Engine
from starting_stage import AT_ONCE, HOUR, batched, debounced, numbers, ruled, run, sent, ticket, woken
from store_stage import LINK, TENANT, Stage, ids, together

from celeriac.platform.durable.store import Ingested
from celeriac.platform.event import Event
from celeriac.platform.trigger import Trigger
from rules.held_commits import held_commits

rounds = pytest.mark.parametrize("turn", range(10))


def sending(stage: Stage, *events: Event) -> partial[Ingested]:
    """Return the call that takes in events."""
    return partial(stage.store.ingest, TENANT, events)


def all_numbers(stage: Stage) -> list[int]:
    """Wake and claim until nothing is left, and return what stands in the events of all runs."""
    found: list[int] = []
    while left := ids(stage.store.stranded(older_than=-HOUR)) or woken(stage):
        found += [number for one in left for number in numbers(stage, one)]
    return sorted(found)


@rounds
def test_the_first_two_events_of_a_key_make_one_run(stage: Stage, turn: int) -> None:
    stage.declare(debounced(AT_ONCE))
    together(sending(stage, ticket(1)), sending(stage, ticket(2)))
    [one] = woken(stage)
    assert numbers(stage, one) in ([1], [2])


@rounds
def test_events_that_fill_batches_at_once_are_in_one_each(stage: Stage, turn: int) -> None:
    stage.declare(batched(3, AT_ONCE))
    groups = [[ticket(n) for n in range(start, start + 5)] for start in range(0, 40, 5)]
    together(*[sending(stage, *group) for group in groups])
    assert all_numbers(stage) == list(range(40))


@rounds
def test_an_event_in_the_instant_of_waking_is_in_one_run(stage: Stage, turn: int) -> None:
    stage.declare(batched(10, AT_ONCE))
    first = sent(stage, ticket(0))
    together(partial(stage.store.wake_due), sending(stage, ticket(1)), sending(stage, ticket(2)))
    stage.store.wake_due()
    assert run(stage, first.id).status == "queued"
    assert all_numbers(stage) == [0, 1, 2]


@rounds
def test_an_event_in_the_instant_of_claiming_is_not_in_the_claimed_run(stage: Stage, turn: int) -> None:
    stage.declare(batched(2, AT_ONCE))
    [full] = ids(stage.send(ticket(0), ticket(1)))
    claim, _ = together(partial(stage.store.claim, full, "wrk_one", LINK), sending(stage, ticket(2)))
    assert [event.data["n"] for event in claim.events] == [0, 1]
    assert all_numbers(stage) == [2]


@rounds
def test_a_start_that_was_put_off_does_not_come_early(stage: Stage, turn: int) -> None:
    stage.declare(debounced(AT_ONCE))
    first = sent(stage, ticket(1))
    stage.declare(debounced())
    waked, _ = together(partial(woken, stage), sending(stage, ticket(2)))
    assert run(stage, first.id).status == ("queued" if waked else "parked")
    if waked:
        assert numbers(stage, first.id) == [1]


@rounds
def test_of_many_events_with_one_idempotency_key_one_starts(stage: Stage, turn: int) -> None:
    stage.declare(ruled(idempotency="event.data.key"))
    answers = together(*[sending(stage, ticket(n), ticket(n, key="b")) for n in range(6)])
    assert len([queued for answer in answers for queued in answer.queued]) == 2


@rounds
def test_requests_with_the_same_keys_in_other_orders_do_not_block_each_other(stage: Stage, turn: int) -> None:
    stage.declare(batched(4, AT_ONCE))
    events = [ticket(n, key=f"k{n % 5}") for n in range(20)]
    together(sending(stage, *events), sending(stage, *events[::-1]), sending(stage, *events[7:], *events[:7]))
    assert all_numbers(stage) == sorted(list(range(20)) * 3)


@rounds
def test_a_cancelling_event_and_a_claim_agree(stage: Stage, turn: int) -> None:
    stage.declare(ruled(cancel_on=(Trigger("stop"),)))
    queued = sent(stage, ticket())
    claim, answer = together(partial(stage.store.claim, queued.id, "wrk_one", LINK), sending(stage, Event("stop")))
    assert (claim is None) == (answer.ended == [queued.id])
    assert claim is None or stage.refreshed(claim).cancel_requested


@rounds
def test_a_deadline_and_an_ending_agree(stage: Stage, turn: int) -> None:
    stage.declare(ruled(timeout=AT_ONCE))
    claim = stage.claimed_of(ticket())
    did_end, _ = together(partial(stage.finish, claim), partial(stage.store.expire))
    assert (did_end, run(stage, claim.run.id).status) == (True, "completed")


@rounds
def test_declarations_and_events_at_once_lose_no_event(stage: Stage, turn: int) -> None:
    stage.declare(batched(2))
    declare = partial(stage.declare, batched(2))
    together(declare, sending(stage, ticket(0)), sending(stage, ticket(1)), declare)
    assert all_numbers(stage) == [0, 1]


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_the_stop_of_an_event_that_is_just_replaced_cancels_nothing(sql_stage: Stage, engine: Engine) -> None:
    """Else an event that was accepted and has joined the run is lost with it."""
    stop = Trigger("stop", match="data.n")
    sql_stage.declare(ruled(debounce=debounced().rules.debounce, cancel_on=(stop,)))
    gathering = sent(sql_stage, ticket(1))
    with held_commits(engine, "run_keys") as held:
        joined = held.begin(sending(sql_stage, ticket(2)))
        stopped = held.meet(sending(sql_stage, Event("stop", {"n": 1})))
    assert (joined.result(10).queued, stopped.result(10).ended) == ([], [])
    assert sending(sql_stage, Event("stop", {"n": 2}))().ended == [gathering.id]
