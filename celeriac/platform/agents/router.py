"""The router: what decides which agent takes the next turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import TypeVar

from celeriac.errors import RouterError
from celeriac.platform.agents.agent import Agent
from celeriac.platform.context import Context
from celeriac.platform.signature import did_you_mean

S = TypeVar("S", default=Any)


class Parallel:
    """A route to several agents that take their turns at once, each on a view of the state of its own.

    Their changes are merged in this order, as those of parallel tool calls are; the router is asked when all are done.
    """

    def __init__(self, *agents: Agent[Any, Any] | str) -> None:
        """Take agents or their names; one may stand there once."""
        self.agents = agents


#: an agent or its name, several to take turns in order, several at once, or None: nothing more to do
Route = Agent[S, Any] | str | Sequence[Agent[S, Any] | str] | Parallel | None
#: one callable, not one for `def` and one for `async def`: mypy types a lambda by a single candidate alone
Router = Callable[[Context[S]], Route[S] | Awaitable[Route[S]]]


@dataclass(frozen=True)
class Decision:
    """What a router's answer means: names in order, and whether they take their turns at once."""

    names: tuple[str, ...] = ()
    at_once: bool = False


def decision_of(route: Any, agents: Mapping[str, Agent[Any, Any]], available: Sequence[str], network: str) -> Decision:
    """Read a router's answer; raise `RouterError` for an agent that is unknown or disabled, and for no route at all."""
    if route is None:
        return Decision()
    if isinstance(route, Parallel):
        names = tuple(_name(one, agents, available, network) for one in route.agents)
        if len(set(names)) < len(names):
            raise RouterError(f"The router of network {network!r} named an agent twice in one Parallel: {names}")
        return Decision(names, at_once=len(names) > 1)
    if not isinstance(route, str | Agent | Iterable):
        raise RouterError(
            f"The router of network {network!r} answered with {str(route)[:80]!r}, which is no route: it returns an "
            "agent, its name, several of them, Parallel(…) or None"
        )
    several = [route] if isinstance(route, str | Agent) else list(route)
    return Decision(tuple(_name(one, agents, available, network) for one in several))


def _name(one: Any, agents: Mapping[str, Agent[Any, Any]], available: Sequence[str], network: str) -> str:
    name = one.name if isinstance(one, Agent) else one
    if not isinstance(name, str) or name not in agents:
        near = did_you_mean(str(name), agents)
        raise RouterError(f"The router of network {network!r} named {name!r}, which is none of its agents{near}")
    if name not in available:
        raise RouterError(f"The router of network {network!r} named {name!r}, which is disabled at the moment")
    return name
