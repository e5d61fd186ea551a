"""The router: what decides which agent takes the next turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from celeriac.errors import RouterError
from celeriac.platform.agents.agent import Agent
from celeriac.platform.context import Context
from celeriac.platform.signature import did_you_mean

#: an agent or its name, several of them, or None: nothing more to do
Route = Agent[Any, Any] | str | Sequence[Agent[Any, Any] | str] | None
Router = Callable[[Context[Any]], Route] | Callable[[Context[Any]], Awaitable[Route]]


def agents_of(route: Route, agents: Mapping[str, Agent[Any, Any]], *, network: str) -> list[str]:
    """Return the names that a router's answer means, in order; raise `RouterError` for an unknown one."""
    if route is None:
        return []
    several = [route] if isinstance(route, str | Agent) else list(route)
    names = []
    for one in several:
        name = one.name if isinstance(one, Agent) else one
        if not isinstance(name, str) or name not in agents:
            near = did_you_mean(str(name), agents)
            raise RouterError(f"The router of network {network!r} named {name!r}, which is none of its agents{near}")
        names.append(name)
    return names
