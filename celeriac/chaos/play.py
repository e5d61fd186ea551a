"""The play: load and faults side by side on a stage, a quiet end, and the judge's report.

`celeriac chaos` calls it; the same seed gives the same load and the same plan of faults.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from celeriac.chaos.collect import GATE, Collector, held_keys
from celeriac.chaos.effects import read_effects
from celeriac.chaos.faults import strike
from celeriac.chaos.foreign import ForeignGround
from celeriac.chaos.ground import Ground
from celeriac.chaos.judge.evidence import Evidence, RunRow
from celeriac.chaos.judge.report import Report, judge
from celeriac.chaos.load import Load
from celeriac.chaos.plan import WAYS, Fault, Terms, draw
from celeriac.chaos.record import Trouble
from celeriac.chaos.server_faults import REDIS_AWAY, redis_of
from celeriac.chaos.stage import Stage
from celeriac.chaos.strain import Strain
from celeriac.errors import StoreUnavailable
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.reading import read_chunks
from celeriac.platform.streams.stream import StreamUnavailable

#: how long everything that was accepted may take to end, once nothing strikes any more
_SETTLES_WITHIN_SECONDS = 60.0
#: what is due later than this is not waited for
_FAR_SECONDS = 600.0
#: after so many dead times the gate has forgotten what nobody gave back
_GATE_FORGETS = 5

#: the function of the play whose runs have agents, and tell
_WITH_AGENTS = "talk"

_LOOK_EVERY_SECONDS = 0.05
_LOOKS_AT_THE_CLOCK = 20
_THREADS = 64


@dataclass(frozen=True, kw_only=True)
class Play:
    """What is played."""

    seed: int
    seconds: float
    #: for logs
    folder: Path
    only: Sequence[str] = ()
    #: told what happens while it happens
    tell: Callable[[str], None] = field(default=lambda _: None)


def perform(play: Play, ground: Stage | ForeignGround) -> Report:
    """Perform the play and return the report; called by the main thread, which the children are tied to."""
    log = logging.FileHandler(play.folder / "play.log", delay=True)
    logging.getLogger().addHandler(log)
    try:
        return asyncio.run(_perform(play, ground))
    finally:
        logging.getLogger().removeHandler(log)
        log.close()


async def _perform(play: Play, ground: Stage | ForeignGround) -> Report:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="chaos"))
    async with ground:
        faults = draw(play.seed, _terms(play, ground))
        load = Load(ground.front, play.seed, await _offset(ground))
        await load.open(ground.limits)
        ground.record.tell = play.tell
        began_at = time.monotonic()
        await _strike_and_send(ground, load, faults, play.seconds)
        collector = Collector(ground.engine, load.tenants, offset=load.offset)
        settled_in = await _settle(ground, collector)
        evidence = await _evidence(ground, load, collector, began_at)
        if ground.is_shared:
            await load.close()
        (play.folder / "evidence.json").write_text(json.dumps(vars(evidence), default=_plain))
        return Report(
            seed=play.seed,
            seconds=play.seconds,
            database=ground.database,
            faults=[_struck(fault) for fault in faults],
            troubles=[_told(trouble, began_at) for trouble in ground.record.troubles],
            verdicts=await asyncio.to_thread(judge, evidence),
            counts=_counts(evidence, settled_in),
        )


def _terms(play: Play, ground: Stage | ForeignGround) -> Terms:
    workers, may_kill = (len(ground.workers), False) if isinstance(ground, Stage) else (1, bool(ground.victims))
    return Terms(
        seconds=play.seconds,
        workers=workers,
        database=ground.database,
        only=play.only,
        is_foreign=ground.is_shared,
        may_kill=may_kill,
    )


async def _evidence(ground: Ground, load: Load, collector: Collector, began_at: float) -> Evidence:
    facts = await asyncio.to_thread(collector.facts, with_chronicle=ground.has_chronicle)
    ours = {*load.tenants, *facts["runs"]} if ground.is_shared else None
    heartbeat, dead_after = ground.times
    return Evidence(
        **facts,
        sent=load.sent,
        cancelled=load.cancelled,
        surprises=load.surprises,
        effects=read_effects(ground.effects) if ground.effects else [],
        has_effects=ground.effects is not None,
        troubles=ground.record.troubles,
        departures=ground.record.departures,
        joined=ground.record.joined,
        streams=await asyncio.to_thread(_streams, ground, facts["runs"]),
        held_keys=await _forgotten_keys(ground, ours, within=_GATE_FORGETS * dead_after),
        limits={load.tenants[1]: ground.limits[1]},
        heartbeat=heartbeat,
        dead_after=dead_after,
        began_at=began_at,
    )


async def _offset(ground: Ground) -> float:
    """Return what has to be added to the monotonic clock to get the database's, from the quickest of some looks."""
    looks = []
    for _ in range(_LOOKS_AT_THE_CLOCK):
        before = time.monotonic()
        now = await asyncio.to_thread(ground.rooms.store.now)
        after = time.monotonic()
        looks.append((after - before, now.timestamp() - (before + after) / 2))
    return min(looks)[1]


