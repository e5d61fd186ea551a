"""What the API does for a tenant that has limits: it refuses truthfully, and tells what is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from http_client import Client
from redis import Redis
from web_stage import SECRET_KEY, Bank, signed_in

from celeriac.platform.event import Event
from celeriac.platform.models.catalog import PROVIDERS
from celeriac.web.auth import signin_link
from celeriac.wiring import Installation

EVENT = {"name": "support/ticket.opened", "data": {}}

#: refills so slowly that no test sees it
STILL = 1e-6


@pytest.fixture
def slow_bank(installation: Installation, bank: Bank, redis_url: str) -> Bank:
    """A tenant with three requests, and no more of them soon, in a Redis that has been there for ever."""
    with Redis.from_url(redis_url) as redis:
        redis.set("cel:buckets:born", 0)
    installation.tenants.change_limits(bank.tenant_id, {"api_requests_per_second": STILL, "api_burst": 3})
    return bank


def test_requests_beyond_the_bucket_are_refused(slow_bank: Bank) -> None:
    """Three of four are answered, and the fourth says which limit it was."""
    answers = [slow_bank.api.get("/v1/runs") for _ in range(4)]
    assert [one.status for one in answers] == [200, 200, 200, 429]
    problem = answers[-1].json
    assert (problem["code"], problem["limit_name"], problem["scope"]) == (
        "rate_limited",
        "api_requests_per_second",
        "tenant",
    )


def test_the_event_door_and_the_api_share_the_bucket(slow_bank: Bank) -> None:
    """Events sent by the key in the path count as well."""
    path = f"/e/{slow_bank.event_key}"
    answers = [slow_bank.sender.post(path, EVENT).status for _ in range(2)]
    answers += [slow_bank.api.get("/v1/runs").status for _ in range(2)]
    assert answers == [200, 200, 200, 429]


def test_the_dashboard_is_no_way_around_the_bucket(server: str, slow_bank: Bank) -> None:
    """A session by a key takes from it what the key would."""
    visitor, run = signed_in(server, slow_bank), f"/runs/{slow_bank.desk.ticket()}/raw"
    answers = [slow_bank.api.get("/v1/runs"), *(visitor.get(run) for _ in range(3))]
    assert [one.status for one in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert visitor.get("/signin").status == 200


def test_people_are_not_counted(server: str, slow_bank: Bank) -> None:
    """They look, and do not send; who came by a link or a password is no program."""
    visitor, link = Client(server), urlsplit(signin_link(server, slow_bank.tenant_id, SECRET_KEY))
    visitor.get(f"{link.path}?{link.query}")
    assert [visitor.get("/runs").status for _ in range(5)] == [200] * 5


def test_a_refusal_says_truthfully_when_to_come_back(installation: Installation, bank: Bank) -> None:
    """At four a second an empty bucket has one again in a quarter of a second: Retry-After is a whole one."""
    installation.tenants.change_limits(bank.tenant_id, {"api_requests_per_second": 4, "api_burst": 1})
    answers = [bank.api.get("/v1/runs") for _ in range(3)]
    assert answers[-1].status == 429
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[-1].headers["RateLimit"] == '"tenant";r=0;t=1'


def test_answers_say_what_is_left(slow_bank: Bank) -> None:
    """The headers are those of the IETF's draft."""
    answer = slow_bank.api.get("/v1/runs")
    assert answer.headers["RateLimit"].startswith('"tenant";r=2;t=')
    assert answer.headers["RateLimit-Policy"] == '"tenant";q=3;w=3000000'


def test_tenants_without_a_limit_are_told_nothing(bank: Bank) -> None:
    """No bucket is looked at for them."""
    assert "RateLimit" not in bank.api.get("/v1/runs").headers


def test_other_tenants_are_left_alone(slow_bank: Bank, other_bank: Bank) -> None:
    """One tenant's bucket is not another's."""
    for _ in range(5):
        slow_bank.api.get("/v1/runs")
    assert other_bank.api.get("/v1/runs").status == 200


def test_an_event_that_is_too_large_for_its_tenant_is_refused(installation: Installation, bank: Bank) -> None:
    """413, as for one that is too large for the installation."""
    installation.tenants.change_limits(bank.tenant_id, {"event_bytes": 100})
    answer = bank.sender.post("/v1/events", {"name": "support/ticket.opened", "data": {"text": "x" * 100}})
    assert (answer.status, answer.json["code"]) == (413, "payload_too_large")


def test_at_the_edge_of_the_quota_exactly_as_many_runs_are_queued(installation: Installation, bank: Bank) -> None:
    """Fifty senders at once, of whom twenty find room; nothing is left of the others."""
    installation.tenants.change_limits(bank.tenant_id, {"queued_runs": 20})
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: bank.sender.post("/v1/events", EVENT), range(50)))
    assert sorted({one.status for one in answers}) == [202, 429]
    assert [one.status for one in answers].count(202) == 20
    assert installation.reads.queued_runs(bank.tenant_id) == 20
    refused = next(one for one in answers if one.status == 429)
    assert (refused.json["code"], refused.headers["Retry-After"]) == ("quota_exceeded", "2")


def test_an_event_that_is_refused_may_be_sent_again_under_its_id(installation: Installation, bank: Bank) -> None:
    """A refusal leaves no trace of the sender's id."""
    installation.tenants.change_limits(bank.tenant_id, {"queued_runs": 0})
    assert bank.sender.post("/v1/events", EVENT | {"id": "mine"}).status == 429
    installation.tenants.change_limits(bank.tenant_id, {"queued_runs": 1})
    accepted = installation.intake.accept(bank.tenant_id, [Event(EVENT["name"], {}, id="mine")])
    assert [one.is_duplicate for one in accepted] == [False]


def test_a_tenant_sees_its_limits_and_what_is_left(installation: Installation, slow_bank: Bank) -> None:
    """Those of its plan among them."""
    installation.plans.set("small", {"queued_runs": 50, "model_requests_per_minute": 60})
    installation.tenants.change_limits(slow_bank.tenant_id, plan="small")
    slow_bank.desk.ticket()
    data = slow_bank.api.get("/v1/limits").json["data"]
    assert (data["plan"], data["limits"]["queued_runs"], data["queued_runs"]) == ("small", 50, 1)
    assert data["requests"]["api"]["left"] == 2
    assert set(data["requests"]) == {"api", *(f"{provider}:requests" for provider in PROVIDERS)}


def test_a_queued_run_of_a_paused_tenant_says_why_it_waits(installation: Installation, bank: Bank) -> None:
    """The event is accepted as ever."""
    installation.tenants.pause(bank.tenant_id)
    [sent] = bank.sender.post("/v1/events", EVENT).json["data"]
    [run] = bank.api.get(f"/v1/events/{sent['id']}/runs").json["data"]
    view = bank.api.get(f"/v1/runs/{run['id']}").json
    assert (view["status"], view["waiting_for"]) == ("queued", "queued: its tenant is paused")
