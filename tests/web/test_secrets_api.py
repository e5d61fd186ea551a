"""Secrets over HTTP: a value goes in and never comes out."""

from __future__ import annotations

import logging

import pytest
from web_stage import SECRET_KEY, Bank, csrf_in, open_bank, serving, signed_in

from celeriac.settings import Settings
from celeriac.tenants.encryption import new_key
from celeriac.wiring import Installation, build

VALUE = "sk-canary-0123456789"


@pytest.fixture
def installation(installation: Installation) -> Installation:
    """The same with an encryption key."""
    return build(installation.settings.model_copy(update={"encryption_keys": new_key("k1")}))


def test_a_secret_is_kept_listed_and_removed(bank: Bank, installation: Installation) -> None:
    kept = bank.api.send("PUT", "/v1/secrets/openai", {"value": VALUE, "provider": "openai"})
    assert (kept.status, kept.json["name"], kept.json["last_used_at"]) == (200, "openai", None)
    assert bank.api.get("/v1/secrets").json == {"data": [kept.json]}
    assert installation.secrets.key_of(bank.tenant_id, "openai") == VALUE
    assert bank.api.send("DELETE", "/v1/secrets/openai").json == {"name": "openai"}
    assert bank.api.send("DELETE", "/v1/secrets/openai").status == 404
    assert VALUE not in kept.text


def test_another_tenant_s_secret_does_not_exist(bank: Bank, other_bank: Bank) -> None:
    bank.api.send("PUT", "/v1/secrets/openai", {"value": VALUE})
    assert other_bank.api.get("/v1/secrets").json == {"data": []}
    assert other_bank.api.send("DELETE", "/v1/secrets/openai").status == 404
    assert bank.sender.get("/v1/secrets").status == 403


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("openai", {"value": [VALUE]}),
        ("openai", {"value": VALUE, "nonsense": VALUE}),
        ("open ai", {"value": VALUE}),
        ("openai", {"value": VALUE + "é", "provider": "openai"}),
        ("openai", {"value": VALUE * 1000}),
    ],
)
def test_a_refusal_never_repeats_the_value(
    bank: Bank, caplog: pytest.LogCaptureFixture, name: str, body: dict[str, object]
) -> None:
    with caplog.at_level(logging.DEBUG):
        refused = bank.api.send("PUT", f"/v1/secrets/{name.replace(' ', '%20')}", body)
    assert refused.status == 422, refused.text
    assert VALUE not in refused.text + caplog.text


def test_without_an_encryption_key_nothing_is_kept(sqlite_url: str, installation: Installation) -> None:
    """Neither a secret nor a signing key; the page says what is missing."""
    settings = Settings(database_url=sqlite_url, redis_url=installation.settings.redis_url, secret_key=SECRET_KEY)
    plain = build(settings)
    with serving(plain) as url:
        bank = open_bank(plain, url, "Bank")
        secret = bank.api.send("PUT", "/v1/secrets/openai", {"value": VALUE})
        key = bank.api.post("/v1/keys", {"kind": "signing"})
        browser = signed_in(url, bank)
        page = browser.submit("/settings/keys", kind="signing", csrf=csrf_in(browser.get("/settings/keys").text))
        assert {one.kind for one in plain.keys.list(bank.tenant_id)} == {"event", "api"}
    assert [(one.status, one.json["code"]) for one in (secret, key)] == [(503, "no_encryption_key")] * 2
    assert (page.status, "CELERIAC_ENCRYPTION_KEYS" in page.text) == (503, True)
