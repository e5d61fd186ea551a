"""The quota on queued runs: exact however many send at once, and a refusal leaves nothing behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from store_stage import OTHER, TENANT, Stage

from celeriac.errors import RefusedError
from celeriac.platform.event import Event

TICKET = Event("ticket", {"id": "T-1"})


def is_taken(stage: Stage, *events: Event, most: int, tenant: str = TENANT) -> bool:
    """Send under a quota; say whether the events were taken."""
    try:
        stage.store.ingest(tenant, events, most_queued=most)
    except RefusedError as error:
        assert (error.code, error.limit) == ("quota_exceeded", "queued_runs")
        return False
    return True


def test_of_fifty_who_send_at_once_exactly_as_many_as_may_be_are_taken(stage: Stage) -> None:
    """Each brings two runs, and ten pairs fit into twenty-one."""
    with ThreadPoolExecutor(50) as pool:
        taken = list(pool.map(lambda _: is_taken(stage, TICKET, TICKET, most=21), range(50)))
    assert sum(taken) == 10


def test_a_refusal_leaves_nothing_behind(stage: Stage) -> None:
    """Neither of the two events is stored, so that their ids are new when they are sent again."""
    events = [Event("ticket", {}, id="a"), Event("ticket", {}, id="b")]
    assert not is_taken(stage, *events, most=1)
    accepted = stage.store.ingest(TENANT, events, most_queued=2).accepted
    assert [one.is_duplicate for one in accepted] == [False, False]


def test_runs_that_are_claimed_make_room(stage: Stage) -> None:
    """Only those that are queued count."""
    assert is_taken(stage, TICKET, most=1)
    assert not is_taken(stage, TICKET, most=1)
    [queued] = stage.store.ingest(OTHER, [TICKET]).queued
    stage.claim(queued.run_id)
    assert is_taken(stage, TICKET, most=1, tenant=OTHER)


def test_events_that_start_nothing_are_taken_at_the_edge(stage: Stage) -> None:
    """They queue no run."""
    assert is_taken(stage, TICKET, most=1)
    assert is_taken(stage, Event("nobody.listens"), most=1)


def test_an_event_that_is_known_is_accepted_at_the_edge(sql_stage: Stage) -> None:
    """A sender that did not hear the answer hears it now."""
    known = Event("ticket", {}, id="mine")
    assert is_taken(sql_stage, known, most=1)
    assert is_taken(sql_stage, known, most=1)
