"""A tenant's limits hold over all workers, and its backlog is nobody else's."""

from __future__ import annotations

from itertools import combinations

from fleet.worker_fleet import Fleet
from waiting import wait_until

RUNNING, RATE, BURST = 2, 5.0, 5
BACKLOG = 40

#: how much later than the next one a start may be noted: the time between the gate's decision and the link
NOTED_LATE = 0.05


def limited(fleet: Fleet) -> str:
    """Make the tenant that the tests are about."""
    return fleet.tenant("limited", running=RUNNING, starts_per_second=RATE, starts_burst=BURST)


def run_backlog(fleet: Fleet, tenant_id: str) -> set[str]:
    """Send more than the tenant may run; return the runs' ids."""
    fleet.send_all(tenant_id, "fleet/counted", [{"n": n, "steps": 1, "seconds": 0.3} for n in range(BACKLOG)])
    return {row.id for row in fleet.sql("SELECT id FROM runs WHERE tenant_id = :t", t=tenant_id)}


def most_at_once(fleet: Fleet, run_ids: set[str]) -> int:
    """Return how many of the runs' bodies went on at the same time."""
    moments = [(one["time"], 1) for one in fleet.notes.of("began") if one["run"] in run_ids]
    moments += [(one["time"], -1) for one in fleet.notes.of("ended") if one["run"] in run_ids]
    going_on = most = 0
    for _, change in sorted(moments):
        going_on += change
        most = max(most, going_on)
    return most


def starts_over_the_limit(times: list[float]) -> list[tuple[int, float]]:
    """Return (starts, seconds) of each window with more than burst + rate * T starts."""
    numbered = list(enumerate(sorted(times)))
    windows = [(last - first + 1, until - since) for (first, since), (last, until) in combinations(numbered, 2)]
    return [(starts, span) for starts, span in windows if starts > BURST + RATE * (span + NOTED_LATE)]


def test_limits_hold_and_others_are_not_delayed(fleet: Fleet, tenant: str) -> None:
    """While one tenant's forty runs go by twos and fives, the other's start at once."""
    slow = limited(fleet)
    held_back = run_backlog(fleet, slow)
    delays = []
    while waiting := fleet.count("tenant_id = :t AND status = 'queued'", t=slow):
        event = fleet.send(tenant, "fleet/counted", n=1, steps=1)
        run = fleet.ended(tenant, event)
        delays.append((run.started_at - run.created_at).total_seconds())
    wait_until(lambda: fleet.count("tenant_id = :t AND status = 'completed'", t=slow) == BACKLOG, what="the backlog")
    assert most_at_once(fleet, held_back) == RUNNING
    started = [one["time"] for one in fleet.notes.of("task") if one["run"] in held_back]
    assert starts_over_the_limit(started) == []
    assert len(delays) >= 20 and waiting == 0
    assert sorted(delays)[int(0.95 * len(delays))] < 0.15, delays
    assert max(delays) < 0.5, delays
    assert fleet.held_keys() == []


def test_models_are_asked_no_faster_than_the_tenant_may(fleet: Fleet) -> None:
    """Forty runs at 600 calls a minute over two workers: at most 30 at once and ten a second; none holds a place."""
    tenant = fleet.tenant("frugal", model_requests_per_minute=600)
    fleet.redis.set("cel:buckets:born", 0)  # a Redis that has been there for long: its buckets are full
    fleet.send_all(tenant, "fleet/chatted", [{"turns": 2}] * 20)
    done = "tenant_id = :t AND status = 'completed'"
    wait_until(lambda: fleet.count(done, t=tenant) == 20, what="all runs to end")
    runs = {row.id for row in fleet.sql("SELECT id FROM runs WHERE tenant_id = :t", t=tenant)}
    calls = sorted(one["time"] for one in fleet.notes.of("began") if one["run"] in runs)
    pairs = combinations(enumerate(calls), 2)
    too_fast = [1 for (a, since), (b, until) in pairs if b - a + 1 > 30 + 10 * (until - since + NOTED_LATE)]
    assert (len(calls), too_fast) == (40, [])


def test_nothing_of_a_paused_tenant_starts(fleet: Fleet) -> None:
    """Its events are kept as queued runs, those among them that stood in a lane, and go on once it is resumed."""
    tenant = fleet.tenant("late payer", running=1)
    fleet.send_all(tenant, "fleet/counted", [{"n": n, "steps": 1, "seconds": 0.3} for n in range(4)])
    fleet.rooms.tenants.pause(tenant)
    fleet.send(tenant, "fleet/counted", n=4, steps=1)
    wait_until(lambda: not fleet.count("tenant_id = :t AND status = 'running'", t=tenant), what="the first run to end")
    queued = fleet.count("tenant_id = :t AND status = 'queued'", t=tenant)
    assert fleet.held_keys() == [] and queued >= 2
    fleet.rooms.tenants.resume(tenant)
    wait_until(lambda: fleet.count("tenant_id = :t AND status = 'completed'", t=tenant) == 5, 20, "all to end")
