"""T8: never more executions of a key at once than its limit, also while workers are killed, and no slot is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from benchmarks.servers import wait_for
from benchmarks.tenants.backlog import tell_functions
from benchmarks.tenants.executions import executing, most_at_once, read
from benchmarks.tenants.recipe import Outcome, Setting, at_least, at_most, exactly
from benchmarks.tenants.site import Site, site_on
from benchmarks.tenants.workload import MOST_OF_A_KEY
from celeriac import Event
from celeriac.tenants.quotas import Limits

KEYS = 4
MOST_OF_THE_TENANT = 10
#: the default of CELERIAC_WORKER_DEAD_SECONDS
DEAD_SECONDS = 10.0
#: by when the slots of a worker that was killed are there again
MOST_SECONDS = DEAD_SECONDS + 5.0
WORKERS, CONCURRENCY = 2, 8


def concurrency_cap(setting: Setting) -> Outcome:
    """Mixed runs of four keys with three slots each; workers are killed amid them, at the end all of them at once."""
    runs, kills = (120, 1) if setting.is_quick else (700, 3)
    with site_on(setting.servers) as site, redis.Redis.from_url(setting.servers.redis_url) as client:
        [member] = _members(site)
        log = _log_of(site)
        died: dict[int, int] = {}
        returned = []
        site.start_workers(WORKERS, CONCURRENCY)
        _post(site, member, runs, log)
        for number in range(kills):
            _wait_for_lines(log, (number + 1) * runs // (kills + 1))
            returned.append(_kill(site, client, log, died, 1))
            site.start_workers_again(1, CONCURRENCY)
        _wait_for_lines(log, int(runs * 1.8))
        alone = None if setting.is_quick else _kill(site, client, log, died, WORKERS)
        if alone is not None:
            site.start_workers_again(WORKERS, CONCURRENCY)
        site.wait_for_end([member])
        leaked = sorted(_left(client, max(died.values())))
        done = read(log, died)
    figures: dict[str, Any] = {
        "most_of_a_key": most_at_once(done, lambda one: one.key),
        "most_of_the_tenant": most_at_once(done, lambda _: ""),
        "slots_back_s": max(returned),
        "leaked_slots": len(leaked),
        "leaked": leaked[:5],
        "executions": len(done),
        "killed_workers": len(died),
    }
    bounds = [
        exactly("most_of_a_key", MOST_OF_A_KEY),
        at_most("most_of_the_tenant", MOST_OF_THE_TENANT),
        at_most("slots_back_s", MOST_SECONDS),
        exactly("leaked_slots", 0),
    ]
    if alone is not None:
        figures["slots_back_by_time_alone_s"] = alone
        bounds.append(at_most("slots_back_by_time_alone_s", MOST_SECONDS))
    return Outcome(
        figures=figures,
        bounds=tuple(bounds),
        control={"most_of_a_key": _without_limits(setting, runs // 2)},
        control_bounds=(at_least("most_of_a_key", MOST_OF_A_KEY + 1),),
    )


def _without_limits(setting: Setting, runs: int) -> int:
    with site_on(setting.servers, is_fifo=True) as site:
        [member] = _members(site)
        log = _log_of(site)
        site.start_workers(WORKERS, CONCURRENCY)
        _post(site, member, runs, log)
        site.wait_for_end([member])
        return most_at_once(read(log, {}), lambda one: one.key)


def _members(site: Site) -> list[str]:
    tell_functions(site)
    return [one.tenant_id for one in site.add_tenants(1, Limits(running=MOST_OF_THE_TENANT))]


def _log_of(site: Site) -> Path:
    log = site.fleet.folder / "executions.txt"
    log.touch()
    return log


def _post(site: Site, tenant_id: str, runs: int, log: Path) -> None:
    chance = random.Random(5)
    events = [
        Event(
            "crowd/capped",
            {"seconds": chance.uniform(0.03, 0.15), "key": f"key-{chance.randrange(KEYS)}", "log": str(log)},
        )
        for _ in range(runs)
    ]
    site.fleet.rooms.intake.accept(tenant_id, events)


def _wait_for_lines(log: Path, count: int) -> None:
    wait_for("the bodies to go on", lambda: len(log.read_text().splitlines()) >= count, every=0.05)


def _kill(site: Site, client: Any, log: Path, died: dict[int, int], count: int) -> float:
    """Kill workers; return the seconds until nothing in the Gate counts their executions any more."""
    victims = [worker.pid for worker in site.fleet.workers[:count]]
    site.fleet.kill(count)
    at, began = time.time_ns() // 1000, time.monotonic()
    died.update(dict.fromkeys(victims, at))
    runs = {run_id for pid in victims for run_id in executing(log, pid)}
    theirs = _held(client, lambda member: member.partition(":")[0] in runs)
    if not theirs:
        raise RuntimeError("The workers that were killed executed nothing; no figure is of worth")
    wait_for("the slots to come back", lambda: not theirs & _held(client, lambda _: True), every=0.05)
    return time.monotonic() - began


def _left(client: Any, last_kill: int) -> set[str]:
    """Return what holds a slot though all runs have ended, and any slot of who was killed has had its time.

    One that was killed between the end of its run and giving the slot back leaves that to the time.
    """
    time.sleep(1.5)
    while (held := _held(client, lambda _: True)) and time.time_ns() // 1000 < last_kill + MOST_SECONDS * 1_000_000:
        time.sleep(0.05)
    return held


def _held(client: Any, is_meant: Callable[[str], bool]) -> set[str]:
    """Return the members `run:fence` that hold a slot of anything in the Gate at this moment."""
    seconds, micros = client.time()
    now = seconds * 1_000_000 + micros
    names = [name for name in client.scan_iter("cel:gate:*", count=1000, _type="zset") if _keeps_slots(name)]
    members = {member.decode() for name in names for member in client.zrangebyscore(name, f"({now}", "+inf")}
    return {member for member in members if is_meant(member)}


def _keeps_slots(name: bytes) -> bool:
    return name.decode().split(":")[2] in ("slots", "taken", "held")
