"""T9: what a pick costs does not depend on how many tenants wait, nor on how many runs.

The Gate alone, without workers and a database, so that its rate is the one that is seen; the control arm is a gate
that looks at every tenant for each pick.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from benchmarks.tenants.recipe import Outcome, Setting, at_least, at_most
from benchmarks.tenants.site import percentile
from celeriac.platform.flow.gate import Gate, Queued, TenantLimits
from celeriac.settings import Settings
from celeriac.wiring import build

QUEUE = "runs"
#: as the dispatcher asks
PICK = 100
CAPACITY = 1_000
SMALLEST_SHARE = 0.8

_LIMITS = TenantLimits(running=100_000, starts_per_second=1_000_000, starts_burst=1_000_000)
_SCAN = Path(__file__).with_name("scan_pick.lua").read_text("utf-8")


@dataclass(frozen=True, kw_only=True)
class _Pace:
    """Picked runs a second, and the milliseconds of each call."""

    rate: float
    calls: tuple[float, ...]


def tenant_scale(setting: Setting) -> Outcome:
    """200,000 queued runs of one tenant, of a hundred and of 10,000: picked runs a second, in turns, and medians."""
    queued, most, seconds, rounds = (20_000, 1_000, 1.0, 1) if setting.is_quick else (200_000, 10_000, 5.0, 3)
    counts = (1, 100, most)
    played = [{count: _pace(setting, count, queued, seconds) for count in counts} for _ in range(rounds)]
    paces = {count: _median([one[count] for one in played]) for count in counts}
    scanned = {count: _scanned(setting, count) for count in (1, most)}
    figures: dict[str, Any] = {
        "share_of_one": paces[most].rate / paces[1].rate,
        "pick_p99_ms": percentile(paces[most].calls, 99),
        **{f"picks_per_s_{count}": pace.rate for count, pace in paces.items()},
        **{f"pick_p50_ms_{count}": percentile(pace.calls, 50) for count, pace in paces.items()},
        "queued_runs": queued,
        "tenants": most,
        "runs_in_a_pick": PICK,
    }
    return Outcome(
        figures=figures,
        bounds=(at_least("share_of_one", 0.6 if setting.is_quick else SMALLEST_SHARE),),
        control={"share_of_one": scanned[most] / scanned[1]},
        control_bounds=(at_most("share_of_one", 0.1),),
    )


def _median(paces: Sequence[_Pace]) -> _Pace:
    calls = tuple(call for pace in paces for call in pace.calls)
    return _Pace(rate=statistics.median(pace.rate for pace in paces), calls=calls)


def _pace(setting: Setting, tenants: int, queued: int, seconds: float) -> _Pace:
    with _gate(setting) as gate:
        gate.attend("worker", [QUEUE], CAPACITY)
        for start in range(0, queued, 5_000):
            gate.enqueue([_run(number, number % tenants) for number in range(start, min(queued, start + 5_000))])
            gate.attend("worker", [QUEUE], CAPACITY)
        picked, calls, ended = 0, [], list[Queued]()
        began = time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            ended = gate.pick(QUEUE, PICK, ended=ended)
            calls.append((time.perf_counter() - now) * 1000)
            picked += len(ended)
            if not ended:
                raise RuntimeError(f"Nothing was picked any more after {picked} of {queued} runs")
            if picked + PICK > queued:
                break
        return _Pace(rate=picked / (time.perf_counter() - began), calls=tuple(calls))


def _run(number: int, tenant: int) -> Queued:
    return Queued(
        run_id=f"run_{number:026}", tenant_id=f"ten_{tenant:026}", queue=QUEUE, fence=1, limits=_LIMITS, function="a/b"
    )


def _scanned(setting: Setting, tenants: int) -> float:
    with redis.Redis.from_url(setting.servers.redis_url) as client:
        client.flushall()
        with client.pipeline(transaction=False) as pipe:
            for number in range(max(2_000, tenants)):
                pipe.sadd("scan:tenants", number % tenants)
                pipe.rpush(f"scan:lane:{number % tenants}", number)
            pipe.execute()
        script, picked, began = client.register_script(_SCAN), 0, time.perf_counter()
        while time.perf_counter() < began + 1.0 and picked < 1_500:
            picked += len(script(args=[5]))
        seconds = time.perf_counter() - began
        client.flushall()
        return picked / seconds


@contextmanager
def _gate(setting: Setting) -> Iterator[Gate]:
    """Yield the product's Gate on an empty Redis."""
    with redis.Redis.from_url(setting.servers.redis_url) as client:
        client.flushall()
        unopened = f"sqlite:///{setting.servers.folder / 'unopened.db'}"
        rooms = build(
            Settings(
                database_url=unopened,
                redis_url=setting.servers.redis_url,
                secret_key="a key of the benchmark, and long enough",
            )
        )
        try:
            yield rooms.gate
        finally:
            rooms.close()
            client.flushall()
