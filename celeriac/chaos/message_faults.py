"""Faults that strike the messages between workers: doubled, lost, stray and unreadable ones."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from celeriac.chaos.collect import GATE
from celeriac.chaos.ground import Ground
from celeriac.chaos.plan import Fault
from celeriac.chaos.server_faults import REDIS_AWAY, redis_of
from celeriac.chaos.worker_faults import name_of
from celeriac.errors import StoreUnavailable
from celeriac.ids import new_id
from celeriac.platform.durable.dispatch import ADVANCE
from celeriac.platform.flow.gate import Queued
from celeriac.wiring import broker_app

#: the list in which the broker keeps the messages of the queue `runs`
_QUEUE = "runs"
BROKER_KEY = f"cel:broker:{_QUEUE}"

_AGAIN_EVERY_SECONDS = 0.15
_COPIES = 2

#: runs of the play alone, which others may not be bothered by
_OURS = "SELECT id, tenant_id, queue, fence FROM runs WHERE app = 'chaos'"
_QUEUED = f"{_OURS} AND status = 'queued' ORDER BY queued_at DESC LIMIT 40"
_BEGUN = f"{_OURS} AND status = 'running' ORDER BY queued_at DESC LIMIT 40"
_OLD = f"{_OURS} AND ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 20"

#: what is no message at all, or one that nobody can read; a real one has a body, headers and properties
_UNREADABLE = (
    "",
    "not json",
    "null",
    "[]",
    "{}",
    '{"body": 1, "headers": null, "properties": {}}',
    json.dumps({"body": "bm90IGpzb24=", "headers": {}, "properties": {"delivery_info": {}, "delivery_tag": "x"}}),
    "[" * 2_000,
)


async def double(ground: Ground, fault: Fault) -> None:
    """Publish the messages of runs that are on their way, execute or have ended, again and again."""
    until = time.monotonic() + fault.seconds
    with ground.record.during("none", name_of(fault)) as trouble:
        sent = 0
        while time.monotonic() < until:
            with suppress(StoreUnavailable, *REDIS_AWAY):  # another fault strikes it
                begun = [*await ground.read(_BEGUN), *await ground.read(_OLD)]
                # Theirs was the message of the fence that the run has; that of its next link is still to come.
                again = [replace(queued_of(row), fence=row.fence) for row in begun]
                again += [queued_of(row) for row in await _picked(ground)]
                sent += await publish(ground, again * _COPIES)
            trouble.detail = f"{sent} messages too many"
            await asyncio.sleep(_AGAIN_EVERY_SECONDS)


async def _picked(ground: Ground) -> list[Any]:
    """Return the queued runs that have a message: what stands in a lane has none, and the gate knows no time for it."""
    rows = await ground.read(_QUEUED)
    async with redis_of(ground) as redis:
        return [row for row in rows if await redis.pttl(f"{GATE}run:{row.id}") > 0]


async def lose(ground: Ground, fault: Fault) -> None:
    """Take messages off the queue as one more consumer beside the workers, and throw them away."""
    until = time.monotonic() + fault.seconds
    with ground.record.during("messages", name_of(fault)) as trouble:
        lost = 0
        async with redis_of(ground) as redis:
            while time.monotonic() < until:
                with suppress(*REDIS_AWAY):  # another fault strikes it
                    lost += await redis.brpop([BROKER_KEY], timeout=0.2) is not None
        trouble.detail = f"{lost} messages lost"


async def stray(ground: Ground, fault: Fault) -> None:
    """Send messages for runs that ended long ago or never were, and with arguments that fit no task."""
    with ground.record.during("none", name_of(fault)):
        with suppress(StoreUnavailable):  # another fault strikes it
            old = [queued_of(row) for row in await ground.read(_OLD)]
            unknown = [Queued(run_id=new_id("run"), tenant_id="ten_nobody", queue=_QUEUE, fence=1) for _ in range(5)]
            await publish(ground, [*old, *unknown])
        await asyncio.to_thread(_send_misfits, ground)


async def spoil(ground: Ground, fault: Fault) -> None:
    """Put on the queue what is no message."""
    with ground.record.during("none", name_of(fault)):
        async with redis_of(ground) as redis:
            for text in _UNREADABLE:
                with suppress(*REDIS_AWAY):  # another fault strikes it
                    await redis.lpush(BROKER_KEY, text)
                await asyncio.sleep(0.1)


async def publish(ground: Ground, runs: Sequence[Queued]) -> int:
    """Send a message for each run; return how many were sent."""
    try:
        await asyncio.to_thread(ground.rooms.links.publish, runs)
    except Exception:  # noqa: BLE001  # the broker may be away in any way, as another fault wants it
        return 0
    return len(runs)


def queued_of(row: Any) -> Queued:
    """Return a row of a run as the Gate knows it."""
    return Queued(run_id=row.id, tenant_id=row.tenant_id, queue=row.queue, fence=row.fence + 1)


def _send_misfits(ground: Ground) -> None:
    app = broker_app(ground.rooms.settings)
    misfits: list[tuple[str, list[Any]]] = [
        ("celeriac.nothing", ["run_1"]),
        (ADVANCE, []),
        (ADVANCE, ["run_1", "run_2"]),
        (ADVANCE, [{"id": "run_1"}]),
        (ADVANCE, ["r" * 100_000]),
        (ADVANCE, ["run_\x00"]),
    ]
    with suppress(Exception):  # the broker may be away in any way, as another fault wants it
        for name, arguments in misfits:
            app.send_task(name, arguments, queue=_QUEUE, retry=False)
