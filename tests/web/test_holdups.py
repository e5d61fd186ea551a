"""Why a queued run does not start yet, as people read it: told by the gate where it knows."""

from __future__ import annotations

from web_stage import Bank, signed_in

from celeriac.wiring import Installation
from waiting import wait_until

ENDED = {"name": "bank/day.ended", "data": {"branch": "north"}}


def waiting_for(bank: Bank, day: str) -> str:
    """Send the event of a day, and return what its run waits for."""
    event = ENDED | {"data": ENDED["data"] | {"day": day}}  # type: ignore[operator]
    sent = bank.api.post("/v1/events", event).json["data"][0]["id"]
    [run] = bank.api.get(f"/v1/events/{sent}/runs").json["data"]
    words: str = bank.api.get(f"/v1/runs/{run['id']}").json["waiting_for"]
    return words


def test_a_run_that_no_worker_has_room_for_says_so(bank: Bank) -> None:
    assert waiting_for(bank, "monday") == "queued: waits for a worker with room for it"


def test_a_run_that_waits_for_a_limit_names_it(bank: Bank, installation: Installation) -> None:
    waiting_for(bank, "monday")
    installation.gate.attend("wrk_1", ["runs"], 10)
    wait_until(lambda: installation.dispatcher.send_picked("runs"), what="the first run to be sent")
    words = waiting_for(bank, "tuesday")
    assert words == "queued: waits for a place in the concurrency limit of function bank/nightly-report"


def test_a_paused_tenant_is_the_reason_wherever_the_run_is_looked_at(
    bank: Bank, server: str, installation: Installation
) -> None:
    installation.tenants.pause(bank.tenant_id)
    reader, run_id = signed_in(server, bank), bank.desk.ticket()
    told = bank.api.get(f"/v1/runs/{run_id}").json
    assert "paused" in told["waiting_for"]
    assert reader.get(f"/runs/{run_id}/raw").json == told
    assert "paused" in reader.get(f"/runs/{run_id}").text


def test_without_the_gate_a_run_waits_for_a_worker(bank: Bank, installation: Installation) -> None:
    run_id = bank.desk.ticket()
    assert installation.gate.explain(run_id) is None
    assert bank.api.get(f"/v1/runs/{run_id}").json["waiting_for"] == "queued: waits for a worker"
