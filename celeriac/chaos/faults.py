"""The faults by their names: what each way of the plan does."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable

from celeriac.chaos import message_faults, server_faults, worker_faults
from celeriac.chaos.foreign import ForeignGround
from celeriac.chaos.ground import Ground
from celeriac.chaos.load import Load
from celeriac.chaos.plan import Fault
from celeriac.chaos.record import Trouble
from celeriac.chaos.server_faults import REDIS_AWAY
from celeriac.chaos.stage import Stage
from celeriac.chaos.traps import POINTS
from celeriac.chaos.worker_faults import name_of
from celeriac.errors import StoreUnavailable

#: what strikes any installation
GENTLE: dict[str, Callable[[Ground, Fault], Awaitable[None]]] = {
    "F8:doubled": message_faults.double,
    "F10:stray": message_faults.stray,
}

#: what strikes a private one only
STRIKES: dict[str, Callable[[Stage, Fault], Awaitable[None]]] = {
    "F1:killed": worker_faults.kill,
    "F1:killed-all": worker_faults.kill,
    **{f"F1:{point.replace(' ', '-')}": worker_faults.trap for point in POINTS},
    "F2:rolled": worker_faults.roll,
    "F2:rolled-all": worker_faults.roll,
    "F4:killed": server_faults.lose_redis,
    "F4:flushed": server_faults.flush,
    "F4:paused": server_faults.pause,
    "F4:cut-off": server_faults.cut_off_redis,
    "F5:full": server_faults.fill,
    "F5:replica": server_faults.demote,
    "F5:evicting": server_faults.evict,
    "F6:crashed": server_faults.crash_database,
    "F6:cut-off": server_faults.cut_off_database,
    "F7:unanswered": server_faults.lose_answers,
    "F9:lost": message_faults.lose,
    "F10:garbage": message_faults.spoil,
    "F11:ahead": worker_faults.skew,
    "F11:behind": worker_faults.skew,
    "F12:slow-database": worker_faults.slow_down,
    "F12:slow-redis": worker_faults.slow_down,
    "F12:silent-database": worker_faults.fall_silent,
    "F12:silent-redis": worker_faults.fall_silent,
    "F12:cut": worker_faults.cut,
    "F13:no-files": worker_faults.take_files,
    "F13:read-only": server_faults.refuse_writes,
}

#: after which slow steps are in the middle of their bodies
_UNDER_WAY_SECONDS = 1.0

#: how long stubborn steps hold a worker up
_STUBBORN_SECONDS = 7.0


async def strike(ground: Ground, load: Load, fault: Fault) -> None:
    """Do what is planned, and undo it where it is to last for a while only."""
    name = name_of(fault)
    try:
        match fault.code:
            case "F14":
                chance = random.Random(repr(fault))
                load.send_deadly(chance.choice((1, 9)), chance.choice((signal.SIGKILL, signal.SIGSEGV)))
            case "F15":
                now = time.monotonic()
                ground.record.note(Trouble(kind="load", since=now, until=now + _STUBBORN_SECONDS, fault=name))
                load.send_stubborn()
            case _ if name in GENTLE:
                await GENTLE[name](ground, fault)
            case _:
                await _strike_hard(ground, load, fault)
    except (*REDIS_AWAY, StoreUnavailable) as error:  # another fault has struck it down
        ground.record.tell(f"{name} was cut short: {error}")


async def _strike_hard(ground: Ground, load: Load, fault: Fault) -> None:
    """Strike what is ours alone, or a process that we were told to kill."""
    if isinstance(ground, ForeignGround):
        await ground.kill(fault)
    elif isinstance(ground, Stage):
        if fault.code == "F3":
            load.send_slow()
            await asyncio.sleep(_UNDER_WAY_SECONDS)
            await worker_faults.stop(ground, fault)
        else:
            await STRIKES[name_of(fault)](ground, fault)
