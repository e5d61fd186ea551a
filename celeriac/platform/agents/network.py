"""The network: agents that work on one state, turn by turn, as a router decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from celeriac.errors import ConfigError
from celeriac.platform.agents.agent import Agent
from celeriac.platform.agents.budget import Budget
from celeriac.platform.agents.history import History
from celeriac.platform.agents.model_choice import listed, no_model
from celeriac.platform.agents.network_run import NetworkRun
from celeriac.platform.agents.router import Router
from celeriac.platform.agents.routing_agent import RoutingAgent
from celeriac.platform.agents.state import State, StateType
from celeriac.platform.agents.window import Window
from celeriac.platform.message import Message
from celeriac.platform.models.model import ModelLike
from celeriac.platform.signature import checks_options

if TYPE_CHECKING:
    from celeriac.platform.agents.streaming import OnChunk, Streaming

S = TypeVar("S", default=Any)
#: one for all, or some by the names of agents or by the agents themselves: of the key mypy is told nothing, as it takes
#: no dict by names where both may stand, and it is checked at run time
Models = ModelLike | Mapping[Any, ModelLike]


class Network(Generic[S]):
    """Agents, the state they share, and the router between them; frozen and free to run many times at once."""

    @checks_options
    def __init__(
        self,
        name: str,
        *,
        agents: Sequence[Agent[S, Any]],
        description: str = "",
        state: type[S] | Callable[[], S] | None = None,
        router: Router[S] | RoutingAgent[S] | None = None,
        default_model: ModelLike | None = None,
        max_iter: int = 25,
        budget: Budget | None = None,
        history: History[S] | None = None,
        window: Window | None = None,
        client_state: Sequence[str] = (),
    ) -> None:
        """Check the declaration; raise `ConfigError` for what cannot work.

        `state` is the type of the data (or a factory), made anew for every run; a plain dict where it is left out.
        Without `router` a model chooses among the agents by their descriptions (`RoutingAgent()`). `client_state` are
        the fields of the state that the event of a run may set.
        """
        self.name, self.description = name, description
        self.agents = {agent.name: agent for agent in agents}
        self.router: Router[S] | RoutingAgent[S] | None = RoutingAgent[S]() if router is None else router
        self.default_model, self.max_iter = default_model, max_iter
        self.budget, self.history, self.window = budget, history, window
        self.client_state = tuple(client_state)
        self.state_type = StateType(state, network=name)
        self.is_network = True
        if not name or "/" in name or not agents:
            raise ConfigError(f"Network {name!r} needs a name without '/' and at least one agent")
        if len(self.agents) < len(agents):
            raise ConfigError(f"Network {name!r} has two agents of one name; names are how routers call them")
        self._check_max_iter(max_iter)
        if isinstance(client_state, str):
            raise ConfigError(f"Network {name!r}: client_state= is a list of fields")
        self.state_type.check_fields(self.client_state)
        if isinstance(self.router, RoutingAgent):
            self.check_descriptions()

    def _check_max_iter(self, max_iter: int) -> None:
        if max_iter < 1:
            raise ConfigError(f"Network {self.name!r}: max_iter={max_iter} must be 1 or more")

    @classmethod
    def of_one(cls, agent: Agent[Any, Any]) -> Network[Any]:
        """Return what runs one agent alone, for one turn."""
        alone: Network[Any] = cls(
            agent.name,
            agents=[agent],
            description=agent.description,
            router=lambda ctx: agent,
            max_iter=1,
            history=agent.history,
        )
        alone.is_network, alone.router = False, None
        return alone

    def check_descriptions(self) -> None:
        """Raise `ConfigError` for agents that a model cannot choose, because nothing says what they are for."""
        silent = [agent.name for agent in self.agents.values() if not agent.description.strip()]
        if silent:
            raise ConfigError(
                f"Network {self.name!r}: a model chooses among its agents, and {listed(silent)} no description=; "
                "say there what it is for, or give the network a router= of your own"
            )

    def check_models(self, default: ModelLike | None) -> None:
        """Raise `ConfigError` for agents that have no model, where `default` is the app's."""
        if (self.default_model or default) is not None:
            return
        agents = [*self.agents.values(), *([self.router] if isinstance(self.router, RoutingAgent) else [])]
        if lacking := [agent.name for agent in agents if agent.model is None]:
            raise no_model(self, lacking)

    async def run(
        self,
        input: str | Message,
        *,
        id: str | None = None,
        state: S | State[S] | None = None,
        thread_id: str | None = None,
        router: Router[S] | RoutingAgent[S] | None = None,
        model: Models | None = None,
        max_iter: int | None = None,
        budget: Budget | None = None,
        channel: str | None = None,
        on_chunk: OnChunk | None = None,
    ) -> NetworkRun[S]:
        """Run turns until the router has nothing more, or a limit is reached; `stop_reason` says which.

        Inside a durable function every turn, model call and tool call is remembered; in a plain script all is done in
        place. `model` replaces every model of this run, or those of the agents that a dict has as keys: by name, where
        one that nobody has is a `ConfigError`, or as they are, also those that only a router in code or a tool asks.
        What happens is told to `on_chunk`, an async function, and to the streams of the run, its thread and `channel`.
        """
        from celeriac.platform.agents.running import Wish, run_network

        self._check_max_iter(self.max_iter if max_iter is None else max_iter)
        wish = Wish(
            input=input,
            id=id,
            state=state,
            thread_id=thread_id,
            router=router or self.router,
            model=model,
            max_iter=self.max_iter if max_iter is None else max_iter,
            budget=budget or self.budget,
            channel=channel,
            on_chunk=on_chunk,
        )
        return await run_network(self, wish)

    def run_sync(self, input: str | Message, **options: Any) -> NetworkRun[S]:
        """Run the network from a plain script without a loop; takes what `run` takes."""
        from celeriac.platform.agents.sync import run_to_end

        run: NetworkRun[S] = run_to_end(self.run(input, **options))
        return run

    def stream(self, input: str | Message, **options: Any) -> Streaming[NetworkRun[S]]:
        """Run the network and watch: `async with network.stream("…") as stream:`; takes what `run` takes."""
        from celeriac.platform.agents.streaming import Streaming

        return Streaming(lambda on_chunk: self.run(input, **{**options, "on_chunk": on_chunk}))
