"""Spoofing: nothing in a request but its key or session says which tenant it is for."""

from __future__ import annotations

from uuid import uuid4

import pytest
from isolation_world import CANARY, World
from werkzeug.test import TestResponse

HEADERS = ("X-Tenant", "X-Tenant-Id", "X-Celeriac-Tenant", "Tenant-Id", "X-Original-Tenant", "X-Organization-Id")


def ask(world: World, path: str, *, method: str = "GET", body: object = None, **headers: str) -> TestResponse:
    """Ask with the own tenant's key."""
    headers = {"Authorization": f"Bearer {world.keys['good']}", **headers}
    return world.app.test_client().open(path, method=method, json=body, headers=headers)


def others_cursor(world: World, path: str) -> str:
    """Return a cursor that the other tenant was given."""
    _, key = world.other.key()
    for _ in range(2):
        world.other.run()
        world.other.action()
    answer = world.app.test_client().get(f"{path}?limit=1", headers={"Authorization": f"Bearer {key}"})
    assert answer.json is not None
    return str(answer.json["page"]["next_cursor"])


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_names_no_tenant(world: World, header: str) -> None:
    """It is as if it were not there."""
    plain, spoofed = ask(world, "/v1/runs"), ask(world, "/v1/runs", **{header: world.other.tenant_id})
    assert (spoofed.status_code, spoofed.json) == (200, plain.json)
    assert ask(world, f"/v1/runs/{world.other.run()}", **{header: world.other.tenant_id}).status_code == 404


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/keys", "/v1/audit", "/v1/bulk", "/v1/functions"])
def test_a_query_names_no_tenant(world: World, path: str) -> None:
    """It is refused, as everything that is not known."""
    answer = ask(world, f"{path}?tenant_id={world.other.tenant_id}")
    assert (answer.status_code, answer.json and answer.json["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/events", {"name": "a", "data": {}}),
        ("/v1/keys", {"kind": "api"}),
        ("/v1/bulk", {"kind": "cancel", "filter": {"status": "queued"}}),
        ("/v1/signals", {"signal": "go"}),
    ],
)
def test_a_body_names_no_tenant(world: World, path: str, body: dict[str, object]) -> None:
    """It is refused before anything is done."""
    before = world.rows_of_other()
    answer = ask(world, path, method="POST", body={**body, "tenant_id": world.other.tenant_id})
    assert answer.status_code == 422
    assert world.rows_of_other() == before


def test_a_tenant_in_the_data_of_an_event_is_data(world: World) -> None:
    """The run that it starts is its sender's."""
    before = world.rows_of_other()
    event = {"name": "support/ticket.opened", "data": {"tenant_id": world.other.tenant_id}}
    accepted = ask(world, "/v1/events", method="POST", body=event).json
    assert accepted is not None
    found = ask(world, f"/v1/events/{accepted['data'][0]['id']}/runs").json
    assert found is not None and [run["tenant_id"] for run in found["data"]] == [world.own.tenant_id]
    assert world.rows_of_other() == before


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/bulk", "/v1/audit"])
def test_a_cursor_of_another_tenant_is_none(world: World, path: str) -> None:
    """It is as good as a forged one."""
    answers = [ask(world, f"{path}?cursor={cursor}") for cursor in (others_cursor(world, path), "forged")]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert len({answer.json["detail"] for answer in answers if answer.json}) == 1
    assert CANARY not in answers[0].text


def test_an_idempotency_key_of_another_tenant_is_ones_own(world: World) -> None:
    """Both make theirs, and neither hears of the other's."""
    key, (_, theirs) = uuid4().hex, world.other.key()
    body = {"kind": "event", "name": CANARY}
    bearer = {"Authorization": f"Bearer {theirs}", "Idempotency-Key": key}
    first = world.app.test_client().post("/v1/keys", json=body, headers=bearer)
    own = ask(world, "/v1/keys", method="POST", body={"kind": "event"}, **{"Idempotency-Key": key})
    assert (first.status_code, own.status_code) == (201, 201)
    assert "Idempotency-Replayed" not in own.headers and CANARY not in own.text
