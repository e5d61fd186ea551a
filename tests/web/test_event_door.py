"""Events over HTTP: what is taken in, and how bad input is refused without leaving anything behind."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from bank_runs import TICKET
from http_client import Answer, Client
from pydantic import BaseModel
from web_stage import Bank

from celeriac.platform.durable.declaration import EventSchema
from celeriac.wiring import Installation

EVENT = {"name": TICKET, "data": {"ticket_id": "t-1", "customer_id": "c-1", "text": "My card is gone."}}


def as_inngest(**fields: Any) -> dict[str, Any]:
    """Return the event as an Inngest SDK sends it, with its empty fields."""
    return {"id": "", "ts": 0, "v": None, "user": {}, **EVENT, **fields}


def deep(levels: int) -> bytes:
    """Return an event whose data is nested this deep."""
    return b'{"name":"a","data":{"x":' + b"[" * levels + b"]" * levels + b"}}"


BAD = {
    "no JSON": (b"{", 400, "invalid_request"),
    "nothing": (b"", 400, "invalid_request"),
    "no UTF-8": (b'{"name":"\xff"}', 400, "invalid_request"),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400, "invalid_request"),
    "NaN": (b'{"name":"a","data":{"x":NaN}}', 400, "invalid_request"),
    "Infinity": (b'{"name":"a","data":{"x":-Infinity}}', 400, "invalid_request"),
    "a number beyond all bounds": (b'{"name":"a","data":{"x":1e400}}', 422, "invalid_event"),
    "an endless integer": (b'{"name":"a","data":{"x":' + b"9" * 5000 + b"}}", 400, "invalid_request"),
    "a lone surrogate": (b'{"name":"a","data":{"x":"\\ud800"}}', 422, "invalid_event"),
    "a lone surrogate in the name": (b'{"name":"\\ud800"}', 422, "validation_error"),
    "a lone surrogate as key": (b'{"name":"a","data":{"\\ud800":1}}', 422, "invalid_event"),
    "NUL": (b'{"name":"a","data":{"x":"\\u0000"}}', 422, "invalid_event"),
    "NUL in the name": (b'{"name":"a\\u0000"}', 422, "validation_error"),
    "NUL in the id": (b'{"name":"a","id":"\\u0000"}', 422, "validation_error"),
    "ten thousand levels": (deep(10_000), 400, "invalid_request"),
    "101 levels": (deep(99), 400, "invalid_request"),
    "a number": (b"7", 400, "invalid_request"),
    "a text": (b'"{}"', 400, "invalid_request"),
    "null": (b"null", 400, "invalid_request"),
    "no name": (b"{}", 422, "missing_field"),
    "a name that is none": (b'{"name":7}', 422, "validation_error"),
    "an empty name": (b'{"name":""}', 422, "invalid_event"),
    "a reserved name": (b'{"name":"celeriac/run.finished"}', 422, "invalid_event"),
    "a name of 513 characters": (json.dumps({"name": "a" * 513}).encode(), 422, "invalid_event"),
    "data that is a list": (b'{"name":"a","data":[]}', 422, "validation_error"),
    "data that is a text": (b'{"name":"a","data":"{}"}', 422, "validation_error"),
    "an id that is a number": (b'{"name":"a","id":7}', 422, "validation_error"),
    "an id of 256 characters": (json.dumps({"name": "a", "id": "x" * 256}).encode(), 422, "validation_error"),
    "a time that is none": (b'{"name":"a","ts":"soon"}', 422, "invalid_event"),
    "a time beyond all bounds": (b'{"name":"a","ts":1e400}', 422, "invalid_event"),
    "an unknown field": (b'{"name":"a","tenant_id":"ten_x"}', 422, "validation_error"),
    "a list in a list": (b'[[{"name":"a"}]]', 422, "validation_error"),
    "one bad event behind a good one": (json.dumps([EVENT, {"name": ""}]).encode(), 422, "invalid_event"),
    "one event that is none": (json.dumps([EVENT, None]).encode(), 422, "validation_error"),
    "5,001 events": (json.dumps([EVENT] * 5_001).encode(), 413, "too_many_events"),
    "data of more than 512 KiB": (
        json.dumps({**EVENT, "data": {"x": "a" * 512 * 1024}}).encode(),
        413,
        "payload_too_large",
    ),
    "a body of more than 8 MiB": (b'"' + b"a" * 8 * 1024 * 1024 + b'"', 413, "payload_too_large"),
}


@pytest.mark.parametrize("door", ["key in the path", "bearer"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_leaves_nothing_behind(bank: Bank, case: str, door: str) -> None:
    """Every refusal is problem+json with a stable code, and no part of the request was stored."""
    body, status, code = BAD[case]
    answer = bank.sender.post("/v1/events" if door == "bearer" else f"/e/{bank.event_key}", body)
    assert (answer.status, answer.json["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert bank.event_key not in answer.text
    assert bank.api.get("/v1/runs").json["data"] == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_refused(bank: Bank, content_type: str) -> None:
    answer = bank.sender.post("/v1/events", EVENT, content_type)
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_packed_body_is_refused(bank: Bank) -> None:
    answer = bank.sender.post("/v1/events", EVENT, Content_Encoding="gzip")
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")


def test_an_event_starts_its_run(bank: Bank) -> None:
    sent = bank.sender.post(f"/e/{bank.event_key}", EVENT)
    assert (sent.status, sent.json["status"]) == (200, 200)
    (run,) = bank.api.get(f"/v1/events/{sent.json['ids'][0]}/runs").json["data"]
    assert (run["function_id"], run["status"]) == ("support", "queued")


def test_an_inngest_sdk_can_send(bank: Bank, visitor: Client) -> None:
    answer = visitor.post(f"/e/{bank.event_key}", [as_inngest(), as_inngest(ts=1_790_000_000_000)])
    assert answer.status == 200, answer.text
    assert len(set(answer.json["ids"])) == 2


def test_an_inngest_sdk_can_read_a_refusal(bank: Bank, visitor: Client) -> None:
    refused = visitor.post(f"/e/{bank.event_key}", {"name": ""}).json
    assert (refused["ids"], refused["status"]) == ([], 422)
    assert "name" in refused["error"]


def test_many_events_are_answered_in_their_order(bank: Bank) -> None:
    answer = bank.sender.post("/v1/events", [EVENT, {"name": "bank/day.ended"}, EVENT])
    assert answer.status == 202
    assert [event["name"] for event in answer.json["data"]] == [TICKET, "bank/day.ended", TICKET]


def test_an_event_of_exactly_the_largest_size_is_taken(bank: Bank) -> None:
    room = 512 * 1024 - len('{"x":""}')
    assert bank.sender.post("/v1/events", {"name": "a", "data": {"x": "a" * room}}).status == 202
    assert bank.sender.post("/v1/events", {"name": "a", "data": {"x": "a" * (room + 1)}}).status == 413


def test_the_same_id_twice_starts_one_run(bank: Bank) -> None:
    first, second = (bank.sender.post("/v1/events", {**EVENT, "id": "mine"}).json["data"][0] for _ in range(2))
    assert first["id"] == second["id"]
    assert len(bank.api.get("/v1/runs").json["data"]) == 1


def test_data_that_does_not_fit_its_schema_is_refused_with_its_place(bank: Bank, installation: Installation) -> None:
    schema = {"type": "object", "properties": {"ticket_id": {"type": "string"}}, "required": ["ticket_id"]}
    installation.store.declare("till", [], [EventSchema(app="till", name=TICKET, schema=schema)])
    refused = bank.sender.post("/v1/events", [EVENT, {"name": TICKET, "data": {"ticket_id": 7}}])
    assert (refused.status, refused.json["code"]) == (422, "validation_error")
    assert refused.json["errors"][0]["pointer"] == "/1/data/ticket_id"


class Block(BaseModel):
    """A decision, as an app binds it to an event."""

    at: datetime
    id: UUID


def block(at: str, id: str) -> dict[str, Any]:
    """Return the event with a decision of this data."""
    return {"name": "support/card.block.decided", "data": {"at": at, "id": id}}


def test_texts_that_the_model_would_refuse_are_refused_at_the_door(bank: Bank, installation: Installation) -> None:
    schema = Block.model_json_schema()
    installation.store.declare("till", [], [EventSchema(app="till", name=block("", "")["name"], schema=schema)])
    refused = bank.sender.post("/v1/events", block("not a date", "no uuid"))
    assert (refused.status, refused.json["code"]) == (422, "validation_error")
    assert {error["pointer"] for error in refused.json["errors"]} == {"/0/data/at", "/0/data/id"}
    for at in ("2026-11-20T10:31:05Z", "2026-11-20T10:31:05", "2026-11-20 10:31"):  # as the model takes them all
        assert bank.sender.post("/v1/events", block(at, "0192d7a4-6f0b-7cc5-a5c4-9d2bb7e1a001")).status == 202


def problem_of(answer: Answer) -> tuple[int, str]:
    """Return what a refusal comes to."""
    return answer.status, answer.json["code"]


@pytest.mark.parametrize(
    "key", ["", "nope", "cel_live_x", "a" * 10_000, "schlüssel", "cel_live_0123456789_" + "a" * 38]
)
def test_an_unknown_key_is_refused(visitor: Client, bank: Bank, key: str) -> None:
    path = Client(visitor.base_url, key.encode("utf-8").decode("latin-1"))
    assert problem_of(path.post("/v1/events", EVENT)) == (401, "invalid_api_key")
    assert problem_of(visitor.post("/e/cel_live_nope", EVENT)) == (401, "invalid_api_key")


def test_a_revoked_key_is_refused(bank: Bank, installation: Installation) -> None:
    key_id, key = installation.keys.create(bank.tenant_id, "event")
    installation.keys.revoke(key_id)
    assert problem_of(bank.api.post(f"/e/{key}", EVENT)) == (401, "invalid_api_key")


def test_an_api_key_does_not_belong_into_a_url(bank: Bank, visitor: Client) -> None:
    refused = visitor.post(f"/e/{bank.api_key}", EVENT)
    assert problem_of(refused) == (403, "access_denied")
    assert bank.api_key not in refused.text


def test_a_hundred_levels_are_taken(bank: Bank) -> None:
    """The event's own object and its data are the first two of them."""
    assert bank.sender.post("/v1/events", deep(98)).status == 202
