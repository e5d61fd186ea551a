"""T6: 10,000 runs that may not start yet hold up nobody, and cost the one who picks nothing.

Half of them are a tenant's that may start a run every ten seconds, half wait for a function's throttle of as much.
"""

from __future__ import annotations

import time
from typing import Any

import redis

from benchmarks.tenants.backlog import post, tell_functions
from benchmarks.tenants.dwell import CONCURRENCY, QUIET_TENANTS, WORKERS
from benchmarks.tenants.recipe import Outcome, Setting, at_least, at_most
from benchmarks.tenants.site import Site, percentile, site_on
from celeriac.tenants.quotas import Limits

TASK_SECONDS = 0.05
#: the blocked tenant starts a run every ten seconds
BLOCKED = Limits(starts_per_second=0.1, starts_burst=1)

_ENDED = "SELECT count(*) FROM runs WHERE tenant_id = ANY(?) AND ended_at >= ? AND ended_at < ?"


def head_of_line(setting: Setting) -> Outcome:
    """The rate of nine tenants beside two whose runs wait for a throttle, against their rate without it."""
    blocked, seconds, rounds = (1_000, 4.0, 1) if setting.is_quick else (10_000, 12.0, 2)
    absent, beside, picks = [], [], []
    for _ in range(rounds):
        absent.append(_rate(setting, 0, seconds)[0])
        rate, took = _rate(setting, blocked, seconds)
        beside.append(rate)
        picks += took
    fifo, _ = _rate(setting, blocked, 4.0, is_fifo=True)
    usual = sum(absent) / rounds
    figures = {
        "rate_ratio": sum(beside) / rounds / usual,
        "absent_runs_per_s": usual,
        "beside_runs_per_s": sum(beside) / rounds,
        "pick_p50_ms": percentile(picks, 50),
        "pick_p99_ms": percentile(picks, 99),
        "picks": len(picks),
        "blocked_runs": blocked,
    }
    return Outcome(
        figures=figures,
        bounds=(at_least("rate_ratio", 0.85 if setting.is_quick else 0.95), at_most("pick_p99_ms", 5.0)),
        control={"rate_ratio": fifo / usual},
        control_bounds=(at_most("rate_ratio", 0.2),),
    )


def _rate(setting: Setting, blocked: int, seconds: float, *, is_fifo: bool = False) -> tuple[float, list[float]]:
    """Return the others' runs a second, and the milliseconds that each pick took the server meanwhile."""
    with site_on(setting.servers, is_fifo=is_fifo) as site:
        tell_functions(site)
        if blocked:
            [noisy], [throttled] = site.add_tenants(1, BLOCKED), site.add_tenants(1)
            post(site, noisy.tenant_id, blocked // 2, TASK_SECONDS)
            post(site, throttled.tenant_id, blocked // 2, TASK_SECONDS, event="crowd/throttled")
        others = [one.tenant_id for one in site.add_tenants(QUIET_TENANTS)]
        most = int(170 * (seconds + 6) / QUIET_TENANTS)
        for tenant_id in others:
            post(site, tenant_id, most, TASK_SECONDS)
        site.fleet.start_workers(WORKERS, CONCURRENCY)
        site.fleet.wait_for_workers()
        time.sleep(3)
        with _slow_log(setting.servers.redis_url) as log:
            since = site.now()
            time.sleep(seconds)
            until = site.now()
            picks = log.decisions()
        return _ended(site, others, since, until) * 1_000_000 / (until - since), picks


def _ended(site: Site, tenant_ids: list[str], since: int, until: int) -> int:
    return int(site.fleet.query(_ENDED, tenant_ids, since, until)[0][0])


class _slow_log:  # noqa: N801  # used like a function
    """Has Redis note how long each command took it; the decisions of the Gate are the scripts among them."""

    def __init__(self, url: str) -> None:
        self._client: Any = redis.Redis.from_url(url)

    def __enter__(self) -> _slow_log:
        self._client.config_set("slowlog-max-len", 200_000)
        self._client.config_set("slowlog-log-slower-than", 0)
        self._client.slowlog_reset()
        return self

    def decisions(self) -> list[float]:
        """Return the milliseconds of each script since the block began."""
        entries = self._client.slowlog_get(200_000)
        return [entry["duration"] / 1000 for entry in entries if entry["command"].upper().startswith(b"EVALSHA")]

    def __exit__(self, *_: object) -> None:
        self._client.config_set("slowlog-log-slower-than", 10_000)
        self._client.slowlog_reset()
        self._client.close()
