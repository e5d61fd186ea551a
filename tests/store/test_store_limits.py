"""Limits that ingest decides by: rate limits, singletons, and what stands with a run for the Gate."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starting_stage import HOUR, debounced, ruled, run, run_of, sent, ticket
from store_stage import FUTURE, OTHER, PAST, TENANT, Stage, event_wait, function, outgoing, sleep, step_done, together

from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.starting import free_at
from celeriac.platform.event import INVOKED, Event
from celeriac.platform.flow.limits import Concurrency, Debounce, Priority, RateLimit, Singleton, Throttle
from waiting import wait_until


def rated(limit: int = 2, per: timedelta = HOUR, **options: Any) -> Declaration:
    """Declare `work` with a rate limit by `data.key`."""
    return ruled(rate_limit=RateLimit(limit, per=per, key="event.data.key"), **options)


def single(mode: Any = "skip", key: str | None = "event.data.key", **options: Any) -> Declaration:
    """Declare `work` as a singleton."""
    return ruled(singleton=Singleton(key, mode=mode), **options)


def states(stage: Stage, *events: Event) -> list[tuple[str, str | None]]:
    """Take in events, each alone; return how their runs stand."""
    return [(one.status, one.reason) for one in (sent(stage, event) for event in events)]


QUEUED = ("queued", None)
LIMITED = ("skipped", "rate_limited")
SECOND = ("skipped", "singleton")


def test_runs_beyond_a_rate_limit_are_skipped(stage: Stage) -> None:
    stage.declare(rated())
    assert states(stage, *(ticket(n) for n in range(3)), ticket(key="b")) == [QUEUED, QUEUED, LIMITED, QUEUED]


def test_a_rate_limit_says_truly_when_the_next_may_begin(stage: Stage) -> None:
    stage.declare(rated())
    first, _, refused = (sent(stage, ticket(n)) for n in range(3))
    assert first.created_at is not None
    assert refused.retry_at == first.created_at + HOUR


def test_a_rate_limit_opens_at_the_time_that_it_said() -> None:
    rate, times = RateLimit(2, per=HOUR), [PAST, PAST + HOUR / 4, PAST + HOUR / 2]
    opens = free_at(rate, times, PAST + HOUR / 2)
    assert opens == PAST + HOUR / 4 + HOUR
    assert free_at(rate, times, opens - timedelta(microseconds=1)) == opens
    assert free_at(rate, times, opens) is None


def test_a_rate_limit_counts_the_events_of_one_request(stage: Stage) -> None:
    stage.declare(rated(3))
    assert len(stage.send(*(ticket(n) for n in range(10)))) == 3
    assert stage.send(ticket()) == []


def test_a_rate_limit_is_each_tenants_and_each_functions_own(stage: Stage) -> None:
    stage.declare(rated(1), ruled("audit", rate_limit=RateLimit(1, per=HOUR)))
    assert len(stage.send(ticket(), ticket())) == 2
    assert len(stage.send(ticket(), tenant=OTHER)) == 2


def test_events_without_the_key_of_a_rate_limit_share_it(stage: Stage) -> None:
    stage.declare(rated(1))
    assert len(stage.send(Event("ticket", {}), Event("ticket", {"key": None}))) == 1


def test_a_larger_rate_limit_holds_at_once(stage: Stage) -> None:
    stage.declare(rated(1))
    assert states(stage, ticket(), ticket()) == [QUEUED, LIMITED]
    stage.declare(rated(2))
    assert states(stage, ticket(), ticket()) == [QUEUED, LIMITED]


def test_fifty_who_send_at_once_get_exactly_the_limit(stage: Stage) -> None:
    stage.declare(rated(7))
    begun = together(*[lambda: len(stage.send(ticket()))] * 50)
    assert sum(begun) == 7


def test_an_event_that_is_rate_limited_uses_up_no_idempotency_key(stage: Stage) -> None:
    stage.declare(rated(1, idempotency="event.data.n"))
    assert states(stage, ticket(1), ticket(2)) == [QUEUED, LIMITED]
    stage.declare(rated(2, idempotency="event.data.n"))
    assert states(stage, ticket(2), ticket(2)) == [QUEUED, ("skipped", "idempotency")]


def test_a_rate_limit_counts_runs_and_not_the_events_that_they_gather(stage: Stage) -> None:
    stage.declare(ruled(rate_limit=RateLimit(1, per=HOUR), debounce=Debounce(HOUR, key="event.data.key")))
    stage.send(*(ticket(n) for n in range(5)))
    assert states(stage, ticket(key="b")) == [LIMITED]


def test_who_invokes_what_is_rate_limited_is_told_so(stage: Stage) -> None:
    stage.declare(function(), ruled("child", "never", rate_limit=RateLimit(1, per=HOUR)))
    asked = tuple(outgoing(f"evt_{n}", INVOKED, target="desk/child") for n in (1, 2))
    stage.store.commit([step_done(stage.claimed(), "ask", events=asked)])
    assert len(stage.store.match_pending().queued) == 1
    assert run_of(stage, "evt_2", "child").reason == "rate_limited"
    assert [one.name for one in stage.store.match_pending().accepted] == ["celeriac/run.skipped"]


def test_a_second_run_of_a_singleton_is_skipped(stage: Stage) -> None:
    stage.declare(single())
    assert states(stage, ticket(), ticket(), ticket(key="b")) == [QUEUED, SECOND, QUEUED]


def test_a_singleton_without_a_key_is_one_run_of_the_function(stage: Stage) -> None:
    stage.declare(single(key=None))
    assert states(stage, ticket(), ticket(key="b")) == [QUEUED, SECOND]
    assert len(stage.send(ticket(), tenant=OTHER)) == 1


@pytest.mark.parametrize("data", [{}, {"key": None}, {"key": False}])
def test_an_event_whose_key_is_false_is_no_singleton(stage: Stage, data: dict[str, object]) -> None:
    stage.declare(single())
    assert states(stage, Event("ticket", data), Event("ticket", data)) == [QUEUED, QUEUED]


def test_a_singleton_is_free_when_its_run_has_ended(stage: Stage) -> None:
    stage.declare(single())
    claim = stage.claimed_of(ticket())
    assert states(stage, ticket()) == [SECOND]
    assert stage.finish(claim)
    assert states(stage, ticket(), ticket()) == [QUEUED, SECOND]


def test_a_run_that_sleeps_stands_for_its_key(stage: Stage) -> None:
    stage.declare(single())
    claim = stage.claimed_of(ticket())
    stage.begin(claim, sleep())
    assert stage.store.park(stage.refreshed(claim))
    assert states(stage, ticket()) == [SECOND]


def test_a_run_of_the_future_stands_for_its_key(stage: Stage) -> None:
    stage.declare(single())
    assert states(stage, ticket(ts=FUTURE), ticket()) == [("parked", None), SECOND]


def test_a_new_run_takes_the_place_of_one_that_stands(stage: Stage) -> None:
    stage.declare(single("cancel"))
    old = sent(stage, ticket())
    ingested = stage.store.ingest(TENANT, [ticket()])
    assert (len(ingested.queued), ingested.ended) == (1, [old.id])
    assert (run(stage, old.id).status, run(stage, old.id).reason) == ("cancelled", "singleton")


def test_a_run_that_executes_is_asked_to_make_room(stage: Stage) -> None:
    stage.declare(single("cancel"))
    claim = stage.claimed_of(ticket())
    assert len(stage.send(ticket())) == 1
    fresh = stage.refreshed(claim)
    assert (fresh.cancel_requested, fresh.cancel_reason) == (True, "singleton")


def test_of_one_request_the_last_takes_the_place(stage: Stage) -> None:
    stage.declare(single("cancel"))
    [queued] = stage.send(*(ticket(n) for n in range(3)))
    assert stage.claim(queued.run_id).event.data["n"] == 2


def test_a_run_that_gathers_makes_room_and_gathers_no_more(stage: Stage) -> None:
    stage.declare(single("cancel", key="'one'", debounce=Debounce(HOUR, key="event.data.key")))
    first = sent(stage, ticket(1))
    ingested = stage.store.ingest(TENANT, [ticket(2, key="b"), ticket(3)])
    assert (ingested.queued, ingested.ended) == ([], [first.id])
    second, third = (run_of(stage, one.id) for one in ingested.accepted)
    assert (second.status, third.status) == ("skipped", "parked")


@pytest.mark.parametrize(("mode", "after"), [("cancel", QUEUED), ("skip", SECOND)])
def test_many_who_send_at_once_leave_one_run_standing(stage: Stage, mode: Any, after: tuple[str, str | None]) -> None:
    """Exactly one, whoever of them it is; the next one is skipped, or takes its place."""
    stage.declare(single(mode))
    together(*[lambda: stage.send(ticket())] * 8)
    standing = stage.store.stranded(older_than=timedelta(seconds=-5))
    assert [run(stage, one.run_id).status for one in standing if one.tenant_id == TENANT] == ["queued"]
    assert states(stage, ticket()) == [after]


def test_what_the_gate_has_to_know_stands_with_the_run(stage: Stage) -> None:
    limits = {"throttle": Throttle(1, per=HOUR), "priority": Priority("event.data.n")}
    stage.declare(ruled(concurrency=(Concurrency(1, key="event.data.key"),), **limits))
    [queued] = stage.send(ticket(7))
    claim = stage.claim(queued.run_id)
    again = stage.store.requeue(claim)
    assert again is not None
    assert (again.function, again.pools, again.pace) == ("desk/work", queued.pools, queued.pace)
    assert (len(queued.pools), queued.pace is not None, again.priority) == (1, True, 7)


def test_a_run_that_is_woken_or_stranded_keeps_it(stage: Stage) -> None:
    stage.declare(ruled(concurrency=(Concurrency(1, key="event.data.key"),)))
    [queued] = stage.send(ticket())
    assert [one.pools for one in stage.store.stranded(older_than=timedelta(seconds=-5))][-1] == queued.pools
    claim = stage.claim(queued.run_id)
    stage.begin(claim, event_wait())
    assert stage.store.park(stage.refreshed(claim))
    assert [one.pools for one in stage.send(Event("answer"))] == [queued.pools]


def test_a_run_that_gathers_has_the_key_of_its_last_event(stage: Stage) -> None:
    declared = debounced(timedelta(seconds=0.05))
    stage.declare(ruled(debounce=declared.rules.debounce, priority=Priority("event.data.n")))
    stage.send(ticket(1))
    stage.send(ticket(2))
    found: list[Any] = []
    wait_until(lambda: found.extend(stage.store.wake_due()) or found, what="the run to be woken")
    assert [one.priority for one in found] == [2]


def test_runs_that_hold_a_pool_are_found_from_their_start_to_their_end(stage: Stage) -> None:
    stage.declare(ruled(concurrency=(Concurrency(9, hold="run"),)), ruled("plain", concurrency=(Concurrency(1),)))
    queued = next(one for one in stage.send(ticket()) if one.function == "desk/work")
    known = [one.run_id for one in stage.store.holding(most=9_999)]
    claim = stage.claim(queued.run_id)
    stage.begin(claim, sleep())
    assert stage.store.park(stage.refreshed(claim))
    held = [one.run_id for one in stage.store.holding(most=9_999)]
    assert (queued.run_id in known, queued.run_id in held) == (False, True)
    assert [one.pools for one in stage.store.holding_of([queued.run_id, "run_none"])] == [queued.pools]
    stage.store.cancel(TENANT, queued.run_id)
    assert stage.store.holding_of([queued.run_id]) == []
