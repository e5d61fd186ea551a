"""The web when its servers are away, its headers, its description, and its own server process."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest
from bank_runs import TICKET
from http_client import Client
from web_stage import SECRET_KEY, Bank, open_bank, server_process, serving

from celeriac.database import migrate
from celeriac.errors import ConfigError
from celeriac.settings import Settings
from celeriac.web.app import create_app
from celeriac.wiring import Installation, build
from services import free_port

EVENT = {"name": TICKET, "data": {"ticket_id": "t-1"}}


@pytest.fixture
def without_sql(redis_url: str) -> Iterator[str]:
    """The address of a web whose database does not listen."""
    away = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none"
    with serving(build(Settings(database_url=away, redis_url=redis_url, secret_key=SECRET_KEY))) as url:
        yield url


def test_without_the_database_the_web_says_so_at_once(without_sql: str, bank: Bank) -> None:
    for path in (f"/e/{bank.event_key}", "/v1/events"):
        began = time.monotonic()
        refused = Client(without_sql, bank.api_key).post(path, EVENT)
        assert (refused.status, refused.json["code"]) == (503, "store_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert time.monotonic() - began < 1


def test_without_the_database_it_lives_and_is_not_ready(without_sql: str) -> None:
    visitor = Client(without_sql)
    assert visitor.get("/healthz").status == 200
    ready = visitor.get("/readyz")
    assert (ready.status, ready.json["database"], ready.json["redis"]) == (503, "down", "ok")


def test_without_redis_events_are_taken_in(sqlite_url: str) -> None:
    """They stay queued in SQL, where the fleet finds them when Redis is back."""
    migrate(sqlite_url)
    away = f"redis://127.0.0.1:{free_port()}/0"
    installation = build(Settings(database_url=sqlite_url, redis_url=away, secret_key=SECRET_KEY))
    with serving(installation) as url:
        bank = open_bank(installation, url, "Northbridge Bank")
        assert bank.sender.post(f"/e/{bank.event_key}", EVENT).status == 200
        assert [run["status"] for run in bank.api.get("/v1/runs").json["data"]] == ["queued"]
        assert Client(url).get("/readyz").json["status"] == "degraded"


def test_everything_is_ready(visitor: Client) -> None:
    ready = visitor.get("/readyz")
    assert (ready.status, ready.json) == (200, {"status": "ok", "database": "ok", "redis": "ok"})


def test_every_answer_has_its_request_id_and_the_headers_of_a_careful_site(visitor: Client) -> None:
    for path in ("/healthz", "/v1/runs", "/signin", "/nothing", "/static/celeriac.css"):
        headers = visitor.get(path, X_Request_Id="mine-1").headers
        assert headers["X-Request-Id"] == "mine-1"
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"


def test_a_strange_request_id_is_replaced(visitor: Client) -> None:
    assert visitor.get("/healthz", X_Request_Id="<script>").headers["X-Request-Id"].startswith("req_")


def test_the_description_names_every_route_of_the_api(installation: Installation, visitor: Client) -> None:
    described = visitor.get("/openapi.json").json
    routes = {
        rule.rule for rule in create_app(installation).url_map.iter_rules() if rule.rule.startswith(("/v1", "/e/"))
    }
    assert described["openapi"] == "3.1.0"
    assert {rule.replace("<", "{").replace(">", "}") for rule in routes} < set(described["paths"])
    refused = described["paths"]["/v1/events"]["post"]["responses"]["422"]["content"]
    assert refused["application/problem+json"]["schema"]["$ref"].endswith("/ProblemOut")


@pytest.mark.parametrize("key", ["", "k" * 31])
def test_the_web_refuses_to_start_without_a_good_secret_key(sqlite_url: str, redis_url: str, key: str) -> None:
    """Everybody is given something that is signed with it, to guess at in peace."""
    with pytest.raises(ConfigError, match=r"CELERIAC_SECRET_KEY.*token_urlsafe"):
        create_app(build(Settings(database_url=sqlite_url, redis_url=redis_url, secret_key=key)))


def test_the_server_process_serves_and_ends_when_told(installation: Installation, bank: Bank) -> None:
    with server_process(installation) as (url, process):
        assert Client(url, bank.api_key).post("/v1/events", EVENT).status == 202
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
