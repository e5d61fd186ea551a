"""The cases: what is measured, each on a fleet of its own. `docs/benchmarks.md` says what the figures mean."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from benchmarks.fleet import Fleet
from benchmarks.recovery import recovery
from benchmarks.servers import running_model, wait_for
from celeriac import Event

#: the keys of one JSON line, without those that every line has
Figures = Mapping[str, Any]
Case = Callable[[Fleet, bool], Figures]

MODEL_SECONDS = 0.02
SENDERS = 8


@dataclass(frozen=True, kw_only=True)
class _Burst:
    """Runs that were submitted at once, from the first submit until the last end was seen."""

    runs: int
    seconds: float
    cpu: float

    def figures(self, *, steps: int, prefix: str = "") -> dict[str, float]:
        """Return steps and runs a second, and CPU milliseconds a step."""
        return {
            f"{prefix}steps_per_s": self.runs * steps / self.seconds,
            f"{prefix}runs_per_s": self.runs / self.seconds,
            f"{prefix}cpu_ms": self.cpu * 1000 / (self.runs * steps),
            f"{prefix}seconds": self.seconds,
        }


def steps(fleet: Fleet, is_quick: bool) -> Figures:
    """Run 100 trivial steps alone, ten times: the time between two of them, taken inside the run."""
    count, runs = (20, 2) if is_quick else (100, 10)
    fleet.start_workers(1, 32)
    fleet.warm_up("bench/steps", {"count": 5}, runs=3)
    before, began, means = fleet.cpu(), time.perf_counter(), []
    for _ in range(runs):
        [event_id] = fleet.submit([Event("bench/steps", {"count": count})])
        fleet.wait_for_all()
        [run] = fleet.rooms.reads.event_runs(fleet.tenant_id, event_id)
        means.append(run.output["ms_per_step"])
    cpu = fleet.cpu() - before
    return {
        "p50_ms": statistics.median(means),
        "steps_per_s": 1000 / statistics.median(means),
        "cpu_ms": cpu * 1000 / (count * runs),
        "seconds": time.perf_counter() - began,
    }


def throughput(fleet: Fleet, is_quick: bool) -> Figures:
    """Submit 300 runs of 10 trivial steps, each by itself; then the same in one request (`batch_…`)."""
    runs, rounds = (30, 1) if is_quick else (300, 3)
    fleet.start_workers(2, 32)
    fleet.warm_up("bench/steps", {"count": 10}, runs=128)
    events = [Event("bench/steps", {"count": 10})] * runs
    single = _middle([_burst(fleet, events, _submit_each) for _ in range(rounds)])
    batch = _middle([_burst(fleet, events, Fleet.submit) for _ in range(rounds)])
    return {**single.figures(steps=10), **batch.figures(steps=10, prefix="batch_")}


def latency(fleet: Fleet, is_quick: bool) -> Figures:
    """Submit one-step runs one after the other: from before the submit until the sender sees the end."""
    fleet.start_workers(1, 32)
    fleet.warm_up("bench/steps", {"count": 1}, runs=16)
    seen = [_seconds_of_one(fleet, "bench/steps", {"count": 1}) for _ in range(20 if is_quick else 200)]
    return {"p50_ms": statistics.median(seen) * 1000, "p95_ms": statistics.quantiles(seen, n=20)[-1] * 1000}


def agent(fleet: Fleet, is_quick: bool) -> Figures:
    """Run a network of 12 model and 12 tool calls, alone and 50 at once, in one worker process."""
    alone, at_once = (2, 5) if is_quick else (10, 50)
    with running_model(MODEL_SECONDS) as (url, model_pid):
        fleet.start_workers(1, 50, OPENAI_BASE_URL=url)
        fleet.warm_up("bench/agents.budget", {"input": "warm up"}, runs=at_once)
        data = {"input": "What is the answer?"}
        single = [_seconds_of_one(fleet, "bench/agents.budget", data) for _ in range(alone)]
        figures: dict[str, Any] = {"p50_ms": statistics.median(single) * 1000, **_calls_a_run(fleet)}
        for links, prefix in (("budget", ""), ("turn", "turn_")):
            burst = _burst(fleet, [Event(f"bench/agents.{links}", data)] * at_once, Fleet.submit, (model_pid,))
            figures |= {
                f"{prefix}runs_per_s": burst.runs / burst.seconds,
                f"{prefix}cpu_ms": burst.cpu * 1000 / burst.runs,
                f"{prefix}seconds": burst.seconds,
            }
    return figures


CASES: dict[str, Case] = {
    "steps": steps,
    "throughput": throughput,
    "latency": latency,
    "agent": agent,
    "recovery": recovery,
}


def _burst(
    fleet: Fleet,
    events: Sequence[Event],
    submit: Callable[[Fleet, Sequence[Event]], object],
    without: Sequence[int] = (),
) -> _Burst:
    before, began = fleet.cpu(without=without), time.perf_counter()
    submit(fleet, events)
    seconds = fleet.wait_for_all() - began
    cpu = fleet.cpu(without=without) - before
    _refuse_failures(fleet)
    return _Burst(runs=len(events), seconds=seconds, cpu=cpu)


def _middle(bursts: Sequence[_Burst]) -> _Burst:
    return sorted(bursts, key=lambda burst: burst.seconds)[len(bursts) // 2]


def _submit_each(fleet: Fleet, events: Sequence[Event]) -> None:
    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(lambda event: fleet.submit([event]), events))


def _seconds_of_one(fleet: Fleet, event: str, data: dict[str, Any]) -> float:
    began = time.perf_counter()
    [event_id] = fleet.submit([Event(event, data)])
    ended = "SELECT 1 FROM runs WHERE event_id = ? AND ended_at IS NOT NULL"
    wait_for("the run to end", lambda: fleet.query(ended, event_id), every=0.0005)
    seconds = time.perf_counter() - began
    time.sleep(0.02)  # a sender who is no burst
    return seconds


def _calls_a_run(fleet: Fleet) -> dict[str, int]:
    """Count what the runs did, so that nobody has to believe it; raise `ValueError` where they differ."""
    [(model_calls, tool_calls)] = fleet.query("SELECT DISTINCT model_calls, tool_calls FROM runs")
    return {"model_calls": model_calls, "tool_calls": tool_calls}


def _refuse_failures(fleet: Fleet) -> None:
    failed = fleet.query("SELECT id, status, error_message FROM runs WHERE status <> 'completed'")
    if failed:
        raise RuntimeError(f"{len(failed)} runs did not complete, such as {tuple(failed[0])}; no figure is of worth")
