"""The choice of models: which one an agent of a run is called with.

First match first: a test's own, the one that the run names for the agent, the run's for all, the agent's, the
network's, the app's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celeriac.errors import ConfigError
from celeriac.platform.agents.agent import Agent
from celeriac.platform.agents.agent_tool import AgentTool
from celeriac.platform.agents.router import Router
from celeriac.platform.agents.routing_agent import RoutingAgent
from celeriac.platform.context import Context
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.model import Model, ModelLike
from celeriac.platform.signature import did_you_mean

if TYPE_CHECKING:
    from celeriac.platform.agents.network import Models, Network


def check_names(network: Network[Any], router: Router[Any] | RoutingAgent[Any] | None, given: Models | None) -> None:
    """Raise `ConfigError` where `model=` names what is neither an agent of the network nor a tool of one.

    Whom code will ask is not known before it does. So such an agent is given as it is, which cannot be misspelt.
    """
    tools = [tool for agent in network.agents.values() for tool in agent.tools if isinstance(tool, AgentTool)]
    known = [*network.agents, *(tool.agent.name for tool in tools)]
    if isinstance(router, RoutingAgent):
        known.append(router.name)
    names = [one for one in given if not isinstance(one, Agent)] if isinstance(given, Mapping) else []
    if unknown := next((name for name in names if name not in known), None):
        near = did_you_mean(str(unknown), known) or (
            "; one whom only a router in code or a tool asks is named by itself, not by a text: model={agent: …}"
        )
        raise ConfigError(f"model= names {unknown!r}, which is no agent of network {network.name!r}{near}")


def models(
    network: Network[Any], ctx: Context[Any], given: Models | None, known: Sequence[Agent[Any, Any]]
) -> Callable[[Agent[Any, Any]], Model]:
    """Return what finds the model of an agent, or raises `ConfigError`; raise it now for those that are known."""
    replaced = ctx.part("model")
    pairs = given.items() if isinstance(given, Mapping) else ()
    by_name = {one.name if isinstance(one, Agent) else one: model for one, model in pairs}
    for_all = None if isinstance(given, Mapping) else given
    default = network.default_model or ctx.part("default_model")
    found: dict[str, Model] = {}

    def chosen(agent: Agent[Any, Any]) -> ModelLike | None:
        return replaced or by_name.get(agent.name) or for_all or agent.model or default

    def model_of(agent: Agent[Any, Any]) -> Model:
        if agent.name not in found:
            model = chosen(agent)
            if model is None:
                raise no_model(network, [agent.name])
            found[agent.name] = resolve(model)
        return found[agent.name]

    if lacking := [agent.name for agent in known if chosen(agent) is None]:
        raise no_model(network, lacking)
    for agent in known:
        model_of(agent)
    return model_of


def no_model(network: Network[Any], agents: Sequence[str]) -> ConfigError:
    """Return the error of agents without a model, which says where one may be given."""
    where = f"network {network.name!r} or the App" if network.is_network else "the App"
    who, each = ("Agent", "it") if len(agents) == 1 else ("Agents", "each")
    return ConfigError(f"{who} {listed(agents)} no model; give {each} model=, or {where} a default_model=")


def listed(names: Sequence[str]) -> str:
    """Return `'a' has`, or `'a', 'b' have`."""
    return f"{', '.join(map(repr, names))} {'has' if len(names) == 1 else 'have'}"
