"""`python -m benchmarks.gate`: how fast the gate picks, with many tenants, long queues and much that is blocked.

Only the gate and a Redis of its own take part. It prints one JSON object a line: `tenants` is T9 of the tests of
tenants (the pick rate with 1 to 10,000 active tenants and 200,000 queued runs), `throttled` is T6 (10,000 runs that a
throttle blocks beside tenants that work), `lanes` the same with 10,000 lanes that each wait for a pool of their own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.servers import running_redis
from celeriac.platform.flow.gate import Gate, Pace, Pool, Queued, TenantLimits
from celeriac.platform.store.redis_connection import connect
from celeriac.platform.store.redis_gate import RedisGate

#: limits that stop nobody
LIMITS = TenantLimits(running=1_000_000, starts_per_second=1e9, starts_burst=1_000_000)

QUEUE = "runs"
BATCH = 100
TENANTS = (1, 100, 5_000, 10_000)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description="Measure the gate alone.")
    parser.add_argument("--case", choices=CASES, help="only this case")
    parser.add_argument("--quick", action="store_true", help="a small part of the work: whether it runs, not how fast")
    options = parser.parse_args()
    for name in CASES if options.case is None else (options.case,):
        for figures in CASES[name](options.quick):
            rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
            print(json.dumps({"system": "celeriac", "case": f"gate/{name}", **rounded}), flush=True)


def tenants(is_quick: bool) -> Iterator[Mapping[str, Any]]:
    """Measure the pick rate by the number of tenants that have runs in the queue, in turns, and take medians."""
    queued_runs, picks, rounds = (2_000, 500, 1) if is_quick else (200_000, 20_000, 3)
    rates: dict[int, list[float]] = {many: [] for many in TENANTS}
    costs: dict[int, list[float]] = {many: [] for many in TENANTS}
    for _ in range(rounds):
        for many in TENANTS:
            with _gate() as (redis, gate):
                runs = (_run(f"run_{number}", f"ten_{number % many:05}") for number in range(queued_runs))
                _enqueue(gate, runs)
                cpu = _cpu_seconds(redis)
                rates[many].append(picks / _timed(lambda gate=gate: _pick(gate, picks)))  # type: ignore[misc]
                costs[many].append((_cpu_seconds(redis) - cpu) / picks * 1e6)
            print(f"{many} tenants: {rates[many][-1]:.0f} picks/s", file=sys.stderr, flush=True)
    rate, cost = ({many: statistics.median(found[many]) for many in TENANTS} for found in (rates, costs))
    for many in TENANTS:
        yield {
            "tenants": many,
            "queued": queued_runs,
            "picks_per_s": rate[many],
            "of_one_tenant": rate[many] / rate[1],
            "redis_cpu_us": cost[many],
            "cpu_of_one_tenant": cost[1] / cost[many],
        }


def throttled(is_quick: bool) -> Iterator[Mapping[str, Any]]:
    """Measure the picks of ten tenants that work beside one whose runs a throttle blocks, and without that one."""
    blocked, picks = (500, 200) if is_quick else (10_000, 5_000)
    pace = Pace(name="pace", starts=1, per=timedelta(hours=1))
    yield from _beside([_run(f"run_x{number}", "ten_x", pace=pace) for number in range(blocked)], picks)


def lanes(is_quick: bool) -> Iterator[Mapping[str, Any]]:
    """Measure the same beside a tenant with as many lanes, of which each waits for a pool of its own."""
    blocked, picks = (500, 200) if is_quick else (10_000, 5_000)
    full = Pool(name="full", slots=1)
    runs = [
        _run(f"run_x{number}", "ten_x", pools=(full, Pool(name=f"own {number}", slots=1))) for number in range(blocked)
    ]
    yield from _beside(runs, picks)


CASES: Mapping[str, Callable[[bool], Iterator[Mapping[str, Any]]]] = {
    "tenants": tenants,
    "throttled": throttled,
    "lanes": lanes,
}


def _beside(blocked: Sequence[Queued], picks: int) -> Iterator[Mapping[str, Any]]:
    rates = []
    for runs in ((), blocked):
        with _gate() as (_, gate):
            _enqueue(gate, runs)
            while gate.pick(QUEUE, BATCH):  # so that what is blocked has been looked at
                pass
            _enqueue(gate, (_run(f"run_{number}", f"ten_{number % 10}") for number in range(picks)))
            took = _pick_one_by_one(gate, picks)
        rates.append(picks / sum(took))
        cuts = statistics.quantiles(took, n=1_000)
        yield {
            "blocked": len(runs),
            "picks_per_s": rates[-1],
            "of_none_blocked": rates[-1] / rates[0],
            "p50_ms": cuts[499] * 1_000,
            "p99_ms": cuts[989] * 1_000,
        }


@contextmanager
def _gate() -> Iterator[tuple[Redis, Gate]]:
    with tempfile.TemporaryDirectory(prefix="celeriac-bench-") as folder, running_redis(Path(folder)) as url:
        redis = connect(url)
        gate = RedisGate(redis, dead_after=timedelta(minutes=10))
        gate.attend("wrk_1", [QUEUE], 1_000_000)
        yield redis, gate
        redis.close()


def _run(run_id: str, tenant_id: str, pools: tuple[Pool, ...] = (), pace: Pace | None = None) -> Queued:
    return Queued(
        run_id=run_id,
        tenant_id=tenant_id,
        queue=QUEUE,
        fence=1,
        limits=LIMITS,
        function="bench/steps",
        pools=pools,
        pace=pace,
    )


def _enqueue(gate: Gate, runs: Iterable[Queued]) -> None:
    rest = iter(runs)
    while page := list(islice(rest, 500)):
        gate.enqueue(page)


def _pick(gate: Gate, many: int) -> None:
    """Pick so many, as a busy fleet does: what was picked ends when the next are asked for."""
    ended: Sequence[Queued] = ()
    for _ in range(many // BATCH):
        ended = gate.pick(QUEUE, BATCH, ended=ended)
        if len(ended) < BATCH:
            raise RuntimeError(f"Only {len(ended)} of {BATCH} runs were picked")


def _pick_one_by_one(gate: Gate, many: int) -> list[float]:
    took, ended = [], list[Queued]()
    for _ in range(many):
        began = time.perf_counter()
        ended = gate.pick(QUEUE, 1, ended=ended)
        took.append(time.perf_counter() - began)
        if not ended:
            raise RuntimeError("Nobody was picked though runs wait that can go")
    return took


def _cpu_seconds(redis: Redis) -> float:
    used: Mapping[str, Any] = redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _timed(do: Callable[[], None]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
