"""The app: the registry on which user code declares its functions, networks, agents and events.

Declaring loads nothing heavy, so that importing an app needs no database, Redis or Celery. What talks to the platform
from outside of runs (`send` and its kin) stands in `sending.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack

from pydantic import BaseModel, TypeAdapter, ValidationError

from celeriac.errors import ConfigError, InvalidEventError
from celeriac.ids import slug
from celeriac.platform.agents.agent import Agent
from celeriac.platform.agents.network import Network
from celeriac.platform.agents.network_event import Id, UserInput, run_for_event
from celeriac.platform.context import Context
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.declaration import Declaration, EventSchema
from celeriac.platform.durable.failure import FailureFunction, as_told, failure_function
from celeriac.platform.durable.function import Function
from celeriac.platform.durable.options import (
    FunctionOptions,
    OnFailure,
    Options,
    RunOptions,
    check_names,
    read_options,
)
from celeriac.platform.durable.registry import Registry
from celeriac.platform.event import RESERVED, Event
from celeriac.platform.flow.limits import Concurrency
from celeriac.platform.models.model import Model, ModelLike
from celeriac.platform.sending import Sending
from celeriac.platform.signature import checks_options, problems

if TYPE_CHECKING:
    from celeriac.platform.agents.history import History
    from celeriac.platform.agents.seals import Seals
    from celeriac.platform.agents.threads import Threads
    from celeriac.platform.memory.memory import Memories, Memory

P = ParamSpec("P")
R = TypeVar("R")

_THREAD = "event.data.thread_id"

#: what a network with a history has by default; a run without a thread waits for no other
ONE_RUN_A_THREAD = Concurrency(1, key=f"has({_THREAD}) && {_THREAD} != null ? {_THREAD} : event.id", hold="run")


class App(Sending):
    """A registry of functions; a worker runs one app, which may include others."""

    @checks_options
    def __init__(
        self,
        name: str,
        *,
        memory: Memory | None = None,
        history: History[Any] | None = None,
        default_model: ModelLike | None = None,
        retries: int = 4,
        version: str | None = None,
    ) -> None:
        """Start empty; `version` defaults to the deployment's CELERIAC_APP_VERSION.

        `history` keeps the conversations of the networks that have none of their own.
        """
        if not name or name != slug(name):
            raise ConfigError(f"App name {name!r} must be lower case letters, digits and dashes; try {slug(name)!r}")
        self.name = name
        self.memory = memory
        self.history = history
        self.default_model = default_model
        self.retries = retries
        self._version = version
        #: by `app/id`
        self.functions: dict[str, Function[..., Any]] = {}
        self.events: dict[str, type[BaseModel]] = {}
        self._included: list[App] = []
        if memory is not None:
            self._register_memory(memory)

    def function(
        self, id: str | None = None, **options: Unpack[FunctionOptions]
    ) -> Callable[[Callable[P, R]], Function[P, R]]:
        """Declare a function: `@app.function(on="shop/order.placed")`.

        Its parameters after `ctx` are the fields of the event's data. Without `on` it is started by the event
        `<app>/<function id>`. docs/durable-functions.md tells what each option means.
        """
        if callable(id):
            raise ConfigError(f"Write @app.function() with brackets above {getattr(id, '__name__', id)!r}")
        check_names(options, FunctionOptions, "App.function")
        read = read_options("App.function" if id is None else f"Function {id!r}", options)

        def declare(fn: Callable[P, R]) -> Function[P, R]:
            name = id or getattr(fn, "__name__", "").strip("_").replace("_", "-").lower()
            return self._declare(fn, name, read, options.get("on_failure"))

        return declare

    def network(
        self, network: Network[Any], *, id: str | None = None, **options: Unpack[RunOptions]
    ) -> Function[..., Any]:
        """Expose a network as a function, started by `<app>/network-<name>` with `{"input": …}` by default.

        The event may also have `thread_id`, `state`, `history` and `channel`. With a history one run at a time has a
        thread, unless `concurrency` says something else.
        """
        check_names(options, RunOptions, "App.network")
        network.check_models(self.default_model)
        return self._expose(network, id or f"network-{slug(network.name)}", options)

    def agent(
        self, agent: Agent[Any, Any], *, id: str | None = None, **options: Unpack[RunOptions]
    ) -> Function[..., Any]:
        """Expose an agent as a function, started by `<app>/agent-<name>` with `{"input": …}` by default.

        Its events and its threads are like those of a network.
        """
        check_names(options, RunOptions, "App.agent")
        alone: Network[Any] = Network.of_one(agent)
        return self._expose(alone, id or f"agent-{slug(agent.name)}", options)

    def _expose(self, network: Network[Any], id: str, options: RunOptions) -> Function[..., Any]:
        async def run(
            ctx: Context[Any],
            input: str | UserInput,
            *,
            thread_id: Id | None = None,
            state: dict[str, Any] | None = None,
            history: list[dict[str, Any]] | None = None,
            channel: str | None = None,
        ) -> dict[str, Any]:
            return await run_for_event(
                ctx, network, input=input, thread_id=thread_id, state=state, history=history, channel=channel
            )

        if options.get("concurrency") is None and (network.history or self.history) is not None:
            options = {**options, "concurrency": ONE_RUN_A_THREAD}
        read = replace(read_options(f"Function {id!r}", options), description=network.description)
        return self._declare(run, id, read, options.get("on_failure"))

    def event(self, name: str, model: type[BaseModel]) -> None:
        """Bind a model to an event name: data that does not fit is refused, and `ctx.event.data` has its type."""
        if name.startswith(RESERVED):
            raise ConfigError(f"Event {name!r}: names below {RESERVED!r} are the platform's own")
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise ConfigError(f"Event {name!r} takes a Pydantic model class as its schema, and {model!r} is none")
        if name in self.events and self.events[name] is not model:
            raise ConfigError(f"Event {name!r} is bound to {self.events[name].__name__} already")
        self.events[name] = model

    def include(self, other: App) -> None:
        """Run the functions of another app on this app's workers; their ids keep the other app's name."""
        for function in other.functions.values():
            self._register(function)
        for name, model in other.events.items():
            self.event(name, model)
        self._included.append(other)

    def _declare(self, fn: Callable[P, R], id: str, options: Options, on_failure: OnFailure | None) -> Function[P, R]:
        function = self._register(Function(fn, app=self.name, id=id, options=options))
        if on_failure is not None:
            self._register(failure_function(function, on_failure))
        return function

    def _register(self, function: Function[P, R]) -> Function[P, R]:
        if function.name in self.functions:
            raise ConfigError(f"There are two functions {function.name!r}; give one another id")
        self.functions[function.name] = function
        return function

    def _register_memory(self, memory: Memory) -> None:
        from celeriac.platform.memory.functions import MEMORY_FUNCTIONS, QUEUE

        for id, body in MEMORY_FUNCTIONS.items():
            options = Options(queue=QUEUE, is_internal=True)
            self._register(Function(body, app=self.name, id=id, options=options))

    @property
    def version(self) -> str:
        """What is recorded with the functions; settings are read no sooner than somebody asks."""
        if self._version:
            return self._version
        from celeriac.settings import load_settings

        return load_settings().app_version or ""

    # -- for the workers ----------------------------------------------------------------------------------------

    def declarations(self, *, home: str | None = None) -> list[Declaration]:
        """Return what the store keeps of the functions; `home` is the deployment's default tenant.

        Raises `ConfigError` where a cron belongs to that tenant and there is none.
        """
        owners = {app.name: app for app in (self, *self._included)}
        return [
            function.declaration(version=self.version, retries=owners[function.app].retries, home=home)
            for function in self.functions.values()
        ]

    def schemas(self) -> list[EventSchema]:
        """Return the JSON schemas of the events."""
        return [
            EventSchema(app=self.name, name=name, schema=TypeAdapter(model).json_schema())
            for name, model in self.events.items()
        ]

    def registry(
        self,
        conduct: Conduct,
        *,
        memories: Memories | None = None,
        threads: Threads | None = None,
        seals: Seals | None = None,
        model: Model | None = None,
    ) -> Registry:
        """Return what an engine needs of the app: its functions, and how each is run.

        `memories` keeps what `ctx.memory` remembers, `threads` the conversations of `SqlHistory`; `seals` marks the
        results that a client may hand back; `model` replaces every model, for tests.
        """
        owners = {app.name: app for app in (self, *self._included)}

        def conduct_of(function: Function[..., Any]) -> Conduct:
            options = function.options
            retries = owners[function.app].retries if options.retries is None else options.retries
            return replace(conduct, retries=retries, links=options.links or conduct.links)

        def equip(function: Function[..., Any], ctx: Context[Any]) -> Context[Any]:
            owner = owners[function.app]
            if isinstance(function, FailureFunction):
                ctx = as_told(ctx, self.read_event)
            elif function.options.rules.batch:
                ctx = ctx.of_events([self.read_event(event) for event in ctx.events])
            parts: dict[str, Any] = {
                "model": model,
                "default_model": owner.default_model,
                "history": owner.history,
                "threads": threads,
                "seals": seals,
            }
            if owner.memory is not None and memories is not None:
                parts["memory"] = owner.memory.bind(ctx, memories, ctx.step.kernel.executor)
            return ctx.bound(**parts)

        return Registry(self.functions, conduct_of, equip, self.read_event)

    @property
    def has_memory(self) -> bool:
        """Whether any of the functions may remember things of users."""
        return any(app.memory is not None for app in (self, *self._included))

    def read_event(self, event: Event) -> Event:
        """Return an event with its data as the model that is bound to its name.

        Raises `InvalidEventError` when the data does not fit it, without repeating the values.
        """
        model = self.events.get(event.name)
        if model is None:
            return event
        try:
            data = model.model_validate(event.data)
        except ValidationError as error:
            raise InvalidEventError(f"The data of event {event.name!r} does not fit: {problems(error)}") from error
        return Event(event.name, data, id=event.id, ts=event.ts)
