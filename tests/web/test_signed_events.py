"""Signed events over HTTP: a signature is checked where it is given, and asked for where the tenant must sign."""

from __future__ import annotations

import hmac
import json
import logging
import time

import pytest
from http_client import Answer
from web_stage import Bank

from celeriac.tenants.encryption import new_key
from celeriac.wiring import Installation, build

BODY = json.dumps({"name": "support/ticket.opened", "data": {"ticket_id": "t-1"}}).encode()
DOORS = ("key in the path", "bearer")


@pytest.fixture
def installation(installation: Installation) -> Installation:
    """The same with an encryption key."""
    return build(installation.settings.model_copy(update={"encryption_keys": new_key("k1")}))


@pytest.fixture
def signing_key(bank: Bank) -> tuple[str, str]:
    """The id and the text of a signing key, made over HTTP."""
    made = bank.api.post("/v1/keys", {"kind": "signing", "name": "till"})
    assert made.status == 201, made.text
    return made.json["id"], made.json["key"]


@pytest.fixture
def strict_bank(bank: Bank, installation: Installation) -> Bank:
    """A bank whose events must be signed."""
    installation.tenants.change_limits(bank.tenant_id, {"must_sign_events": True})
    return bank


def signed(key: str, body: bytes = BODY, *, seconds_ago: int = 0) -> str:
    """Sign as a sender does who has read the documentation, without our code."""
    at = str(int(time.time()) - seconds_ago)
    return f"t={at},v1={hmac.digest(key.encode(), f'{at}.'.encode() + body, 'sha256').hex()}"


def send(bank: Bank, door: str, body: bytes = BODY, **headers: str) -> Answer:
    """Send by the event key."""
    return bank.sender.post("/v1/events" if door == "bearer" else f"/e/{bank.event_key}", body, **headers)


def refusal(answer: Answer) -> tuple[int, str]:
    """Return what it comes to."""
    return answer.status, answer.json["code"]


@pytest.mark.parametrize("door", DOORS)
def test_where_events_must_be_signed_the_event_key_alone_sends_nothing(
    strict_bank: Bank, signing_key: tuple[str, str], door: str
) -> None:
    assert refusal(send(strict_bank, door)) == (403, "signature_required")
    assert strict_bank.api.get("/v1/runs").json["data"] == []
    taken = send(strict_bank, door, Celeriac_Signature=signed(signing_key[1]))
    assert taken.status in (200, 202), taken.text
    assert len(strict_bank.api.get("/v1/runs").json["data"]) == 1


def test_an_api_key_needs_no_signature(strict_bank: Bank) -> None:
    assert strict_bank.api.post("/v1/events", BODY).status == 202


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "header",
    [
        lambda key: signed(key, BODY + b" "),
        lambda key: signed(key + "x"),
        lambda key: signed(key, seconds_ago=301),
        lambda key: signed(key, seconds_ago=-360),
        lambda key: "sha256=abc",
        lambda key: "",
    ],
    ids=["another body", "another key", "too old", "ahead", "another scheme", "empty"],
)
def test_a_wrong_signature_is_refused_where_none_was_asked_for_too(
    bank: Bank, signing_key: tuple[str, str], header: object, door: str
) -> None:
    assert callable(header)
    assert refusal(send(bank, door, Celeriac_Signature=header(signing_key[1]))) == (403, "invalid_signature")
    assert bank.api.get("/v1/runs").json["data"] == []


def test_another_tenant_s_signature_is_refused(bank: Bank, other_bank: Bank, signing_key: tuple[str, str]) -> None:
    answer = send(other_bank, "bearer", Celeriac_Signature=signed(signing_key[1]))
    assert refusal(answer) == (403, "invalid_signature")


def test_a_revoked_key_signs_no_event(bank: Bank, signing_key: tuple[str, str]) -> None:
    key_id, key = signing_key
    assert send(bank, "bearer", Celeriac_Signature=signed(key)).status == 202
    assert bank.api.get("/v1/keys").json["data"][0]["last_used_at"] is not None
    assert bank.api.send("DELETE", f"/v1/keys/{key_id}").status == 200
    assert refusal(send(bank, "bearer", Celeriac_Signature=signed(key))) == (403, "invalid_signature")


def test_a_key_that_may_not_sign_events_signs_none(bank: Bank) -> None:
    """The refusal names the scope, since whoever has the key may know it."""
    made = bank.api.post("/v1/keys", {"kind": "signing", "scopes": ["channels:grant"]}).json
    answer = send(bank, "bearer", Celeriac_Signature=signed(made["key"]))
    assert refusal(answer) == (403, "invalid_signature") and "events:sign" in answer.json["detail"]


def test_both_keys_are_good_while_they_overlap(bank: Bank, signing_key: tuple[str, str]) -> None:
    key_id, old = signing_key
    new = bank.api.post(f"/v1/keys/{key_id}/rotate", {"overlap": "1h"}).json["key"]
    assert [send(bank, "bearer", Celeriac_Signature=signed(key)).status for key in (old, new)] == [202, 202]
    newest = bank.api.get("/v1/keys").json["data"][0]
    assert (newest["kind"], newest["successor_of"]) == ("signing", key_id)


def test_a_signing_key_is_told_once(bank: Bank, signing_key: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    key_id, key = signing_key
    secret = key.rpartition("_")[2][:32]
    with caplog.at_level(logging.DEBUG):
        told = [bank.api.get(path).text for path in ("/v1/keys", "/v1/audit")]
        told.append(send(bank, "bearer", Celeriac_Signature=signed(key, b"")).text)
        told.append(bank.api.send("DELETE", f"/v1/keys/{key_id}").text)
    assert key_id in told[0] and key_id in told[1]
    assert not any(secret in one for one in (*told, caplog.text))


def test_the_description_names_the_header_of_both_doors(bank: Bank) -> None:
    paths = bank.api.get("/openapi.json").json["paths"]
    signable = {
        path
        for path, operations in paths.items()
        for operation in operations.values()
        if "Celeriac-Signature" in [one["name"] for one in operation.get("parameters", [])]
    }
    assert signable == {"/e/{event_key}", "/v1/events"}
