"""The app: the registry on which user code declares its functions, networks, agents and events.

Declaring loads nothing heavy. `send` and its kin talk to the platform: they reach the wiring by `importlib` at their
first call, so that importing an app needs no database, Redis or Celery.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from celeriac.errors import ConfigError, InvalidEventError
from celeriac.ids import slug
from celeriac.platform.agents.agent import Agent
from celeriac.platform.agents.network import Network
from celeriac.platform.context import Context, current_context
from celeriac.platform.durable.cancelling import cancel
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.declaration import Declaration, EventSchema
from celeriac.platform.durable.engine import Registry
from celeriac.platform.durable.function import Function, Links, Options, trigger_names
from celeriac.platform.event import RESERVED, Event
from celeriac.platform.models.model import Model, ModelLike
from celeriac.platform.run import Run
from celeriac.platform.signature import checks_options, problems
from celeriac.platform.step import as_events

if TYPE_CHECKING:
    from celeriac.platform.memory.memory import Memories, Memory

P = ParamSpec("P")
R = TypeVar("R")


class App:
    """A registry of functions; a worker runs one app, which may include others."""

    @checks_options
    def __init__(
        self,
        name: str,
        *,
        memory: Memory | None = None,
        default_model: ModelLike | None = None,
        retries: int = 4,
        version: str | None = None,
    ) -> None:
        """Start empty; `version` defaults to the deployment's CELERIAC_APP_VERSION."""
        if not name or name != slug(name):
            raise ConfigError(f"App name {name!r} must be lower case letters, digits and dashes; try {slug(name)!r}")
        self.name = name
        self.memory = memory
        self.default_model = default_model
        self.retries = retries
        self._version = version
        #: by `app/id`
        self.functions: dict[str, Function[..., Any]] = {}
        self.events: dict[str, type[BaseModel]] = {}
        self._included: list[App] = []
        if memory is not None:
            self._register_memory(memory)

    @checks_options
    def function(
        self,
        id: str | None = None,
        *,
        on: str | Sequence[str] = (),
        description: str | None = None,
        retries: int | None = None,
        links: Links | None = None,
        queue: str | None = None,
    ) -> Callable[[Callable[P, R]], Function[P, R]]:
        """Declare a function: `@app.function(on="shop/order.placed")`.

        Its parameters after `ctx` are the fields of the event's data. Without `on` it is started by the event
        `<app>/<function id>`. `links="budget"` lets a link go on over network turns until its time is used.
        """
        if callable(id):
            raise ConfigError(f"Write @app.function() with brackets above {getattr(id, '__name__', id)!r}")
        options = Options(on=trigger_names(on), description=description, retries=retries, links=links, queue=queue)

        def declare(fn: Callable[P, R]) -> Function[P, R]:
            return self._register(Function(fn, app=self.name, id=id, options=options))

        return declare

    @checks_options
    def network(
        self,
        network: Network[Any],
        *,
        id: str | None = None,
        on: str | Sequence[str] = (),
        retries: int | None = None,
        links: Links | None = None,
        queue: str | None = None,
    ) -> Function[..., Any]:
        """Expose a network as a function, started by `<app>/network-<name>` with `{"input": …}` by default."""

        async def run(ctx: Context[Any], input: str) -> dict[str, Any]:
            return (await network.run(input)).export()

        options = Options(
            on=trigger_names(on), description=network.description, retries=retries, links=links, queue=queue
        )
        return self._register(Function(run, app=self.name, id=id or f"network-{slug(network.name)}", options=options))

    @checks_options
    def agent(
        self,
        agent: Agent[Any, Any],
        *,
        id: str | None = None,
        on: str | Sequence[str] = (),
        retries: int | None = None,
        queue: str | None = None,
    ) -> Function[..., Any]:
        """Expose an agent as a function, started by `<app>/agent-<name>` with `{"input": …}` by default."""

        async def run(ctx: Context[Any], input: str) -> dict[str, Any]:
            result = await agent.run(input)
            return {"output": result.output, "text": result.text, "results": [result.export()]}

        options = Options(on=trigger_names(on), description=agent.description, retries=retries, queue=queue)
        return self._register(Function(run, app=self.name, id=id or f"agent-{slug(agent.name)}", options=options))

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

    def declarations(self) -> list[Declaration]:
        """Return what the store keeps of the functions."""
        owners = {app.name: app for app in (self, *self._included)}
        return [
            function.declaration(version=self.version, retries=owners[function.app].retries)
            for function in self.functions.values()
        ]

    def schemas(self) -> list[EventSchema]:
        """Return the JSON schemas of the events."""
        return [
            EventSchema(app=self.name, name=name, schema=TypeAdapter(model).json_schema())
            for name, model in self.events.items()
        ]

    def registry(self, conduct: Conduct, *, memories: Memories | None = None, model: Model | None = None) -> Registry:
        """Return what an engine needs of the app: its functions, and how each is run.

        `memories` keeps what `ctx.memory` remembers; `model` replaces every model, for tests.
        """
        owners = {app.name: app for app in (self, *self._included)}

        def conduct_of(function: Function[..., Any]) -> Conduct:
            options = function.options
            retries = owners[function.app].retries if options.retries is None else options.retries
            return replace(conduct, retries=retries, links=options.links or conduct.links)

        def equip(function: Function[..., Any], ctx: Context[Any]) -> Context[Any]:
            owner = owners[function.app]
            parts: dict[str, Any] = {"model": model, "default_model": owner.default_model}
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

    # -- for senders --------------------------------------------------------------------------------------------

    def send(self, event: str | Event | Sequence[Event], data: Any = None, *, tenant: str | None = None) -> list[str]:
        """Send events from outside of a run, all or none; return their ids.

        `tenant` is the run's inside one, else the deployment's default. Inside a function use
        `ctx.step.send_event`, which sends once however often the code is replayed.
        """
        rooms = _rooms()
        accepted = rooms.intake.accept(self._tenant(tenant), as_events(event, data))
        return [one.id for one in accepted]

    async def send_async(
        self, event: str | Event | Sequence[Event], data: Any = None, *, tenant: str | None = None
    ) -> list[str]:
        """Send events from another event loop; as `send`."""
        import asyncio

        sender = self._tenant(tenant)
        return await asyncio.to_thread(self.send, event, data, tenant=sender)

    def get_run(self, run_id: str, *, tenant: str | None = None) -> Run:
        """Return a run as it stands; raise `NotFoundError`."""
        run: Run = _rooms().reads.run(self._tenant(tenant), run_id)
        return run

    def runs(self, *, event_id: str, tenant: str | None = None) -> list[Run]:
        """Return the runs that an event started."""
        runs: list[Run] = _rooms().reads.event_runs(self._tenant(tenant), event_id)
        return runs

    def cancel(self, run_id: str, *, tenant: str | None = None) -> bool:
        """Ask a run to end; return whether it had not ended before."""
        rooms = _rooms()
        run = cancel(rooms.store, rooms.gate, self._tenant(tenant), run_id)
        return run.status == "cancelled" or not run.is_final

    def _tenant(self, given: str | None) -> str:
        ctx = current_context()
        if given is None and ctx is not None and ctx.step.durable:
            return ctx.run.tenant_id
        tenant: str = importlib.import_module("celeriac.wiring").tenant_of_sender(given)
        return tenant


def _rooms() -> Any:
    return importlib.import_module("celeriac.wiring").installation()
