"""Starting: triggers with conditions, functions asked for by name, pauses, idempotency and events of the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from starting_stage import AT_ONCE, batched, debounced, ruled, run, run_of, sent, ticket, woken
from store_stage import FUTURE, LINK, OTHER, PAST, TENANT, Stage, function, ids, outgoing, step_done

from celeriac.errors import NotFoundError
from celeriac.platform.event import INVOKED, Event
from celeriac.platform.trigger import Trigger
from waiting import wait_until


def test_a_condition_decides_whether_the_event_starts_the_function(stage: Stage) -> None:
    stage.declare(function("work", Trigger("ticket", if_="event.data.n > 3")))
    assert len(stage.send(ticket(3), ticket(4))) == 1


def test_a_condition_on_a_key_that_is_missing_does_not_hold(stage: Stage) -> None:
    stage.declare(function("work", Trigger("ticket", if_="event.data.other == 1")))
    assert stage.send(ticket(1)) == []


def test_of_several_triggers_any_starts_the_function_and_all_start_it_once(stage: Stage) -> None:
    stage.declare(
        function("work", Trigger("ticket", if_="event.data.n == 1"), Trigger("tick*", if_="event.data.n < 3"))
    )
    assert [len(stage.send(ticket(n))) for n in (1, 2, 3)] == [1, 1, 0]


def test_an_event_for_one_function_starts_it_whatever_its_triggers_say(stage: Stage) -> None:
    stage.declare(function("work", "other"), function("audit", INVOKED))
    [queued] = stage.store.ingest(TENANT, [Event(INVOKED, {})], target="desk/work").queued
    assert stage.claim(queued.run_id).run.function_id == "work"


def test_an_event_for_a_function_that_nobody_declared_is_refused(stage: Stage) -> None:
    with pytest.raises(NotFoundError):
        stage.store.ingest(TENANT, [Event(INVOKED, {})], target="desk/nobody")
    assert stage.store.match_pending().accepted == []


def test_the_end_of_a_run_starts_its_own_function_never(stage: Stage) -> None:
    stage.declare(function("work", "ticket", "celeriac/run.finished"), function("audit", "celeriac/run.finished"))
    assert stage.finish(stage.claimed())
    [queued] = stage.store.match_pending().queued
    assert stage.claim(queued.run_id).run.function_id == "audit"


def test_a_paused_function_skips_its_events_and_says_why(stage: Stage) -> None:
    stage.store.pause(TENANT, "desk", "work", is_paused=True)
    skipped = sent(stage, ticket())
    assert (skipped.status, skipped.reason) == ("skipped", "paused")
    assert skipped.ended_at is not None
    assert stage.store.claim(skipped.id, "wrk_one", LINK) is None


def test_a_pause_holds_for_its_tenant_until_it_is_taken_back(stage: Stage) -> None:
    stage.store.pause(TENANT, "desk", "work", is_paused=True)
    stage.store.pause(TENANT, "desk", "work", is_paused=True)
    assert len(stage.send(ticket(), tenant=OTHER)) == 1
    assert stage.send(ticket()) == []
    stage.store.pause(TENANT, "desk", "work", is_paused=False)
    assert len(stage.send(ticket())) == 1


def test_a_pause_without_tenant_holds_for_all(stage: Stage) -> None:
    stage.store.pause("", "desk", "work", is_paused=True)
    assert stage.send(ticket()) + stage.send(ticket(), tenant=OTHER) == []


def test_a_second_event_with_the_same_key_is_skipped(stage: Stage) -> None:
    stage.declare(ruled(idempotency="event.data.key"))
    assert sent(stage, ticket(1)).status == "queued"
    repeated = sent(stage, ticket(2))
    assert (repeated.status, repeated.reason) == ("skipped", "idempotency")
    assert sent(stage, ticket(3, key="b")).status == "queued"


def test_of_one_request_only_the_first_event_with_a_key_starts(stage: Stage) -> None:
    stage.declare(ruled(idempotency="event.data.key"))
    assert len(stage.send(ticket(1), ticket(2), ticket(3, key="b"))) == 2


def test_keys_are_those_of_one_tenant_and_one_function(stage: Stage) -> None:
    stage.declare(ruled(idempotency="event.data.key"), ruled("audit", idempotency="event.data.key"))
    assert len(stage.send(ticket()) + stage.send(ticket(), tenant=OTHER)) == 4


@pytest.mark.parametrize("data", [{}, {"key": None}])
def test_an_event_without_an_idempotency_key_is_like_no_other(stage: Stage, data: dict[str, object]) -> None:
    stage.declare(ruled(idempotency="event.data.key"))
    assert len(stage.send(Event("ticket", data)) + stage.send(Event("ticket", data))) == 2


def test_a_paused_function_remembers_no_key(stage: Stage) -> None:
    stage.declare(ruled(idempotency="event.data.key"))
    stage.store.pause(TENANT, "desk", "work", is_paused=True)
    assert sent(stage, ticket()).reason == "paused"
    stage.store.pause(TENANT, "desk", "work", is_paused=False)
    assert sent(stage, ticket()).status == "queued"


def test_an_event_of_the_future_waits_until_it_happens(stage: Stage) -> None:
    parked = sent(stage, ticket(ts=FUTURE))
    assert (parked.status, woken(stage)) == ("parked", [])


def test_an_event_of_the_past_starts_at_once(stage: Stage) -> None:
    assert sent(stage, ticket(ts=PAST)).status == "queued"


def test_a_run_of_the_future_is_woken_when_its_time_has_come(stage: Stage) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    parked = sent(stage, ticket(ts=soon))
    assert parked.status == "parked"
    found: list[str] = []
    wait_until(lambda: found.extend(woken(stage)) or found, what="the run to be woken")
    assert (found, datetime.now(UTC) >= soon) == ([parked.id], True)
    assert stage.claim(parked.id).waits == 0


def test_a_run_of_the_future_can_be_cancelled(stage: Stage) -> None:
    parked = sent(stage, ticket(ts=FUTURE))
    assert stage.store.cancel(TENANT, parked.id).status == "cancelled"


@pytest.mark.parametrize("declared", [debounced(), batched()])
def test_what_asks_for_a_function_by_name_is_not_held_back(stage: Stage, declared: object) -> None:
    stage.declare(declared)  # type: ignore[arg-type]
    assert sent(stage, Event(INVOKED, {"n": 1}), target="desk/work").status == "queued"


def test_a_function_asked_for_by_name_may_be_paused(stage: Stage) -> None:
    stage.store.pause(TENANT, "desk", "work", is_paused=True)
    assert sent(stage, Event(INVOKED), target="desk/work").reason == "paused"


def test_a_run_that_another_run_asks_for_has_it_as_its_parent_and_skips_tell_it(stage: Stage) -> None:
    stage.declare(function(), ruled("child", "never", idempotency="event.data.n"))
    claim = stage.claimed()
    asked = [outgoing(f"evt_{n}", INVOKED, target="desk/child") for n in (1, 2)]
    stage.store.commit([step_done(claim, "ask", events=tuple(asked))])
    assert ids(stage.store.match_pending().queued) == [run_of(stage, "evt_1", "child").id]
    assert run_of(stage, "evt_2", "child").status == "skipped"
    assert [one.name for one in stage.store.match_pending().accepted] == ["celeriac/run.skipped"]


def test_whoever_asks_for_a_function_that_is_gone_is_told_so(stage: Stage) -> None:
    asked = outgoing("evt_1", INVOKED, target="desk/gone")
    stage.store.commit([step_done(stage.claimed(), "ask", events=(asked,))])
    assert stage.store.match_pending().queued == []
    assert [one.name for one in stage.store.match_pending().accepted] == ["celeriac/run.failed"]


def test_a_skipped_run_is_not_past_any_deadline(stage: Stage) -> None:
    stage.declare(ruled(start_timeout=AT_ONCE))
    stage.store.pause(TENANT, "desk", "work", is_paused=True)
    skipped = sent(stage, ticket())
    assert stage.store.expire() == []
    assert run(stage, skipped.id).status == "skipped"


def test_functions_with_rules_start_beside_those_without(stage: Stage) -> None:
    stage.declare(function("plain"), debounced())
    [queued] = stage.send(ticket())
    assert stage.claim(queued.run_id).run.function_id == "plain"
