"""Model calls of tenants: a limit a minute, a budget, and the count of what was used, against a model server's log."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.servers import wait_for
from benchmarks.tenants.backlog import tell_functions
from benchmarks.tenants.recipe import Bound, Outcome, Setting, at_least, at_most, exactly
from benchmarks.tenants.site import Site, percentile, site_on
from celeriac import Event
from celeriac.tenants.quotas import Limits
from celeriac.testing.model_server import Faults, ModelServer, WireReply, WireRequest

#: 60 a minute, with all times halved, so that 200 of them fit into two minutes
REQUESTS_A_MINUTE, COMPRESSED = 120, 2
MINUTE = 60.0 / COMPRESSED
#: what may be saved up: a twentieth of a minute's
BURST = REQUESTS_A_MINUTE // 20

WORKERS, CONCURRENCY = 2, 8


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A line of the model server's log: a request that was answered."""

    run_id: str
    path: str
    arrived: float
    status: int


@contextmanager
def site_with_models(setting: Setting, latency: float) -> Iterator[tuple[Site, ModelServer, Path]]:
    """Make a site whose workers reach a model server, and yield both and the server's log."""
    with site_on(setting.servers) as site:
        log = site.fleet.folder / "requests.jsonl"
        with ModelServer(_respond, latency=latency, log=log) as server:
            site.fleet.environment = {**site.fleet.environment, "OPENAI_BASE_URL": server.openai_base_url}
            tell_functions(site)
            site.start_workers(WORKERS, CONCURRENCY, CELERIAC_RETRY_SECONDS="0.2")
            yield site, server, log


def _respond(request: WireRequest) -> WireReply:
    return WireReply(text="42")


def requests_a_minute(setting: Setting) -> Outcome:
    """200 runs that each call a model once, where 60 calls a (halved) minute are allowed."""
    runs = 40 if setting.is_quick else 200
    with site_with_models(setting, 0.02) as (site, _, log):
        [member] = site.add_tenants(1, Limits(model_requests_per_minute=REQUESTS_A_MINUTE))
        _ask(site, member.tenant_id, runs, calls=1)
        began, running, parked = time.monotonic(), [], []
        while site.unfinished([member.tenant_id]):
            time.sleep(0.23)  # no multiple of the pace of the calls
            states = dict(
                tuple(row)
                for row in site.fleet.query(
                    "SELECT status, count(*) FROM runs WHERE tenant_id = ? GROUP BY status", member.tenant_id
                )
            )
            if time.monotonic() > began + 5 and states.get("parked", 0) > runs // 10:
                running.append(states.get("running", 0))
                parked.append(states.get("parked", 0))
        lines = answered(log)
        [free] = site.add_tenants(1)
        _ask(site, free.tenant_id, runs, calls=1)
        site.wait_for_end([free.tenant_id])
        unlimited = [line for line in answered(log) if line not in lines]
    seconds = max(line.arrived for line in lines) - min(line.arrived for line in lines)
    return Outcome(
        figures={
            "most_in_a_minute": most_within([line.arrived for line in lines], MINUTE),
            "threads_held": statistics.median(running) if running else None,
            "threads_held_p95": percentile(running, 95),
            "parked": statistics.median(parked) if parked else None,
            "calls": len(lines),
            "pace_of_the_limit": len(lines) / (BURST + seconds * REQUESTS_A_MINUTE / 60),
            "seconds": seconds,
            "minute_s": MINUTE,
        },
        bounds=(
            at_most("most_in_a_minute", REQUESTS_A_MINUTE / COMPRESSED + BURST),
            exactly("threads_held", 0),
            exactly("calls", runs),
            at_least("pace_of_the_limit", 0.8),
        ),
        control={"most_in_a_minute": most_within([line.arrived for line in unlimited], MINUTE)},
        control_bounds=(at_least("most_in_a_minute", min(runs, REQUESTS_A_MINUTE / COMPRESSED + BURST + 1)),),
    )


