"""Keys over HTTP: made, listed, rotated and revoked by other keys, within what those may; and the audit log."""

from __future__ import annotations

from typing import Any

import pytest
from isolation_world import World
from pydantic import TypeAdapter

from celeriac.web.api.key_models import AuditPage, KeyList, NewKeyOut


def ask(world: World, method: str, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, Any]:
    """Ask with a key; return the status and the body."""
    headers = {"Authorization": f"Bearer {key or world.keys['good']}"}
    answer = world.app.test_client().open(path, method=method, json=body, headers=headers)
    return answer.status_code, answer.json


def test_a_key_is_made_listed_and_revoked(world: World) -> None:
    """It is in one answer alone."""
    wish = {"kind": "api", "name": "billing", "scopes": ["runs:read"], "expires": "90d"}
    status, made = ask(world, "POST", "/v1/keys", wish)
    assert status == 201 and TypeAdapter(NewKeyOut).validate_python(made)
    assert ask(world, "GET", "/v1/runs", key=made["key"])[0] == 200
    assert ask(world, "GET", "/v1/keys", key=made["key"])[0] == 403
    listed = TypeAdapter(KeyList).validate_python(ask(world, "GET", "/v1/keys")[1])
    assert [one.name for one in listed.data if one.id == made["id"]] == ["billing"]
    assert made["key"] not in str(ask(world, "GET", "/v1/keys"))
    status, gone = ask(world, "DELETE", f"/v1/keys/{made['id']}")
    assert (status, gone["status"]) == (200, "revoked")
    assert ask(world, "GET", "/v1/runs", key=made["key"])[0] == 401


def test_a_key_is_rotated(world: World) -> None:
    """Without an overlap the old one is refused at once."""
    _, old = ask(world, "POST", "/v1/keys", {"kind": "api"})
    status, new = ask(world, "POST", f"/v1/keys/{old['id']}/rotate", {"overlap": "0s"})
    assert (status, new["successor_of"]) == (201, old["id"])
    assert ask(world, "GET", "/v1/runs", key=old["key"])[0] == 401
    assert ask(world, "GET", "/v1/runs", key=new["key"])[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "admin"},
        {"kind": "event", "scopes": ["runs:read"]},
        {"kind": "signing", "scopes": ["events:send"]},
        {"kind": "api", "scopes": ["channels:grant"]},
        {"kind": "api", "scopes": []},
        {"kind": "api", "expires": "soon"},
        {"kind": "api", "expires": "0s"},
        {"kind": "api", "expires": "99999999999999d"},
    ],
)
def test_a_key_that_cannot_be_is_refused(world: World, body: dict[str, Any]) -> None:
    """With the reason, and nothing made."""
    before = len(world.own.rooms.keys.list(world.own.tenant_id))
    assert ask(world, "POST", "/v1/keys", body)[0] == 422
    assert len(world.own.rooms.keys.list(world.own.tenant_id)) == before


def test_an_overlap_that_cannot_be_counted_is_refused(world: World) -> None:
    key_id, _ = world.own.key()
    assert ask(world, "POST", f"/v1/keys/{key_id}/rotate", {"overlap": "99999999999999d"})[0] == 422


def test_a_key_makes_none_that_may_more(world: World) -> None:
    """Neither a new one nor a successor of one; an equal one it may."""
    id_of_all, _ = world.own.key()
    _, key = world.own.key(scopes=["keys:write", "runs:read"])
    assert ask(world, "POST", "/v1/keys", {"kind": "api"}, key=key)[0] == 403
    assert ask(world, "POST", "/v1/keys", {"kind": "event"}, key=key)[0] == 403
    assert ask(world, "POST", f"/v1/keys/{id_of_all}/rotate", {}, key=key)[0] == 403
    assert ask(world, "POST", "/v1/keys", {"kind": "api", "scopes": ["runs:read"]}, key=key)[0] == 201


def test_a_key_makes_none_that_outlives_it(world: World) -> None:
    """Else its expiry would be worth nothing."""
    for expires in (None, "3h"):
        _, key = world.own.key(lasts="2h")
        status, refused = ask(world, "POST", "/v1/keys", {"kind": "api", "expires": expires}, key=key)
        assert (status, "ends at" in refused["detail"]) == (403, True)
        assert ask(world, "POST", "/v1/keys", {"kind": "api", "expires": "1h"}, key=key)[0] == 201


def test_a_key_that_rotates_itself_wins_no_time(world: World) -> None:
    """Its successor ends when it would have; one that lives longer it leaves alone."""
    (key_id, key), (longer, _) = world.own.key(lasts="2h"), world.own.key()
    assert ask(world, "POST", f"/v1/keys/{longer}/rotate", {}, key=key)[0] == 403
    _, before = ask(world, "GET", "/v1/keys", key=key)
    [ends_at] = [one["expires_at"] for one in before["data"] if one["id"] == key_id]
    status, new = ask(world, "POST", f"/v1/keys/{key_id}/rotate", {"overlap": "0s"}, key=key)
    assert (status, new["expires_at"]) == (201, ends_at)


