"""The same web over Postgres, for what only Postgres refuses: NUL, and numbers beyond its columns."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from bank_runs import TICKET
from sqlalchemy import text
from web_stage import SECRET_KEY, Bank, open_bank, serving, signed_in

from celeriac.database import connect, migrate, transaction
from celeriac.settings import Settings
from celeriac.wiring import build
from services import free_port


@pytest.fixture
def bank(postgres_url: str) -> Iterator[Bank]:
    """A tenant of an installation on Postgres, without Redis."""
    migrate(postgres_url)
    redis_url = f"redis://127.0.0.1:{free_port()}/0"
    installation = build(Settings(database_url=postgres_url, redis_url=redis_url, secret_key=SECRET_KEY))
    with serving(installation) as url:
        yield open_bank(installation, url, "Northbridge Bank")


def cursor(*position: object) -> str:
    """Forge a cursor."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def test_a_database_that_stands_still_is_reported(bank: Bank, postgres_url: str) -> None:
    """Slow by its nature: the web gives the database five seconds for an answer."""
    engine = connect(postgres_url)
    with transaction(engine) as connection:
        connection.execute(text("LOCK TABLE events"))
        refused = bank.sender.post("/v1/events", {"name": TICKET, "data": {}})
    assert (refused.status, refused.json["code"]) == (503, "store_unavailable")
    assert bank.sender.post("/v1/events", {"name": TICKET, "data": {}}).status == 202
    engine.dispose()


def test_what_postgres_cannot_hold_is_refused_before_it_sees_it(bank: Bank) -> None:
    for forged in (cursor(0, "run_\0"), cursor(2**60, "run_x"), cursor(0, "\ud800"), cursor(-(2**52), "run_x")):
        assert bank.api.get(f"/v1/runs?cursor={forged}").status == 400
    for path in ("/v1/runs/%00", "/v1/runs?function=%00", "/v1/events/%00/runs"):
        assert bank.api.get(path).status in (400, 404)
    for event in ({"name": "a\0"}, {"name": "a", "id": "\0"}, {"name": "a", "data": {"\0": 1}}, {"name": "\ud800"}):
        assert bank.sender.post("/v1/events", event).status == 422


def test_the_dashboard_reads_from_postgres(bank: Bank) -> None:
    run_id, reader = bank.desk.completed(), signed_in(bank.api.base_url, bank)
    assert run_id in reader.get("/runs").text
    assert "What the agents did" in reader.get(f"/runs/{run_id}").text
    assert reader.get("/runs?function=%00").status == 400
    assert bank.sender.post("/v1/events", {"name": TICKET, "data": {"text": "emoji 🥕"}}).status == 202


def test_what_is_left_of_a_quota_is_told(bank: Bank) -> None:
    """The runs that wait are counted behind the wall between tenants, and what was spent too."""
    bank.desk.completed()
    bank.desk.ticket()
    bank.desk.ticket()
    told = bank.api.get("/v1/limits").json["data"]
    assert told["queued_runs"] == 2
    assert told["cost_usd"]["day"]["spent"] == pytest.approx(3 * 0.00042)
