"""The race: branches side by side, of which the first to end wins; who won is remembered.

A replay awaits the winner's branch alone. What the losers had come to is kept with the winner: their waits are closed
in the same commit, and nothing expects their steps any more.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from typing import Any

from celeriac.errors import ConfigError
from celeriac.platform.codec import encode
from celeriac.platform.durable.memo import Memo
from celeriac.platform.durable.record import Record
from celeriac.platform.durable.replay import note_steps
from celeriac.platform.kernel import Kernel
from celeriac.platform.racing import Racer, call_off, start_racer, winner_of
from celeriac.platform.scope import Scope, context_in


async def race(kernel: Kernel, record: Record, path: str, branches: Mapping[str, Awaitable[Any]]) -> tuple[str, Any]:
    """Return the name and the value of the branch that ends first, or raise its error."""
    memo = record.come_to(path)
    come_to: dict[str, set[str]] = {name: set() for name in branches}

    def start(name: str) -> Racer:
        context = context_in(Scope(kernel, f"{path}/{name}"))
        note_steps(context, come_to[name])
        return start_racer(name, branches[name], context)

    if memo is not None:
        winner = await winner_of([start(name) for name in _only_winner(memo, branches)])
        await record.replay.deliver(memo)
    else:
        begun = record.clock.now()
        winner = await winner_of([start(name) for name in branches])
        dropped = _dropped(path, winner.name, come_to)
        record.replay.drop(dropped)
        value = encode({"winner": winner.name, "dropped": dropped})
        await record.done(path, "race", value, started_at=begun, closes=tuple(dropped))
    return winner.name, winner.task.result()


def _only_winner(memo: Memo, branches: Mapping[str, Awaitable[Any]]) -> list[str]:
    """Return the winner's name, and call off the others, which have not started."""
    winner = json.loads(memo.value or "null")["winner"]
    for name, branch in branches.items():
        if name != winner:
            call_off(branch)
    if winner not in branches:
        raise ConfigError(f"The race at {memo.path!r} was won by {winner!r}, and the code has no such branch any more")
    return [winner]


def _dropped(path: str, winner: str, come_to: Mapping[str, set[str]]) -> list[str]:
    """Return the places of the losers: their own scopes, and the steps that they came to elsewhere."""
    losers = [name for name in come_to if name != winner]
    scopes = [f"{path}/{name}" for name in losers]
    elsewhere = {
        one for name in losers for one in come_to[name] - come_to[winner] if not one.startswith(f"{path}/{name}/")
    }
    return [*scopes, *sorted(elsewhere)]
