"""Answers: which waits an event is for, by match, by condition, and by the run whose end it tells of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from store_stage import FUTURE, PAST, Stage, event_wait, function, ids, outgoing, step_done, wait_begun

from celeriac.ids import derived_id
from celeriac.platform.codec import canonical
from celeriac.platform.durable.matching import match_key, match_keys_in, visible
from celeriac.platform.durable.memo import OutgoingEvent, Wait
from celeriac.platform.durable.store import Claim
from celeriac.platform.event import INVOKED, Event, ended_name
from celeriac.platform.expression import look_up


def values_of(claim: Claim, stage: Stage) -> list[Any]:
    """Return the data of the events by which the run's waits are over, None for one that is open."""
    return [None if wait.event is None else json.loads(wait.event)["data"] for wait in stage.store.waits(claim)]


@pytest.mark.parametrize(
    ("wanted", "other"),
    [
        ("1", [True, "1", 1.5, None, [1]]),
        ("true", [1, "true", False]),
        ('"x"', ["X", "x ", ["x"]]),
        ("null", [0, "", False]),
        ('{"a":[1,{"b":true}],"c":2}', [{"a": [1, {"b": 1}], "c": 2}, {"a": [1, {"b": True}]}]),
        ("[]", [{}, None, False]),
    ],
)
def test_only_the_same_value_is_matched(stage: Stage, wanted: str, other: list[Any]) -> None:
    parked = stage.parked(event_wait(match=("data.value", wanted)))
    assert stage.send(*(Event("answer", {"value": value}) for value in other), Event("answer", {})) == []
    assert ids(stage.send(Event("answer", {"value": json.loads(wanted)}))) == [parked.run.id]


@pytest.mark.parametrize(
    ("wanted", "equal"), [("1", 1.0), ("1.0", 1), ('{"b":1,"a":2}', {"a": 2.0, "b": 1}), ("-0.0", 0)]
)
def test_values_that_are_equal_as_json_are_matched(stage: Stage, wanted: str, equal: Any) -> None:
    parked = stage.parked(event_wait(match=("data.value", wanted)))
    assert ids(stage.send(Event("answer", {"value": equal}))) == [parked.run.id]


def test_each_event_of_a_request_ends_the_waits_that_it_is_for(stage: Stage) -> None:
    parked = [stage.parked(event_wait(match=("data.n", str(n)))) for n in range(4)]
    woken = ids(stage.send(*(Event("answer", {"n": n, "at": n}) for n in (2, 0, 9))))
    assert sorted(woken) == sorted([parked[0].run.id, parked[2].run.id])


def test_an_event_with_a_great_many_values_finds_its_wait(stage: Stage) -> None:
    parked = stage.parked(event_wait(match=("data.deep.k999", "999")))
    many = {"deep": {f"k{n}": n for n in range(3_000)}}
    assert ids(stage.send(Event("answer", many))) == [parked.run.id]


def test_many_events_with_many_values_find_their_waits(stage: Stage) -> None:
    parked = stage.parked(event_wait(match=("data.k7", "250")))
    events = [Event("answer", {f"k{k}": n * 100 + k for k in range(50)}) for n in range(200)]
    assert stage.send(*events) == []
    assert ids(stage.send(*events, Event("answer", {"k7": 250}))) == [parked.run.id]


def test_a_condition_speaks_of_both_events(stage: Stage) -> None:
    parked = stage.parked(event_wait(condition="async.data.ticket == event.data.id && async.data.n > 1"))
    assert stage.send(Event("answer", {"ticket": "T-1", "n": 1}), Event("answer", {"ticket": "T-2", "n": 2})) == []
    assert ids(stage.send(Event("answer", {"ticket": "T-1", "n": 2}))) == [parked.run.id]


def test_a_condition_decides_which_of_two_events_is_kept(stage: Stage) -> None:
    parked = stage.parked(event_wait(condition="async.data.n > 1"))
    stage.send(Event("answer", {"n": 1}), Event("answer", {"n": 2}), Event("answer", {"n": 3}))
    assert values_of(stage.claim(parked.run.id), stage) == [{"n": 2}]


def test_a_condition_reads_back_as_it_was_written(stage: Stage) -> None:
    claim = stage.claimed()
    wait = stage.store.await_event(claim, event_wait(condition="async.data.n > 1", match=("data.id", '"T-1"')))
    assert stage.store.waits(claim) == [wait]


def test_looking_back_asks_for_match_and_condition(stage: Stage) -> None:
    claim = stage.claimed()
    stage.send(*(Event("answer", {"id": "T-1", "n": n}) for n in range(3)), Event("answer", {"id": "T-2", "n": 9}))
    wanted = event_wait(condition="async.data.n > 1", match=("data.id", '"T-1"'))
    wait = stage.store.await_event(claim, wanted, look_back=FUTURE - PAST)
    assert wait is not None
    assert json.loads(wait.event or "")["data"] == {"id": "T-1", "n": 2}


def invoked(claim: Claim, target: str) -> tuple[str, Any]:
    """Return the entry by which a step invokes a function, and the id of the run that is to come of it."""
    event = OutgoingEvent(id=f"evt_{claim.run.id}", name=INVOKED, data='{"n":1}', target=target)
    app, name = target.split("/")
    child = derived_id("run", event.id, app, name)
    wait = Wait(path="child", kind="invoke", wake_at=FUTURE, event_name=ended_name(child))
    return child, wait_begun(claim, wait, events=(event,))


