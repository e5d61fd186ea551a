"""Events: taken in whole or not at all, each once, with the runs that they start."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from store_stage import OTHER, PAST, TENANT, Stage, event_wait, function, ids, outgoing, step_done

from celeriac.platform.durable.declaration import EventSchema
from celeriac.platform.event import Event


def test_an_event_starts_a_run_of_each_function_that_it_triggers(stage: Stage) -> None:
    stage.declare(function(), function("audit", "ticket", "other"), function("idle", "other"))
    queued = stage.send(Event("ticket", {"id": "T-1"}))
    claims = [stage.claim(run.run_id) for run in queued]
    assert sorted(claim.run.function_id for claim in claims) == ["audit", "work"]


def test_a_fresh_run_is_queued_for_its_first_fence(stage: Stage) -> None:
    stage.declare(function(queue="memory", version="v7"))
    run = stage.queued()
    assert (run.tenant_id, run.queue, run.fence, run.is_resume, run.is_internal) == (TENANT, "memory", 1, False, False)


def test_the_run_carries_its_event(stage: Stage) -> None:
    event = Event("ticket", {"id": "T-1", "text": 'ä "quoted" \\ back'}, id="mine", ts=PAST)
    (run,) = stage.send(event)
    assert stage.claim(run.run_id).event == event


def test_a_function_with_two_fitting_triggers_starts_once(stage: Stage) -> None:
    stage.declare(function("work", "ticket", "tick*"))
    assert len(stage.send(Event("ticket"))) == 1


def test_a_star_at_the_end_of_a_trigger_fits_any_rest(stage: Stage) -> None:
    stage.declare(function("work", "support/*"))
    assert len(stage.send(Event("support/opened"), Event("support/closed"), Event("sales/opened"))) == 2


def test_a_star_alone_does_not_fit_the_events_of_the_platform(stage: Stage) -> None:
    stage.declare(function("work", "*"))
    claim = stage.claim(stage.send(Event("ticket"))[0].run_id)
    assert stage.finish(claim)
    assert stage.store.match_pending().queued == []


def test_ids_are_answered_in_the_order_given(stage: Stage) -> None:
    accepted = stage.store.ingest(TENANT, [Event("b", id="2"), Event("a"), Event("c", id="1")]).accepted
    assert [one.name for one in accepted] == ["b", "a", "c"]
    assert len({one.id for one in accepted}) == 3


def test_a_known_id_starts_nothing_and_is_answered_with_the_first_event(stage: Stage) -> None:
    first = stage.store.ingest(TENANT, [Event("ticket", id="same")])
    second = stage.store.ingest(TENANT, [Event("ticket", id="same"), Event("ticket", id="new")])
    assert [one.is_duplicate for one in second.accepted] == [True, False]
    assert second.accepted[0].id == first.accepted[0].id
    assert len(second.queued) == 1


def test_one_id_twice_in_a_request_is_one_event(stage: Stage) -> None:
    ingested = stage.store.ingest(TENANT, [Event("ticket", id="same"), Event("ticket", id="same")])
    assert [one.is_duplicate for one in ingested.accepted] == [False, True]
    assert len(ingested.queued) == 1


def test_a_known_id_wakes_nobody(stage: Stage) -> None:
    stage.send(Event("answer", id="same"))
    stage.parked(event_wait())
    assert stage.send(Event("answer", id="same")) == []


def test_the_ids_of_another_tenant_are_not_known(stage: Stage) -> None:
    stage.send(Event("ticket", id="same"))
    assert len(stage.send(Event("ticket", id="same"), tenant=OTHER)) == 1


def test_without_events_nothing_is_accepted(stage: Stage) -> None:
    ingested = stage.store.ingest(TENANT, [])
    assert (ingested.accepted, ingested.queued) == ([], [])


def test_five_thousand_events_are_taken_in_at_once(stage: Stage) -> None:
    events = [Event("ticket", {"n": n}, id=f"sender-{n}") for n in range(5_000)]
    assert len(stage.send(*events)) == 5_000
    assert all(one.is_duplicate for one in stage.store.ingest(TENANT, events).accepted)


def test_an_event_without_time_happened_when_it_was_received(stage: Stage) -> None:
    claim = stage.claimed()
    assert claim.event_received_at.tzinfo == UTC
    assert abs((claim.event_received_at - datetime.now(UTC)).total_seconds()) < 60


def test_functions_that_are_no_longer_declared_are_not_triggered(stage: Stage) -> None:
    stage.declare(function("renamed"))
    assert [stage.claim(run.run_id).run.function_id for run in stage.send(Event("ticket"))] == ["renamed"]


def test_the_declarations_of_another_app_stay(stage: Stage) -> None:
    stage.store.declare("shop", [], [])
    assert len(stage.send(Event("ticket"))) == 1


def test_a_function_that_is_declared_again_is_triggered_again(stage: Stage) -> None:
    stage.declare()
    assert stage.send(Event("ticket")) == []
    stage.declare(function(version="v2"))
    assert stage.claimed().version == "v2"


def test_schemas_are_found_by_the_names_of_events(stage: Stage) -> None:
    schema = EventSchema(app="desk", name="ticket", schema={"type": "object", "required": ["id"]})
    stage.store.declare("desk", [], [schema, EventSchema(app="desk", name="other", schema={})])
    assert stage.store.schemas(["ticket", "unknown"]) == [schema]
    stage.store.declare("desk", [], [])
    assert stage.store.schemas(["ticket"]) == []


def test_runs_of_internal_functions_are_internal(stage: Stage) -> None:
    stage.declare(function(is_internal=True))
    assert stage.queued().is_internal


@pytest.mark.parametrize("is_internal", [False, True])
def test_an_event_sent_by_a_step_starts_its_runs_when_it_is_matched(stage: Stage, is_internal: bool) -> None:
    stage.declare(function(), function("child", "sent"))
    claim = stage.claimed()
    stage.store.commit([step_done(claim, "send", events=(outgoing(is_internal=is_internal),))])
    (child,) = stage.store.match_pending(["evt_out"]).queued
    claimed = stage.claim(child.run_id)
    assert (claimed.run.function_id, claimed.run.tenant_id, claimed.event.data) == ("child", TENANT, {"n": 1})
    assert child.is_internal == is_internal


def test_a_pending_event_is_matched_once(stage: Stage) -> None:
    stage.declare(function(), function("child", "sent"))
    stage.store.commit([step_done(stage.claimed(), "send", events=(outgoing(),))])
    assert len(stage.store.match_pending().queued) == 1
    assert stage.store.match_pending().queued == []
    assert stage.store.match_pending(["evt_out"]).queued == []


def test_a_pending_event_wakes_the_run_that_waits_for_it(stage: Stage) -> None:
    waiting = stage.parked(event_wait(name="sent"))
    stage.store.commit([step_done(stage.claimed(), "send", events=(outgoing(),))])
    assert ids(stage.store.match_pending().queued) == [waiting.run.id]


def test_only_so_many_pending_events_are_matched(stage: Stage) -> None:
    stage.declare(function(), function("child", "sent"))
    sent = tuple(outgoing(f"evt_{n}") for n in range(3))
    stage.store.commit([step_done(stage.claimed(), "send", events=sent)])
    assert len(stage.store.match_pending(most=2).queued) == 2
    assert len(stage.store.match_pending(most=2).queued) == 1


def test_an_event_without_an_id_of_its_sender_carries_ours(stage: Stage) -> None:
    ingested = stage.store.ingest(TENANT, [Event("ticket")])
    claim = stage.claim(ingested.queued[0].run_id)
    assert (claim.event.id, claim.run.event_id) == (ingested.accepted[0].id, ingested.accepted[0].id)
    assert claim.event.ts == claim.event_received_at
