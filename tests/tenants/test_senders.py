"""Senders: plain code that sends events and asks for runs, for a tenant that is really there."""

from __future__ import annotations

import pytest

from celeriac import App
from celeriac.errors import ConfigError, NotFoundError
from celeriac.settings import load_settings
from celeriac.wiring import Installation


def test_an_event_is_sent_for_a_tenant_that_is_there(deployment: Installation, shop: App) -> None:
    tenant = deployment.tenants.create("Acme").id
    deployment.store.declare("shop", shop.declarations(), shop.schemas())
    (event_id,) = shop.send("shop/order.placed", {}, tenant=tenant)
    assert [run.tenant_id for run in shop.runs(event_id=event_id, tenant=tenant)] == [tenant]


def test_an_unknown_tenant_is_named(deployment: Installation, shop: App, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match="ten_typo"):
        shop.send("shop/order.placed", {}, tenant="ten_typo")
    with pytest.raises(NotFoundError, match="ten_typo"):
        shop.get_run("run_x", tenant="ten_typo")
    monkeypatch.setenv("CELERIAC_DEFAULT_TENANT", "ten_gone")
    load_settings.cache_clear()
    with pytest.raises(NotFoundError, match="ten_gone"):
        shop.send("shop/order.placed", {})


def test_a_call_without_a_tenant_says_how_to_name_one(deployment: Installation, shop: App) -> None:
    with pytest.raises(ConfigError, match="CELERIAC_DEFAULT_TENANT"):
        shop.send("shop/order.placed", {})


def test_a_run_that_an_app_cancels_leaves_the_gate(deployment: Installation, shop: App) -> None:
    tenant = deployment.tenants.create("Acme").id
    deployment.store.declare("shop", shop.declarations(), shop.schemas())
    (event_id,) = shop.send("shop/order.placed", {}, tenant=tenant)
    (run,) = shop.runs(event_id=event_id, tenant=tenant)
    assert deployment.gate.known([run.id]) == {run.id}
    assert shop.cancel(run.id, tenant=tenant)
    assert deployment.gate.known([run.id]) == set()


def test_the_version_of_a_deployment_is_that_of_its_apps(
    deployment: Installation, shop: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERIAC_APP_VERSION", "2026-11-20")
    load_settings.cache_clear()
    assert [one.version for one in shop.declarations()] == ["2026-11-20"]
    assert App("shop", version="7").version == "7"