def test_who_may_make_keys_may_make_signing_keys(world: World) -> None:
    """What those are for goes with what comes of it: events that are sent, and what runs tell."""
    _, key = world.own.key(scopes=["keys:write", "events:send"])
    status, made = ask(world, "POST", "/v1/keys", {"kind": "signing", "scopes": ["events:sign"]}, key=key)
    assert (status, made["scopes"]) == (201, ["events:sign"])
    status, new = ask(world, "POST", f"/v1/keys/{made['id']}/rotate", {"overlap": "0s"}, key=key)
    assert (status, new["scopes"]) == (201, ["events:sign"])
    assert ask(world, "DELETE", f"/v1/keys/{new['id']}", key=key)[0] == 200
    for scopes in (["channels:grant"], None):
        status, refused = ask(world, "POST", "/v1/keys", {"kind": "signing", "scopes": scopes}, key=key)
        assert (status, "channels:grant" in refused["detail"]) == (403, True)


def test_the_audit_log_is_read_page_by_page(world: World) -> None:
    """Newest first, with the key that did it."""
    _, made = ask(world, "POST", "/v1/keys", {"kind": "event"})
    ask(world, "POST", "/v1/functions/bank/support/pause", {})
    ask(world, "POST", "/v1/functions/bank/support/resume", {})
    _, page = ask(world, "GET", "/v1/audit?limit=2")
    TypeAdapter(AuditPage).validate_python(page)
    assert {entry["action"] for entry in page["data"]} == {"function.paused", "function.resumed"}
    _, older = ask(world, "GET", f"/v1/audit?limit=100&cursor={page['page']['next_cursor']}")
    [entry] = [one for one in older["data"] if one["subject"] == made["id"]]
    assert entry["actor"].startswith("key:") and made["key"] not in str(entry)


def test_the_audit_log_is_searched(world: World) -> None:
    """Page by page, by a cursor that goes with the filter."""
    key_id, key = world.own.key()
    for verb in ("pause", "resume", "pause", "resume"):
        ask(world, "POST", f"/v1/functions/bank/support/{verb}", key=key)
    found, cursor = [], ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        _, page = ask(world, "GET", f"/v1/audit?limit=3&action=function.&actor=key:{key_id}{more}")
        found += [entry["action"] for entry in page["data"]]
        cursor = page["page"]["next_cursor"]
    assert sorted(found) == ["function.paused"] * 2 + ["function.resumed"] * 2
    _, mine = ask(world, "GET", f"/v1/audit?subject={key_id}&since=2020-01-01T00:00:00")
    assert [entry["action"] for entry in mine["data"]] == ["key.created"]
    assert ask(world, "GET", f"/v1/audit?subject={key_id}&until=2020-01-01T00:00:00Z")[1]["data"] == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("action=key", "write key.revoked, or key. for all"),
        ("action=", "is no action"),
        ("since=soon", "since"),
        ("until=2026-13-01", "until"),
        ("since=2026-02-01&until=2026-01-01", "give since the earlier time"),
        ("actors=key:1", "'actors' is unknown"),
    ],
)
def test_a_search_of_the_audit_log_that_says_nothing_is_refused(world: World, query: str, says: str) -> None:
    status, refused = ask(world, "GET", f"/v1/audit?{query}")
    assert (status, refused["code"]) == (400, "invalid_request") and says in str(refused)


def test_the_description_names_the_scope_of_each_operation(world: World) -> None:
    """So that whoever makes a key knows what it needs."""
    described = world.app.test_client().get("/openapi.json").json
    assert described is not None
    assert described["paths"]["/v1/keys/{key_id}/rotate"]["post"]["security"] == [{"key": ["keys:write"]}]
    assert described["paths"]["/v1/runs"]["get"]["security"] == [{"key": ["runs:read"]}]


def test_the_description_says_what_is_done_once(world: World) -> None:
    """However often it is read."""
    for _ in range(2):
        described = world.app.test_client().get("/openapi.json").json
    assert described is not None
    taken = {
        f"{method} {path}": [one["name"] for one in operation.get("parameters", [])].count("Idempotency-Key")
        for path, found in described["paths"].items()
        for method, operation in found.items()
    }
    assert taken == {name: int(name.startswith("post ")) for name in taken}, "a POST is done @once, and nothing else"
    assert taken["post /v1/signals"] and taken["post /e/{event_key}"]
    undescribed = [
        path
        for path, found in described["paths"].items()
        if "post" in found and not {"409", "422"} <= found["post"]["responses"].keys()
    ]
    assert not undescribed, "these are answered to a key that is held, and to one that came with another body"
