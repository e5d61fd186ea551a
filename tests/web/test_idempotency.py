"""Idempotency keys: what is sent again is answered again, and nothing is done twice, also when a process dies."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from bank_runs import Desk
from flask import Flask
from isolation_world import World
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from celeriac.database import db_ago, transaction
from celeriac.platform.durable.memo import Wait, WaitBegun
from celeriac.platform.durable.order import STEP_ORDER_CHANGED, order_wait
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.durable.store import Claim
from celeriac.platform.event import signal_name
from celeriac.platform.store.tables import bulk_actions, events, runs
from celeriac.tenants.idempotency import GivenAnswers, KeyedRequest
from celeriac.tenants.tables import api_keys, given_answers
from celeriac.web.app import create_app

EVENT = {"name": "support/ticket.opened", "data": {"n": 1}}
BULK = {"kind": "cancel", "filter": {"function": "bank/nightly-report"}}


class Dying(GivenAnswers):
    """Answers that nobody gets, as the process is gone."""

    def answer(self, asked: KeyedRequest, seed: str, status: int, body: Any) -> None:
        raise MemoryError("the process is gone")


def post(app: Flask, world: World, path: str, body: Any, key: str | None) -> TestResponse:
    """Send a request with an idempotency key."""
    headers = {"Authorization": f"Bearer {world.keys['good']}"} | ({} if key is None else {"Idempotency-Key": key})
    return app.test_client().post(path.format(key=world.keys["event"]), json=body, headers=headers)


def ended_run(world: World) -> str:
    """Return a run that can be done again."""
    return Desk(world.own.rooms.store, world.own.tenant_id).completed()


def claimed(world: World) -> Claim:
    """Return a run that a worker executes."""
    return Desk(world.own.rooms.store, world.own.tenant_id).started().claim


def waiting_for(world: World, signal: str) -> str:
    """Return a run that is parked until the signal comes."""
    store, claim = world.own.rooms.store, claimed(world)
    wait = Wait(path="approval", kind="signal", event_name=signal_name(signal), wake_at=store.now() + timedelta(days=1))
    assert store.await_event(claim, wait) is not None
    fresh = store.refresh(claim)
    assert fresh is not None and store.park(fresh)
    return claim.run.id


def stopped_run(world: World) -> str:
    """Return a run that stands still because its code has changed."""
    store, claim = world.own.rooms.store, claimed(world)
    wait = order_wait(claim.run.id, 0, store.now())
    right = {"run_id": claim.run.id, "tenant_id": world.own.tenant_id, "fence": claim.fence}
    store.commit([WaitBegun(**right, path=wait.path, wait=wait)])
    fresh = store.refresh(claim)
    assert fresh is not None and store.park(fresh, reason=STEP_ORDER_CHANGED)
    return claim.run.id


def signal(world: World) -> dict[str, Any]:
    """Return the body that gives a signal for which a run waits."""
    name = f"approve {uuid4().hex}"
    waiting_for(world, name)
    return {"signal": name, "data": {"by": "ann"}}


def action(world: World) -> str:
    """Return a bulk action that goes on."""
    return world.own.rooms.operations.begin(world.own.tenant_id, "cancel", RunFilter(event_name="own/event")).id


#: what makes something or changes it: where to post, and what
MAKERS: dict[str, Callable[[World], tuple[str, Any]]] = {
    "events": lambda _: ("/v1/events", [EVENT, EVENT]),
    "events by key": lambda _: ("/e/{key}", EVENT),
    "a rerun": lambda world: (f"/v1/runs/{ended_run(world)}/rerun", {}),
    "a decision": lambda world: (f"/v1/runs/{world.own.run()}/approvals/call_1", {"approved": True}),
    "a cancellation": lambda world: (f"/v1/runs/{world.own.run()}/cancel", None),
    "a resumption": lambda world: (f"/v1/runs/{stopped_run(world)}/resume", None),
    "a signal": lambda world: ("/v1/signals", signal(world)),
    "a pause": lambda _: ("/v1/functions/bank/nightly-report/pause", None),
    "the end of a pause": lambda _: ("/v1/functions/bank/nightly-report/resume", None),
    "an abort": lambda world: (f"/v1/bulk/{action(world)}/abort", None),
    "a bulk action": lambda _: ("/v1/bulk", BULK),
    "a key": lambda _: ("/v1/keys", {"kind": "api", "scopes": ["runs:read"]}),
    "a signing key": lambda _: ("/v1/keys", {"kind": "signing", "expires": "1h"}),
    "a rotation": lambda world: (f"/v1/keys/{world.own.key()[0]}/rotate", {}),
}

each_maker = pytest.mark.parametrize("maker", MAKERS)


@pytest.fixture(autouse=True)
def no_action_goes_on(world: World) -> None:
    """Only ten bulk actions of a tenant may."""
    for action in world.own.rooms.operations.actions(world.own.tenant_id, limit=100):
        world.own.rooms.operations.abort(world.own.tenant_id, action.id)


def dying(world: World) -> Flask:
    """Return the web of a process that dies when it has done what was asked, before it can say so."""
    return create_app(replace(world.own.rooms, given_answers=Dying(world.engine, held_for=timedelta(0))))


def status_of(world: World, run_id: str) -> str:
    """Return where a run stands."""
    return world.own.rooms.reads.run(world.own.tenant_id, run_id).status


def made(world: World) -> int:
    """Count what there is that a request can make."""
    with world.engine.connect() as connection:
        return sum(
            len(connection.execute(select(table.c.id).where(table.c.tenant_id == world.own.tenant_id)).all())
            for table in (events, runs, bulk_actions, api_keys)
        )


@each_maker
def test_what_is_sent_again_is_answered_again(world: World, maker: str) -> None:
    """And made once; another key makes it anew."""
    path, body = MAKERS[maker](world)
    key = uuid4().hex
    first = post(world.app, world, path, body, key)
    before = made(world)
    again = post(world.app, world, path, body, key)
    assert first.status_code in (200, 201, 202), first.text
    assert (again.status_code, again.json) == (first.status_code, first.json)
    assert "Idempotency-Replayed" not in first.headers and again.headers["Idempotency-Replayed"] == "true"
    assert made(world) == before


@each_maker
def test_a_process_that_dies_after_doing_does_not_make_it_twice(world: World, maker: str) -> None:
    """The next one finds what is there, because its ids come from the key."""
    path, body = MAKERS[maker](world)
    key = uuid4().hex
    assert post(dying(world), world, path, body, key).status_code == 500
    before = made(world)
    again = post(world.app, world, path, body, key)
    assert again.status_code in (200, 201, 202), again.text
    assert made(world) == before
    assert post(world.app, world, path, body, key).json == again.json


@pytest.mark.parametrize("dies", [False, True], ids=["answered", "died"])
def test_a_signal_that_is_sent_again_is_no_second_signal(world: World, dies: bool) -> None:
    """Another run may wait for the same one meanwhile; another key is for that."""
    body, key = {"signal": f"approve {uuid4().hex}", "data": 1}, uuid4().hex
    first = waiting_for(world, str(body["signal"]))
    post(dying(world) if dies else world.app, world, "/v1/signals", body, key)
    second = waiting_for(world, str(body["signal"]))
    assert post(world.app, world, "/v1/signals", body, key).status_code == 200
    assert (status_of(world, first), status_of(world, second)) == ("queued", "parked")
    assert post(world.app, world, "/v1/signals", body, uuid4().hex).json == {"data": {"run_id": second}}


def test_a_signal_that_nobody_waited_for_may_be_sent_again(world: World) -> None:
    """With the same key, as it was given to nobody."""
    body, key = {"signal": f"approve {uuid4().hex}", "data": 1}, uuid4().hex
    assert post(world.app, world, "/v1/signals", body, key).status_code == 404
    waiting_for(world, str(body["signal"]))
    assert post(world.app, world, "/v1/signals", body, key).status_code == 200


def test_a_run_that_others_cancelled_is_refused_to_a_new_key(world: World) -> None:
    path = f"/v1/runs/{world.own.run()}/cancel"
    assert post(world.app, world, path, None, uuid4().hex).status_code == 200
    assert post(world.app, world, path, None, uuid4().hex).status_code == 409


def test_a_body_that_no_view_reads_makes_no_other_request(world: World) -> None:
    path, key = f"/v1/runs/{world.own.run()}/cancel", uuid4().hex
    first = post(world.app, world, path, None, key)
    again = post(world.app, world, path, {}, key)
    assert (again.status_code, again.json) == (200, first.json)


def test_two_at_once_make_one(world: World) -> None:
    """All but one wait for their answer or are asked to come again."""
    key = uuid4().hex

    def send(_: int) -> int:
        return post(world.app, world, "/v1/keys", {"kind": "event"}, key).status_code

    before = made(world)
    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(send, range(6)))
    assert set(statuses) <= {201, 409} and 201 in statuses
    assert made(world) == before + 1


def test_another_body_with_the_same_key_is_refused(world: World) -> None:
    """The order of its fields makes no other body."""
    key = uuid4().hex
    post(world.app, world, "/v1/events", EVENT, key)
    same = post(world.app, world, "/v1/events", dict(reversed(EVENT.items())), key)
    assert same.headers["Idempotency-Replayed"] == "true"
    before = made(world)
    other = post(world.app, world, "/v1/events", {**EVENT, "data": {}}, key)
    assert (other.status_code, other.json and other.json["code"]) == (422, "idempotency_key_reused")
    assert made(world) == before


def test_a_key_that_is_held_says_when_to_come_again(world: World) -> None:
    """And is free by then, when its process died."""
    key, tenant_id = uuid4().hex, world.own.tenant_id
    asked = KeyedRequest(tenant_id=tenant_id, route="POST /v1/events", key=key, body=EVENT)
    world.own.rooms.given_answers.begin(asked)
    held = post(world.app, world, "/v1/events", EVENT, key)
    assert (held.status_code, held.json and held.json["code"]) == (409, "idempotency_conflict")
    left = int(held.headers["Retry-After"])
    assert 1 <= left <= 5
    with transaction(world.engine) as connection:
        now = db_ago(timedelta(seconds=left))
        connection.execute(update(given_answers).where(given_answers.c.key == key).values(held_until=now))
    assert post(world.app, world, "/v1/events", EVENT, key).status_code == 202


def test_a_refusal_is_not_kept(world: World) -> None:
    """What was refused may be mended and sent again with the same key."""
    key, run_id = uuid4().hex, world.own.run()
    path = f"/v1/runs/{run_id}/rerun"
    assert post(world.app, world, path, {}, key).status_code == 409
    world.own.rooms.store.cancel(world.own.tenant_id, run_id)
    assert post(world.app, world, path, {}, key).status_code == 201


def test_no_key_in_the_clear_is_kept(world: World) -> None:
    """It is derived again for the same request, and not at all when it cannot be."""
    key = uuid4().hex
    answer = post(world.app, world, "/v1/keys", {"kind": "api"}, key)
    assert answer.json is not None
    with world.engine.connect() as connection:
        rows = repr(connection.execute(select(given_answers)).all())
    assert answer.json["id"] in rows and answer.json["key"][20:50] not in rows
    rooms = world.own.rooms
    elsewhere = create_app(replace(rooms, settings=rooms.settings.model_copy(update={"secret_key": "k" * 32})))
    assert "key" not in (post(elsewhere, world, "/v1/keys", {"kind": "api"}, key).json or {"key": ""})


@pytest.mark.parametrize("wish", [{"scopes": ["keys:write"]}, {"lasts": "1h"}])
def test_a_key_is_told_again_to_nobody_who_could_not_make_it(world: World, wish: dict[str, Any]) -> None:
    """Who knows an idempotency key of somebody who may more, or for longer, gets no more by it."""
    key, (_, weak) = uuid4().hex, world.own.key(**wish)
    strong = post(world.app, world, "/v1/keys", {"kind": "api"}, key)
    headers = {"Authorization": f"Bearer {weak}", "Idempotency-Key": key}
    again = world.app.test_client().post("/v1/keys", json={"kind": "api"}, headers=headers)
    assert strong.json is not None and again.json is not None
    assert again.json["id"] == strong.json["id"] and "key" not in again.json


def test_an_answer_is_forgotten_after_a_day(world: World) -> None:
    """Then the key is as new."""
    key = uuid4().hex
    first = post(world.app, world, "/v1/bulk", BULK, key).json
    with transaction(world.engine) as connection:
        old = db_ago(timedelta(hours=24))
        connection.execute(update(given_answers).where(given_answers.c.key == key).values(created_at=old))
    again = post(world.app, world, "/v1/bulk", BULK, key)
    assert again.status_code == 202 and again.json != first


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel"])
def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    """Before anything is done."""
    answer = post(world.app, world, "/v1/events", EVENT, key.encode().decode("latin-1"))
    assert (answer.status_code, answer.json and answer.json["code"]) == (400, "invalid_request")
