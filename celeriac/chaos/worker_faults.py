"""Faults that strike workers: deaths, rolling restarts, standing still, bad connections, crooked clocks, no files."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from celeriac.chaos.plan import Fault
from celeriac.chaos.proxy import PASS, Manner, Proxy
from celeriac.chaos.record import TroubleKind
from celeriac.chaos.skew import write_skew
from celeriac.chaos.stage import Stage, Worker
from celeriac.chaos.traps import POINTS, Point
from celeriac.errors import ConfigError

#: how long a trap lies in wait
_TRAPPED_WITHIN_SECONDS = 5.0

_SLOW = Manner(kind="slow", latency=0.2, jitter=0.1, bytes_per_second=64 * 1024)
_SILENT = Manner(kind="silent")
_CUT_EVERY_SECONDS = 0.3

#: how far a crooked clock is off
_SKEW_SECONDS = 300.0


async def kill(stage: Stage, fault: Fault) -> None:
    """Kill one worker, or all of them at once."""
    struck = stage.workers if fault.way == "killed-all" else [stage.workers[fault.worker]]
    await asyncio.gather(*(stage.kill(worker, name_of(fault)) for worker in struck))
    await stage.until_ready(*struck)


async def trap(stage: Stage, fault: Fault) -> None:
    """Let the first worker that comes to a certain point die there."""
    point: Point = next(point for point in POINTS if point.replace(" ", "-") == fault.way)
    before = _deaths_by(stage, fault)
    stage.trapping = name_of(fault)
    stage.traps.set(point)
    try:
        await _watch(stage, lambda: not stage.traps.is_set(point))
    finally:
        was_sprung = not stage.traps.lift(point)
    if was_sprung:
        await _watch(stage, lambda: _deaths_by(stage, fault) > before)
    stage.trapping = ""
    await stage.until_ready(*stage.workers)


def _deaths_by(stage: Stage, fault: Fault) -> int:
    return sum(trouble.fault == name_of(fault) for trouble in stage.record.troubles)


async def _watch(stage: Stage, is_over: Callable[[], bool]) -> None:
    """Look after the workers until something is so, but not for long."""
    deadline = time.monotonic() + _TRAPPED_WITHIN_SECONDS
    while not is_over() and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
        stage.revive()


async def roll(stage: Stage, fault: Fault) -> None:
    """Replace one worker, or all one after the other; old and new overlap."""
    struck = stage.workers if fault.way == "rolled-all" else [stage.workers[fault.worker]]
    for worker in struck:
        async with worker.lock:
            await stage.replace(worker)


async def stop(stage: Stage, fault: Fault) -> None:
    """Let a worker stand still until others have taken over, and go on then."""
    worker = stage.workers[fault.worker]
    async with worker.lock:
        process = worker.process
        if process is None:
            return
        with stage.record.during("silence", name_of(fault), (process.pid,)):
            process.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                process.signal(signal.SIGCONT)


async def skew(stage: Stage, fault: Fault) -> None:
    """Run a worker whose clock is off, and let it jump."""
    worker = stage.workers[fault.worker]
    first, second = (_SKEW_SECONDS, -_SKEW_SECONDS) if fault.way == "ahead" else (-_SKEW_SECONDS, 0.0)
    async with worker.lock:
        with stage.record.during("none", name_of(fault)):
            await stage.replace(worker, skew=first)
            await asyncio.sleep(fault.seconds / 2)
            write_skew(stage.skew_file(worker), second)
            await asyncio.sleep(fault.seconds / 2)
            await stage.replace(worker)


async def slow_down(stage: Stage, fault: Fault) -> None:
    """Make a worker's connections slow."""
    await _mistreat(stage, fault, _SLOW, "slow")


async def fall_silent(stage: Stage, fault: Fault) -> None:
    """Leave a worker's connections open, with nothing coming through; long ones are reset in the end."""
    await _mistreat(stage, fault, _SILENT, "silence" if fault.way == "silent-database" else "redis")


async def _mistreat(stage: Stage, fault: Fault, manner: Manner, kind: TroubleKind) -> None:
    worker = stage.workers[fault.worker]
    proxy = worker.database if fault.way.endswith("database") else worker.redis
    if proxy is None:
        raise ConfigError(f"There is no proxy for {name_of(fault)}")
    async with worker.lock:
        with stage.record.during(kind, name_of(fault), worker.pids):
            proxy.behave(manner)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                proxy.behave(PASS)
                if manner is _SILENT and fault.seconds > 4:
                    proxy.cut()


async def cut(stage: Stage, fault: Fault) -> None:
    """Reset all connections of a worker, again and again."""
    worker = stage.workers[fault.worker]
    proxies: list[Proxy] = [proxy for proxy in (worker.redis, worker.database) if proxy is not None]
    async with worker.lock:
        with stage.record.during("redis", name_of(fault), worker.pids):
            for _ in range(round(fault.seconds / _CUT_EVERY_SECONDS)):
                for proxy in proxies:
                    proxy.cut()
                await asyncio.sleep(_CUT_EVERY_SECONDS)


async def take_files(stage: Stage, fault: Fault) -> None:
    """Let a worker open no more files and sockets than it has."""
    worker = stage.workers[fault.worker]
    async with worker.lock:
        process = worker.process
        if process is None or not process.is_alive:
            return
        with stage.record.during("redis", name_of(fault), (process.pid,)):
            before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                with suppress(ProcessLookupError):  # it has died meanwhile
                    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


def workers_of(stage: Stage) -> list[Worker]:
    """Return all who have proxies: the workers, and the sender."""
    return [*stage.workers, stage.sender]


def name_of(fault: Fault) -> str:
    """Return the name of the fault's way, as one asks for it."""
    return f"{fault.code}:{fault.way}"
