"""The network: agents that work on one state, turn by turn, as a router decides.

Each turn is a scope: its memo holds the agent's result and the change to the state, so that a finished turn costs one
memo on replay; the router's decision before it is one more. The same code runs in a plain script, with an inline step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from celeriac.errors import ConfigError, ContextError
from celeriac.ids import slug
from celeriac.platform.agents.agent import Agent
from celeriac.platform.agents.network_run import NetworkRun
from celeriac.platform.agents.patch import apply, diff
from celeriac.platform.agents.router import Router, agents_of
from celeriac.platform.agents.state import State, StateType
from celeriac.platform.agents.turn import take_turn
from celeriac.platform.calling import call_function
from celeriac.platform.context import Context, current_context, enter_context
from celeriac.platform.inline import local_context
from celeriac.platform.message import Message
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.model import Model, ModelLike
from celeriac.platform.result import AgentResult
from celeriac.platform.scope import current_scope
from celeriac.platform.signature import checks_options, did_you_mean

S = TypeVar("S", default=Any)
Models = ModelLike | Mapping[str, ModelLike]


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
        router: Router | None = None,
        default_model: ModelLike | None = None,
        max_iter: int = 25,
    ) -> None:
        """Check the declaration; raise `ConfigError` for what cannot work.

        `state` is the type of the data (or a factory), made anew for every run; a plain dict where it is left out.
        """
        self.name = name
        self.description = description
        self.agents = {agent.name: agent for agent in agents}
        self.router = router
        self.default_model = default_model
        self.max_iter = max_iter
        self.state_type = StateType(state, network=name)
        self._is_network = True
        if not name or "/" in name or not agents:
            raise ConfigError(f"Network {name!r} needs a name without '/' and at least one agent")
        if len(self.agents) < len(agents):
            raise ConfigError(f"Network {name!r} has two agents of one name; names are how routers call them")
        if router is None:
            raise ConfigError(f"Network {name!r} needs router=: a function (ctx) that returns the next agent, or None")
        if max_iter < 1:
            raise ConfigError(f"Network {name!r}: max_iter={max_iter} must be 1 or more")

    @classmethod
    def of_one(cls, agent: Agent[Any, Any]) -> Network[Any]:
        """Return what runs one agent alone, for one turn."""
        alone: Network[Any] = cls(agent.name, agents=[agent], router=lambda ctx: agent, max_iter=1)
        alone._is_network, alone.router = False, None
        return alone

    async def run(
        self,
        input: str | Message,
        *,
        id: str | None = None,
        state: S | State[S] | None = None,
        router: Router | None = None,
        model: Models | None = None,
        max_iter: int | None = None,
    ) -> NetworkRun[S]:
        """Run turns until the router has nothing more, or `max_iter` turns were taken.

        Inside a durable function every turn, model call and tool call is remembered; in a plain script all is done in
        place. `model` replaces every model of this run, or those of the agents that a dict names.
        """
        message = input if isinstance(input, Message) else Message.user(input)
        ctx = current_context() if current_scope() is not None else None
        ctx = ctx or local_context(self.name, {"input": message.text})
        run = NetworkRun(
            name=self.name,
            input=message,
            agents=self.agents,
            state=self._state(state),
            models=self._models(ctx, model),
            is_network=self._is_network,
        )
        prefix = "network" if self._is_network else "agent"
        with ctx.step.scope(id or f"{prefix}:{slug(self.name)}"):
            bound = ctx.bound(network=run, state=run.state)
            with enter_context(bound):
                await self._take_turns(bound, run, router or self.router, max_iter or self.max_iter)
        return run

    def run_sync(self, input: str | Message, **options: Any) -> NetworkRun[S]:
        """Run the network from a plain script without a loop; takes what `run` takes."""
        run: NetworkRun[S] = run_to_end(self.run(input, **options))
        return run

    def _state(self, given: S | State[S] | None) -> State[S]:
        if given is None:
            return State(self.state_type.fresh())
        if isinstance(given, State):
            return given
        return State(self.state_type.take(given))

    def _models(self, ctx: Context[Any], given: Models | None) -> dict[str, Model]:
        """Return the model of every agent, or raise `ConfigError` before anything starts."""
        replaced = ctx.part("model")
        by_name = given if isinstance(given, Mapping) else {}
        for_all = None if isinstance(given, Mapping) else given
        if unknown := next((name for name in by_name if name not in self.agents), None):
            near = did_you_mean(unknown, self.agents)
            raise ConfigError(f"model= names {unknown!r}, which is no agent of network {self.name!r}{near}")
        models = {}
        for name, agent in self.agents.items():
            model = (
                replaced
                or by_name.get(name)
                or for_all
                or agent.model
                or self.default_model
                or ctx.part("default_model")
            )
            if model is None:
                raise ConfigError(f"Agent {name!r} has no model; give it model=, or {self.name!r} a default_model=")
            models[name] = resolve(model)
        return models

    async def _take_turns(self, ctx: Context[S], run: NetworkRun[S], router: Router | None, max_iter: int) -> None:
        if not self._is_network:
            run.schedule(*self.agents)
        while run.stop_reason is None:
            if run.call_count >= max_iter:
                run.stop_reason = "max_iter" if self._is_network else "router"
            elif router is None:
                await self._remember(ctx, run, "turn", lambda: self._turn(ctx, run))
            else:
                await self._remember(ctx, run, "route", lambda: self._route(ctx, run, router))
                if run.stop_reason is None:
                    await self._remember(ctx, run, "turn", lambda: self._turn(ctx, run))

    async def _remember(
        self,
        ctx: Context[S],
        run: NetworkRun[S],
        name: Literal["route", "turn"],
        body: Callable[[], Awaitable[dict[str, Any]]],
    ) -> None:
        """Run a body as a step whose memo holds the change to the state, and take over what it came to."""
        before = self.state_type.dump(run.state.data)

        async def change() -> dict[str, Any]:
            came = await body()
            return came | {"patch": diff(before, self.state_type.dump(run.state.data))}

        memo = await ctx.step.scoped(
            f"{name}:{run.call_count + 1}",
            change,
            kind="turn" if name == "turn" else "run",
            input={"state": before} if name == "turn" else None,
        )
        run.state.data = self.state_type.load(apply(before, memo["patch"]), run.state.data)
        run.take(memo)

    async def _route(self, ctx: Context[S], run: NetworkRun[S], router: Router) -> dict[str, Any]:
        """Ask the router; its answer is a memo of its own, so that it is asked once, also when the turn parks."""
        names = agents_of(await call_function(ctx.step.kernel, router, ctx), self.agents, network=self.name)
        run.schedule(*names)
        stop = run.asked_to_stop or (None if run.stack else "router")
        return {"agents": names, "stack": run.stack, "stop": stop}

    async def _turn(self, ctx: Context[S], run: NetworkRun[S]) -> dict[str, Any]:
        agent = self.agents[run.stack[0]]
        result: AgentResult[Any] = await take_turn(
            ctx.bound(agent=agent), agent, run.models[agent.name], run.prompt_for(agent.name), self.state_type
        )
        return {"agent": agent.name, "result": result.export(), "stack": run.stack[1:], "stop": run.asked_to_stop}


def run_to_end(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine of ours from plain code; raise `ContextError` where a loop runs or a run's scope is entered."""
    if current_scope() is None and not _has_loop():
        return asyncio.run(coroutine)
    coroutine.close()
    raise ContextError("run_sync is for plain scripts; here await run(…) instead, in an `async def`")


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
