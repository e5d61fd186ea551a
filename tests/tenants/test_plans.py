"""Plans: sets of limits that many tenants have, beneath their own."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine

from celeriac.errors import ConfigError, ConflictError, NotFoundError
from celeriac.tenants.audit import Audit
from celeriac.tenants.plans import Plans
from celeriac.tenants.quotas import NAMES, Limits, read_limits
from celeriac.tenants.tenant import CACHE_SECONDS, Tenants


@pytest.fixture
def plans(tenancy: Engine) -> Plans:
    """The plans of an installation that has none."""
    return Plans(tenancy)


def test_a_tenants_own_limit_goes_before_its_plans_and_that_before_the_default(plans: Plans, tenants: Tenants) -> None:
    """Each limit by itself."""
    plans.set("small", {"running": 5, "weight": 0.5})
    tenant = tenants.create("bank", {"running": 7}, plan="small")
    assert (tenant.limits.running, tenant.limits.weight, tenant.limits.starts_burst) == (7, 0.5, 5_000)
    assert tenants.change_limits(tenant.id, unset=["running"]).limits.running == 5
    assert tenants.change_limits(tenant.id, plan="").limits == Limits()


def test_a_tenant_may_be_without_a_limit_that_its_plan_has(plans: Plans, tenants: Tenants) -> None:
    """None is a value of its own."""
    plans.set("small", {"queued_runs": 5})
    tenant = tenants.create("bank", {"queued_runs": None}, plan="small")
    assert tenant.limits.queued_runs is None


def test_a_changed_plan_is_known_elsewhere_within_a_second(tenancy: Engine, plans: Plans, tenants: Tenants) -> None:
    """For all tenants that have it."""
    moment = 0.0
    other = Tenants(tenancy, clock=lambda: moment)
    plans.set("small", {"running": 5})
    tenant = tenants.create("bank", plan="small")
    assert other.limits(tenant.id).running == 5
    plans.set("small", {"running": 6})
    moment = CACHE_SECONDS
    assert other.limits(tenant.id).running == 6


def test_a_plan_that_is_not_there_is_given_to_nobody(plans: Plans, tenants: Tenants) -> None:
    """The tenant stays as it was."""
    tenant = tenants.create("bank")
    with pytest.raises(NotFoundError, match="celeriac plans ls"):
        tenants.change_limits(tenant.id, {"running": 5}, plan="gold")
    assert tenants.get(tenant.id) == tenant


def test_a_plan_that_tenants_have_is_not_removed(plans: Plans, tenants: Tenants) -> None:
    """Or they would have other limits without anybody having said so."""
    plans.set("small", {"running": 5})
    tenants.create("bank", plan="small")
    with pytest.raises(ConflictError, match="1 tenants"):
        plans.remove("small")
    assert [(plan.name, plan.tenants) for plan in plans.list()] == [("small", 1)]


def test_each_change_is_in_the_audit_log(tenancy: Engine, plans: Plans, tenants: Tenants) -> None:
    """With who made it, and what was before and after."""
    plans.set("small", {"running": 5}, actor="cli:ann")
    tenant = tenants.create("bank", actor="cli:ann")
    tenants.change_limits(tenant.id, {"running": 7}, plan="small", actor="cli:bob")
    tenants.pause(tenant.id, actor="cli:bob")
    entries = Audit(tenancy).entries(tenant.id)
    assert [(one.actor, one.action) for one in entries] == [
        ("cli:bob", "tenant.paused"),
        ("cli:bob", "limits.changed"),
        ("cli:ann", "tenant.created"),
    ]
    assert entries[1].detail == {"running": ["plan", 7], "plan": [None, "small"]}
    assert Audit(tenancy).entries(None)[0].detail == {"before": {}, "after": {"running": 5}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"runing": 5}, "did you mean 'running'"),
        ({"running": "many"}, "whole number"),
        ({"running": 1.5}, "whole number"),
        ({"running": None}, "above zero"),
        ({"weight": 0}, "above zero"),
        ({"weight": float("nan")}, "above zero"),
        ({"cost_usd_per_day": -1}, "not below zero"),
        ({"event_bytes": 10**9}, "at most"),
        ({"may_use_operator_keys": "perhaps"}, "true or false"),
        ({"must_sign_events": None}, "true or false"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(given: dict[str, object], says: str) -> None:
    """Before anything is written."""
    with pytest.raises(ConfigError, match=says):
        read_limits(given)


def test_what_a_person_types_is_read() -> None:
    """Numbers with separators, none, and yes or no."""
    given = {"running": "1_000", "queued_runs": "10,000", "api_burst": "none", "may_use_operator_keys": "no"}
    assert read_limits(given) == {
        "running": 1_000,
        "queued_runs": 10_000,
        "api_burst": None,
        "may_use_operator_keys": False,
    }


def test_every_limit_survives_being_written_and_read() -> None:
    """As JSON, as the database has it."""
    written = json.loads(json.dumps(vars(Limits())))
    assert list(read_limits(written)) == list(NAMES)


def test_a_tenant_that_is_paused_is_known_elsewhere_within_a_second(tenancy: Engine, tenants: Tenants) -> None:
    """And that it is resumed."""
    moment = 0.0
    other = Tenants(tenancy, clock=lambda: moment)
    tenant = tenants.create("bank")
    assert not other.is_paused(tenant.id)
    tenants.pause(tenant.id)
    moment = CACHE_SECONDS
    assert other.is_paused(tenant.id)
    tenants.resume(tenant.id)
    moment = 2 * CACHE_SECONDS
    assert not other.is_paused(tenant.id)
