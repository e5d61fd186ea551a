"""Tenants: who they are and what they may take."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from celeriac.errors import ConfigError, NotFoundError
from celeriac.tenants.quotas import Limits
from celeriac.tenants.tenant import CACHE_SECONDS, Tenants

TIGHT = Limits(running=2, starts_per_second=5.0, starts_burst=5)


def test_a_tenant_is_made_with_generous_limits(tenants: Tenants) -> None:
    tenant = tenants.create("  First Bank ")
    assert tenant.id.startswith("ten_")
    assert (tenant.name, tenant.limits) == ("First Bank", Limits())
    assert tenants.get(tenant.id) == tenant


def test_tenants_are_listed_oldest_first(tenants: Tenants) -> None:
    made = [tenants.create(name) for name in ("b", "a", "a")]
    assert tenants.list() == made


def test_limits_are_changed(tenants: Tenants) -> None:
    tenant = tenants.create("bank")
    assert tenants.limits(tenant.id) == Limits()
    assert tenants.set_limits(tenant.id, TIGHT).limits == TIGHT
    assert tenants.limits(tenant.id) == TIGHT


def test_another_process_sees_new_limits_within_a_second(tenancy: Engine, tenants: Tenants) -> None:
    moment = 0.0
    other = Tenants(tenancy, clock=lambda: moment)
    tenant = tenants.create("bank", TIGHT)
    assert other.limits(tenant.id) == TIGHT
    tenants.set_limits(tenant.id, Limits())
    assert other.limits(tenant.id) == TIGHT
    moment = CACHE_SECONDS
    assert other.limits(tenant.id) == Limits()


def test_an_unknown_tenant_is_not_found(tenants: Tenants) -> None:
    for ask in (tenants.get, tenants.limits, lambda unknown: tenants.set_limits(unknown, TIGHT)):
        with pytest.raises(NotFoundError, match="ten_unknown"):
            ask("ten_unknown")


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_name_that_is_none_is_refused(tenants: Tenants, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        tenants.create(name)


@pytest.mark.parametrize("limits", [{"running": 0}, {"starts_per_second": -1.0}, {"starts_burst": float("inf")}])
def test_limits_that_would_stop_a_tenant_for_ever_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(limits))):
        Limits(**limits)
