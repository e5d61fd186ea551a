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
from celeriac.platform.store.tables import bulk_actions, events, runs
from celeriac.tenants.idempotency import Asked, GivenAnswers
from celeriac.tenants.tables import api_keys, given_answers
from celeriac.web.app import create_app

EVENT = {"name": "support/ticket.opened", "data": {"n": 1}}
BULK = {"kind": "cancel", "filter": {"function": "bank/nightly-report"}}


class Dying(GivenAnswers):
    """Answers of a process that dies when it has done what was asked, before it can say so."""

    def answer(self, asked: Asked, seed: str, status: int, body: Any) -> None:
        raise MemoryError("the process is gone")


def post(app: Flask, world: World, path: str, body: Any, key: str | None) -> TestResponse:
    """Send a request with an idempotency key."""
    headers = {"Authorization": f"Bearer {world.keys['good']}"} | ({} if key is None else {"Idempotency-Key": key})
    return app.test_client().post(path.format(key=world.keys["event"]), json=body, headers=headers)


def ended_run(world: World) -> str:
    """Return a run that can be done again."""
    return Desk(world.own.rooms.store, world.own.tenant_id).completed()


#: what makes something: where to post, and what
MAKERS: dict[str, Callable[[World], tuple[str, Any]]] = {
    "events": lambda _: ("/v1/events", [EVENT, EVENT]),
    "events by key": lambda _: ("/e/{key}", EVENT),
    "a rerun": lambda world: (f"/v1/runs/{ended_run(world)}/rerun", {}),
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
    key, rooms = uuid4().hex, world.own.rooms
    dying = create_app(replace(rooms, given_answers=Dying(world.engine, held_for=timedelta(0))))
    assert post(dying, world, path, body, key).status_code == 500
    before = made(world)
    again = post(world.app, world, path, body, key)
    assert again.status_code in (200, 201, 202), again.text
    assert made(world) == before
    assert post(world.app, world, path, body, key).json == again.json


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
    asked = Asked(tenant_id=tenant_id, route="POST /v1/events", key=key, body=EVENT)
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
    elsewhere = create_app(replace(rooms, settings=rooms.settings.model_copy(update={"secret_key": "another"})))
    assert "key" not in (post(elsewhere, world, "/v1/keys", {"kind": "api"}, key).json or {"key": ""})


def test_a_key_is_told_again_to_nobody_who_could_not_make_it(world: World) -> None:
    """Who knows an idempotency key of somebody who may more, gets no more by it."""
    key, (_, weak) = uuid4().hex, world.own.key(scopes=["keys:write"])
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