async def _strike_and_send(ground: Ground, load: Load, faults: Sequence[Fault], seconds: float) -> None:
    """Let the load run, and each fault strike at its time; return when both are over."""
    began_at = time.monotonic()

    async def at_its_time(fault: Fault) -> None:
        await asyncio.sleep(max(0.0, began_at + fault.at - time.monotonic()))
        await strike(ground, load, fault)

    struck = [asyncio.ensure_future(at_its_time(fault)) for fault in faults]
    sending = asyncio.ensure_future(load.run(seconds))
    watching = asyncio.ensure_future(_watch(ground))
    try:
        await asyncio.gather(sending, *struck)
        await load.finish()
    finally:
        for task in (sending, *struck, watching):
            task.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(ground: Ground) -> None:
    """Start workers that ended, and see who has joined."""
    strain = Strain(ground.record)
    while True:
        strain.look()
        ground.revive()
        await ground.look_for_joined()
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


async def _settle(ground: Ground, collector: Collector) -> float:
    """Wait until all that was accepted has ended or waits lawfully; return how long it took."""
    began = time.monotonic()
    watching = asyncio.ensure_future(_watch(ground))
    try:
        while time.monotonic() - began < _SETTLES_WITHIN_SECONDS:
            try:
                left = await asyncio.to_thread(collector.unsettled, far=time.monotonic() + _FAR_SECONDS)
            except StoreUnavailable:
                left = 1
            if not left:
                break
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    finally:
        watching.cancel()
    return time.monotonic() - began


def _streams(ground: Ground, rows: Mapping[str, RunRow]) -> Mapping[str, Sequence[Chunk]] | None:
    """Return what the runs with agents told; None where Redis does not answer."""
    told = {}
    try:
        for row in rows.values():
            if row.function_id == _WITH_AGENTS:
                told[row.id] = read_chunks(ground.rooms.stream, ground.rooms.reads.run(row.tenant_id, row.id))
    except StreamUnavailable:
        return None
    return told


async def _forgotten_keys(ground: Ground, ours: Set[str] | None, *, within: float) -> list[str]:
    """Return what the gate still holds of `ours`, or at all, after it has had the time to forget it."""
    deadline = time.monotonic() + within
    async with redis_of(ground) as redis:
        while True:
            try:
                keys = [key.decode() async for key in redis.scan_iter(f"{GATE}*")]
            except REDIS_AWAY as error:
                keys = [f"{GATE}slot:Redis does not answer: {error}"]
            held = held_keys(keys, ours)
            if not held or time.monotonic() > deadline:
                return held
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _struck(fault: Fault) -> dict[str, Any]:
    says = next(way.says for way in WAYS if (way.code, way.name) == (fault.code, fault.way))
    return {**asdict(fault), "says": says}


def _plain(value: Any) -> Any:
    """Return a fact of the evidence as JSON has it."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def _told(trouble: Trouble, began_at: float) -> dict[str, Any]:
    times = {"since": round(trouble.since - began_at, 3), "until": round(trouble.until - began_at, 3)}
    return {**asdict(trouble), **times, "began_at": round(began_at, 3)}


def _counts(evidence: Evidence, settled_in: float) -> dict[str, Any]:
    return {
        "events": len(evidence.sent),
        "runs": len(evidence.runs),
        "steps": len(evidence.steps),
        "executions": sum(map(len, evidence.executions.values())),
        "deaths": sum(trouble.kind == "death" for trouble in evidence.troubles),
        "settled_in_s": round(settled_in, 2),
        "machine_strained_s": round(sum(t.until - t.since for t in evidence.troubles if t.kind == "machine"), 1),
    }