def cost_budget(setting: Setting) -> Outcome:
    """A hundred runs at once against a budget of twenty calls a day."""
    runs, calls = 100, 20
    with site_with_models(setting, 0.1) as (site, server, _):
        [free] = site.add_tenants(1)
        _ask(site, free.tenant_id, runs, calls=1)
        site.wait_for_end([free.tenant_id])
        without = _cost(site, free.tenant_id)
        price = without / runs
        [member] = site.add_tenants(1, Limits(cost_usd_per_day=price * calls))
        _ask(site, member.tenant_id, runs, calls=1)
        site.wait_for_end([member.tenant_id])
        spent = _cost(site, member.tenant_id)
        in_flight = server.stats()["peak_in_flight"]
    if not price:
        raise RuntimeError("A call costs nothing; no figure is of worth")
    return Outcome(
        figures={
            "calls_over_budget": round(spent / price) - calls,
            "calls_in_flight": in_flight,
            "calls_paid": round(spent / price),
            "budget_calls": calls,
        },
        bounds=(Bound(figure="calls_over_budget", at_most=in_flight, at_least=0),),
        control={"calls_over_budget": round(without / price) - calls},
        control_bounds=(at_least("calls_over_budget", in_flight + 1),),
    )


def usage_after_chaos(setting: Setting) -> Outcome:
    """Model calls of three tenants while workers are killed and the model refuses; then both sides are counted."""
    runs, calls, kills = (10, 3, 1) if setting.is_quick else (50, 5, 4)
    with site_with_models(setting, 0.05) as (site, server, log):
        tenants = [one.tenant_id for one in site.add_tenants(3)]
        server.inject(Faults(rates={429: 0.05, 500: 0.05, "cut": 0.03}, seed=3))
        before = server.requests
        for tenant_id in tenants:
            _ask(site, tenant_id, runs, calls=calls)
        for number in range(kills):
            due = (number + 1) * 3 * runs * calls // (kills + 1)
            wait_for("the calls to go on", lambda due=due: len(answered(log)) >= due, every=0.05)  # type: ignore[misc]
            site.fleet.kill(1)
            site.start_workers_again(1, CONCURRENCY)
        site.wait_for_end(tenants)
        time.sleep(1)
        good = [line for line in answered(log) if line.status == 200]
        committed = {(row[0], row[1]): row[2] for row in site.fleet.query("SELECT run_id, path, tenant_id FROM steps")}
        ours = {(line.run_id, line.path) for line in good if (line.run_id, line.path) in committed}
        differences = sum(
            abs(_used(site, tenant_id)[0] - sum(committed[one] == tenant_id for one in ours))
            + abs(_used(site, tenant_id)[1] - sum(_tokens(one[1]) for one in ours if committed[one] == tenant_id))
            for tenant_id in tenants
        )
        requests = server.requests - before
    return Outcome(
        figures={
            "difference": differences,
            "calls_committed": len(ours),
            "calls_expected": 3 * runs * calls,
            "answers_paid_twice": len(good) - len(ours),
            "requests": requests,
            "killed_workers": kills,
        },
        bounds=(exactly("difference", 0), exactly("calls_committed", 3 * runs * calls)),
        control={"requests_less_calls": requests - len(ours)},
        control_bounds=(at_least("requests_less_calls", 1),),
    )


def answered(log: Path) -> list[Answered]:
    """Read the model server's log."""
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    found = []
    for line in lines:
        run_id, _, path = (line["key"] or "").partition(" ")
        found.append(Answered(run_id=run_id, path=path, arrived=line["started"], status=line["status"]))
    return found


def most_within(moments: Sequence[float], span: float) -> int:
    """Return how many of the moments lie within any span of this length, at most."""
    ordered = sorted(moments)
    most = begin = 0
    for end, moment in enumerate(ordered):
        while moment - ordered[begin] >= span:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def _ask(site: Site, tenant_id: str, runs: int, *, calls: int) -> None:
    site.fleet.rooms.intake.accept(tenant_id, [Event("crowd/ask", {"calls": calls})] * runs)


def _tokens(path: str) -> int:
    """What a call's prompt counts: the one of `ask-3` has four times four letters."""
    return int(path.rpartition("-")[2]) + 1


def _cost(site: Site, tenant_id: str) -> float:
    return float(site.fleet.query("SELECT sum(cost_usd) FROM runs WHERE tenant_id = ?", tenant_id)[0][0] or 0)


def _used(site: Site, tenant_id: str) -> tuple[int, int]:
    """Return the calls and the tokens read that usage tells of."""
    usages: Any = site.fleet.rooms.usages
    today = usages.today()
    rows = usages.usage(tenant_id, today, today, by=("tenant",))
    return sum(row.model_calls for row in rows), sum(row.input_tokens for row in rows)