def test_an_invoked_function_is_started_with_the_wait_and_its_end_ends_the_wait(stage: Stage) -> None:
    stage.declare(function(), function("child", "never"))
    claim = stage.claimed()
    child, entry = invoked(claim, "desk/child")
    assert stage.store.commit([entry]) == [0]
    assert stage.store.park(stage.refreshed(claim))
    assert ids(stage.store.match_pending().queued) == [child]
    stage.finish(stage.claim(child, "wrk_two"))
    assert ids(stage.store.match_pending().queued) == [claim.run.id]
    [data] = values_of(stage.claim(claim.run.id), stage)
    assert (data["run_id"], data["status"]) == (child, "completed")


def test_an_invoked_function_that_is_cancelled_ends_the_wait(stage: Stage) -> None:
    stage.declare(function(), function("child", "never"))
    claim = stage.claimed()
    child, entry = invoked(claim, "desk/child")
    stage.store.commit([entry])
    stage.store.match_pending()
    stage.store.cancel(claim.run.tenant_id, child)
    stage.store.match_pending()
    assert [data["status"] for data in values_of(claim, stage)] == ["cancelled"]


@pytest.mark.parametrize("pauses", [False, True])
def test_an_invoked_function_that_cannot_start_ends_the_wait(stage: Stage, pauses: bool) -> None:
    if pauses:
        stage.declare(function(), function("child", "never"))
        stage.store.pause("ten_one", "desk", "child", is_paused=True)
    claim = stage.claimed()
    child, entry = invoked(claim, "desk/child")
    stage.store.commit([entry])
    for _ in range(2):
        stage.store.match_pending()
    [data] = values_of(claim, stage)
    assert (data["run_id"], data["error"]["code"]) == (child, "skipped" if pauses else "unknown_function")


def test_the_end_of_one_run_ends_no_wait_for_another(stage: Stage) -> None:
    claim = stage.claimed()
    wait = Wait(path="child", kind="invoke", wake_at=FUTURE, event_name=ended_name("run_other"))
    stage.store.commit([wait_begun(claim, wait)])
    stage.finish(stage.claimed("wrk_two"))
    stage.store.match_pending()
    assert values_of(claim, stage) == [None]


EVENT = visible("answer", {"a": {"b": [1, {"c": 2.0}]}, "d-e": True, "f": None}, "evt_1", PAST)


@pytest.mark.parametrize("path", ["data", "data.a", "data.a.b", "data.d-e", "data.f", "name", "id", "ts"])
def test_the_key_of_a_match_is_among_the_keys_of_an_event_that_has_the_value(path: str) -> None:
    value = look_up(path, EVENT)
    key = match_key(event_wait(match=(path, json.dumps(value))))
    assert key in (match_keys_in(EVENT) or set())
    assert match_key(event_wait(match=(path, json.dumps([value])))) not in (match_keys_in(EVENT) or set())


def test_equal_values_have_one_text() -> None:
    assert canonical({"b": 1.0, "a": [True, 1e300]}) == canonical({"a": [True, int(1e300)], "b": 1})
    assert canonical([True]) != canonical([1])


def test_closed_paths_end_the_waits_at_and_below_them(stage: Stage) -> None:
    claim = stage.claimed()
    for path in ("race/slow/a", "race/slow/b/c", "race/slower", "other", "race"):
        stage.begin(claim, event_wait(path))
    stage.store.commit([step_done(claim, "race", kind="race", closes=("race/slow", "other"))])
    open_ones = {wait.path for wait in stage.store.waits(claim) if wait.resolved_at is None}
    assert open_ones == {"race/slower"}
    assert len(stage.send(Event("answer"))) == 0
    assert values_of(claim, stage).count({}) == 1


def test_under_an_old_fence_nothing_is_closed(stage: Stage) -> None:
    old = stage.claimed()
    stage.begin(old, event_wait("slow"))
    stage.store.requeue(old)
    new = stage.claim(old.run.id)
    assert stage.store.commit([step_done(old, "race", closes=("slow",))]) == [None]
    assert [wait.resolved_at for wait in stage.store.waits(new)] == [None]


def test_paths_of_a_race_may_hold_what_patterns_mean_something_by(stage: Stage) -> None:
    claim = stage.claimed()
    for path in ("50%/a", "50x/a", "a_b/c", "axb/c"):
        stage.begin(claim, event_wait(path))
    stage.store.commit([step_done(claim, "race", closes=("50%", "a_b"))])
    assert {wait.path for wait in stage.store.waits(claim) if wait.resolved_at is None} == {"50x/a", "axb/c"}


def test_an_event_goes_out_with_a_wait_once(stage: Stage) -> None:
    claim = stage.claimed()
    wait = Wait(path="child", kind="invoke", wake_at=FUTURE, event_name=ended_name("run_x"))
    entry = wait_begun(claim, wait, events=(outgoing("evt_w"),))
    assert stage.store.commit([entry]) == [0]
    assert stage.store.commit([entry]) == [0]
    assert [one.id for one in stage.store.match_pending().accepted] == ["evt_w"]
