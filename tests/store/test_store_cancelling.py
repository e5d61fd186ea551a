"""What ends runs from outside: the events of `cancel_on`, and the deadlines of `start_timeout` and `timeout`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starting_stage import AT_ONCE, HOUR, debounced, ruled, run, sent, ticket, woken
from store_stage import OTHER, TENANT, Stage, event_wait, outgoing, sleep, step_done

from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.store import Ending
from celeriac.platform.event import Event
from celeriac.platform.trigger import Trigger

OF_THIS_KEY = Trigger("stop", match="data.key")


def stopping(*events: Trigger, **rules: Any) -> Any:
    """Declare `work` with these events in `cancel_on`."""
    return ruled(cancel_on=events or (OF_THIS_KEY,), **rules)


def stop(stage: Stage, key: Any = "a", **options: Any) -> list[str]:
    """Send the event that cancels; return the ids of the runs that it ended."""
    return stage.store.ingest(options.pop("tenant", TENANT), [Event("stop", {"key": key, **options})]).ended


def test_the_event_cancels_a_queued_run(stage: Stage) -> None:
    stage.declare(stopping())
    queued = sent(stage, ticket())
    assert stop(stage) == [queued.id]
    ended = run(stage, queued.id)
    assert (ended.status, ended.reason) == ("cancelled", "cancelled")


def test_it_cancels_a_run_that_waits(stage: Stage) -> None:
    stage.declare(stopping())
    claim = stage.claimed_of(ticket())
    stage.begin(claim, sleep())
    assert stage.store.park(stage.refreshed(claim))
    assert stop(stage) == [claim.run.id]
    assert woken(stage) == []


def test_it_flags_a_run_that_executes(stage: Stage) -> None:
    stage.declare(stopping())
    claim = stage.claimed_of(ticket())
    assert stop(stage) == []
    fresh = stage.refreshed(claim)
    assert (fresh.cancel_requested, fresh.wakes) == (True, claim.wakes + 1)


def test_it_cancels_a_run_that_is_still_gathering(stage: Stage) -> None:
    stage.declare(stopping(debounce=debounced().rules.debounce))
    gathering = sent(stage, ticket())
    assert stop(stage) == [gathering.id]


def test_a_run_that_has_gathered_another_event_compares_that_one(stage: Stage) -> None:
    stage.declare(stopping(Trigger("stop", match="data.n"), debounce=debounced().rules.debounce))
    gathering = sent(stage, ticket(1))
    stage.send(ticket(2))
    assert (stop(stage, n=1), stop(stage, n=2)) == ([], [gathering.id])


@pytest.mark.parametrize("other", [{"key": "b"}, {"tenant": OTHER}])
def test_the_event_of_another_key_or_tenant_cancels_nothing(stage: Stage, other: dict[str, Any]) -> None:
    stage.declare(stopping())
    sent(stage, ticket())
    assert stop(stage, **other) == []


def test_a_key_that_the_run_does_not_have_is_never_matched(stage: Stage) -> None:
    stage.declare(stopping(Trigger("stop", match="data.other")))
    sent(stage, ticket())
    assert stop(stage, other=None) == []


def test_a_condition_sees_both_events(stage: Stage) -> None:
    stage.declare(stopping(Trigger("stop", if_="async.data.least > event.data.n")))
    queued = sent(stage, ticket(3))
    assert (stop(stage, least=3), stop(stage, least=4)) == ([], [queued.id])


def test_an_event_that_came_before_the_run_cancels_nothing(stage: Stage) -> None:
    stage.declare(stopping())
    stop(stage)
    assert sent(stage, ticket()).status == "queued"


def test_events_of_one_request_do_not_cancel_what_the_others_start(stage: Stage) -> None:
    stage.declare(stopping())
    assert len(stage.send(Event("stop", {"key": "a"}), ticket(), Event("stop", {"key": "a"}))) == 1


def test_after_the_timeout_the_event_cancels_no_more(stage: Stage) -> None:
    stage.declare(stopping(Trigger("stop", timeout=AT_ONCE)))
    queued = sent(stage, ticket())
    assert (woken(stage), stop(stage)) == ([], [])
    assert run(stage, queued.id).status == "queued"


def test_the_wait_for_it_is_none_of_the_runs_code(stage: Stage) -> None:
    stage.declare(stopping())
    claim = stage.claimed_of(ticket())
    assert (claim.waits, stage.store.waits(claim)) == (0, [])


def test_an_ended_run_is_cancelled_by_nothing(stage: Stage) -> None:
    stage.declare(stopping())
    assert stage.finish(stage.claimed_of(ticket()))
    assert stop(stage) == []


def test_the_event_of_a_step_cancels_too(stage: Stage) -> None:
    stage.declare(stopping(Trigger("stop")), ruled("parent", "begin"))
    queued = sent(stage, ticket())
    parent = stage.claim(stage.send(Event("begin"))[0].run_id)
    stage.store.commit([step_done(parent, "send", events=(outgoing("evt_1", "stop"),))])
    assert stage.store.match_pending().ended == [queued.id]


def test_an_event_of_a_step_cancels_a_run_whose_start_is_matched_after_it_was_sent(stage: Stage) -> None:
    """The times at which the two were sent count, not the time at which the first is matched."""
    stage.declare(stopping(Trigger("stop")), ruled("parent", "begin"))
    parent = stage.claimed_of(Event("begin"))
    for id, name in (("evt_1", "ticket"), ("evt_2", "stop")):
        stage.store.commit([step_done(parent, f"send {name}", kind="send", events=(outgoing(id, name),))])
    [queued] = stage.store.match_pending(["evt_1"]).queued
    assert stage.store.match_pending(["evt_2"]).ended == [queued.run_id]


def test_one_event_wakes_some_and_cancels_others(stage: Stage) -> None:
    stage.declare(stopping(), ruled("patient", "other"))
    queued, claim = sent(stage, ticket()), stage.claimed_of(Event("other"))
    stage.begin(claim, event_wait(name="stop"))
    assert stage.store.park(stage.refreshed(claim))
    ingested = stage.store.ingest(TENANT, [Event("stop", {"key": "a"})])
    assert (ingested.ended, [one.run_id for one in ingested.queued]) == ([queued.id], [claim.run.id])


def expired(stage: Stage) -> list[tuple[str, str | None]]:
    """End what is late; return the status and reason of each run."""
    late = [run(stage, one.id) for one in stage.store.expire()]
    return [(one.status, one.reason) for one in late]


def test_a_run_that_does_not_start_in_time_is_cancelled(stage: Stage) -> None:
    stage.declare(ruled(start_timeout=AT_ONCE))
    sent(stage, ticket())
    assert expired(stage) == [("cancelled", "start_timeout")]
    assert expired(stage) == []


def test_a_run_that_has_started_is_past_its_first_deadline(stage: Stage) -> None:
    stage.declare(ruled(start_timeout=AT_ONCE))
    stage.claimed_of(ticket())
    assert expired(stage) == []


def test_a_run_that_does_not_end_in_time_is_cancelled(stage: Stage) -> None:
    stage.declare(ruled(timeout=AT_ONCE))
    claim = stage.claimed_of(ticket())
    stage.begin(claim, sleep())
    assert stage.store.park(stage.refreshed(claim))
    assert expired(stage) == [("cancelled", "timeout")]


def test_a_run_that_executes_past_its_time_is_flagged_with_the_reason(stage: Stage) -> None:
    stage.declare(ruled(timeout=AT_ONCE))
    claim = stage.claimed_of(ticket())
    assert [one.status for one in stage.store.expire()] == ["running"]
    fresh = stage.refreshed(claim)
    assert (fresh.cancel_requested, fresh.cancel_reason) == (True, "timeout")
    assert stage.store.expire() == []


def test_the_time_of_a_run_begins_with_its_first_link(stage: Stage) -> None:
    stage.declare(ruled(timeout=AT_ONCE))
    sent(stage, ticket())
    assert expired(stage) == []


def test_a_later_link_gives_no_new_time(stage: Stage) -> None:
    stage.declare(ruled(timeout=AT_ONCE))
    claim = stage.claimed_of(ticket())
    stage.declare(ruled(timeout=HOUR))
    assert stage.store.requeue(claim) is not None
    stage.claim(claim.run.id)
    assert [one.id for one in stage.store.expire()] == [claim.run.id]


def test_a_run_that_ended_by_itself_first_stays_as_it_is(stage: Stage) -> None:
    stage.declare(ruled(timeout=AT_ONCE))
    claim = stage.claimed_of(ticket())
    assert stage.finish(claim, Ending(status="completed"))
    assert stage.store.expire() == []


def test_who_was_first_says_why(stage: Stage) -> None:
    stage.declare(ruled(timeout=AT_ONCE))
    claim = stage.claimed_of(ticket())
    stage.store.cancel(TENANT, claim.run.id, reason="bulk")
    stage.store.expire()
    assert stage.refreshed(claim).cancel_reason == "bulk"


def test_the_first_reason_holds_when_the_run_stands_by_the_second(stage: Stage) -> None:
    claim = stage.claimed()
    stage.store.cancel(TENANT, claim.run.id, reason="timeout")
    assert stage.store.requeue(claim) is not None
    assert stage.store.cancel(TENANT, claim.run.id).reason == "timeout"


def test_only_so_many_are_ended_at_once(stage: Stage) -> None:
    stage.declare(ruled(start_timeout=AT_ONCE))
    stage.send(*(ticket(n) for n in range(5)))
    assert [len(stage.store.expire(most=3)) for _ in range(3)] == [3, 2, 0]


def test_rules_are_stored_as_they_were_declared() -> None:
    rules = StartRules(
        debounce=debounced(max_wait=HOUR).rules.debounce,
        idempotency="event.data.key",
        cancel_on=(Trigger("stop", if_="async.data.n > 1", match="data.key", timeout=timedelta(milliseconds=1500)),),
        start_timeout=timedelta(microseconds=1),
        timeout=timedelta(days=366),
    )
    assert StartRules.decode(rules.encode()) == rules
    assert (StartRules().encode(), StartRules.decode(None)) == (None, StartRules())
