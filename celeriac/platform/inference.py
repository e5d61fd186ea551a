"""Inference: one model call as a step. Agents' turns and `ctx.step.ai` both come through here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol, TypeVar, TypeVarTuple, overload

from celeriac.errors import ConfigError, ModelError, StepError
from celeriac.ids import derived_id, new_id
from celeriac.platform.codec import storable
from celeriac.platform.context import current_context
from celeriac.platform.kernel import Body
from celeriac.platform.message import Message, ToolCall, Usage, Verbatim
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.delta import Delta, Restarted
from celeriac.platform.models.fallback import Fallback
from celeriac.platform.models.model import Model, ModelLike, ModelReply, ModelRequest, ToolSpec
from celeriac.platform.output import OutputMisfit, OutputShape
from celeriac.platform.result import AgentResult
from celeriac.platform.step import Step

#: how much of a model's name is counted under; the provider says it, so that it may be anything
LONGEST_MODEL = 200

#: hears a piece of a reply with the id of the message that it belongs to
Listener = Callable[[str, Delta], None]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Described(Protocol):
    """What a model can be told of: a tool."""

    @property
    def spec(self) -> ToolSpec:
        """The tool as it is offered."""
        ...


class Ai:
    """`ctx.step.ai`: model calls without an agent."""

    def __init__(self, step: Step) -> None:
        """Call in the scope in which `step` is."""
        self._step = step

    @overload
    def infer(
        self,
        id: str,
        model: ModelLike,
        prompt: str | Message | Sequence[Message],
        *,
        system: str = "",
        tools: Sequence[ToolSpec | Described] = (),
        output: None = None,
    ) -> Coroutine[Any, Any, AgentResult[str]]: ...
    @overload
    def infer(
        self,
        id: str,
        model: ModelLike,
        prompt: str | Message | Sequence[Message],
        *,
        system: str = "",
        tools: Sequence[ToolSpec | Described] = (),
        output: type[T],
    ) -> Coroutine[Any, Any, AgentResult[T]]: ...
    @overload
    def infer(
        self,
        id: str,
        model: ModelLike,
        prompt: str | Message | Sequence[Message],
        *,
        system: str = "",
        tools: Sequence[ToolSpec | Described] = (),
        output: Any,
    ) -> Coroutine[Any, Any, AgentResult[Any]]: ...
    def infer(
        self,
        id: str,
        model: ModelLike,
        prompt: str | Message | Sequence[Message],
        *,
        system: str = "",
        tools: Sequence[ToolSpec | Described] = (),
        output: Any = None,
    ) -> Coroutine[Any, Any, AgentResult[Any]]:
        """Ask a model once and remember the reply; tool calls are returned and not executed.

        With `output=` the reply is read as that type. One that does not fit goes back to the model once, as a step
        `<id>:again`; then `ModelError` of kind `output` is raised. A reply that calls tools has no output yet: None.
        `.raw` is the provider's own body.
        """
        context = current_context()
        replaced = None if context is None else context.part("model")  # a harness's, which stands for every model
        asked = resolve(model) if replaced is None else replaced
        shape = None if output is None else OutputShape(output, what=f"Step {id!r}")
        request = ModelRequest(
            system=system,
            messages=_said(prompt),
            tools=tuple(tool if isinstance(tool, ToolSpec) else tool.spec for tool in tools),
            output=None if shape is None else shape.spec,
        )
        # Taken now, so that calls that are gathered are told apart by their order.
        return self._answered(self._step.scope_here.take(id), asked, request, shape)

    async def _answered(
        self, path: str, model: Model, request: ModelRequest, shape: OutputShape | None
    ) -> AgentResult[Any]:
        id = path.rpartition("/")[2]
        reply = await self._asked_once(id, model, request, path=path)
        if shape is None or reply.tool_calls:
            return _result(model, request, reply, output=None if shape else reply.text)
        try:
            return _result(model, request, reply, output=shape.read(reply.text))
        except OutputMisfit as misfit:
            told = Message("user", misfit.told)
            again = replace(request, messages=(*request.messages, reply.message(), told))
        mended = await self._asked_once(f"{id}:again", model, again)
        try:
            value = shape.read(mended.text)
        except OutputMisfit as misfit:
            raise ModelError(f"Step {id!r}: {misfit}", kind="output") from misfit
        mended = replace(mended, usage=reply.usage + mended.usage)
        return _result(model, again, mended, output=value)

    async def _asked_once(self, id: str, model: Model, request: ModelRequest, *, path: str | None = None) -> ModelReply:
        """Ask, and count it as used by the tool call that we are in."""
        context = current_context()
        used = None if context is None else context.part("used")
        try:
            reply = await infer(self._step, id, model, request, path=path)
        except StepError as error:
            if used is not None and error.usage is not None:
                used.add(Usage.parse(error.usage))  # an answer that could not be kept was paid for
            raise
        if used is not None:
            used.add(reply.usage)
        return reply

    @overload
    def wrap(self, id: str, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> Awaitable[T]: ...
    @overload
    def wrap(self, id: str, fn: Callable[[*Ts], T], *args: *Ts) -> Awaitable[T]: ...
    def wrap(self, id: str, fn: Callable[[*Ts], Any], *args: *Ts) -> Awaitable[Any]:
        """Run `fn(*args)` as `step.run` does, shown and counted as a model call; for clients of your own."""
        return self._step.called(id, fn, args, kind="model", usage=lambda _: Usage(model_calls=1))


async def infer(
    step: Step,
    id: str,
    model: Model,
    request: ModelRequest,
    *,
    listener: Listener | None = None,
    on_retry: Callable[[int, Exception], None] | None = None,
    path: str | None = None,
) -> ModelReply:
    """Ask the model once and remember the reply; tried again as often as the run says, and never paid twice.

    The pieces of the reply are told to `listener` as they come, with the id of the message that they will be; an
    attempt that fails leaves pieces behind that no message has. `on_retry` is told of each that another one follows.

    Raises `StepError` in a durable run and `ModelError` in a plain script when the retries are used up.
    """
    context = current_context()

    def asking(request: ModelRequest) -> Body:
        async def ask() -> Any:
            kernel, path = step.kernel, step.path
            seams: dict[str, Any] = {"context": context, "choose_key": kernel.key_choice, "pace": kernel.pace(path)}
            given = replace(request, origin=f"{kernel.origin} {path}", **seams)
            reply = await _asked(Fallback.of(model), given, listener)
            return storable(_export(reply))

        return ask

    value = await step.scoped(
        id,
        asking(request),
        kind="model",
        input={"model": f"{model.provider}:{model.name}", **request.export()},
        edit=lambda given: asking(_edited(request, given)),
        retries=None,
        usage=_usage,
        on_retry=on_retry,
        model=lambda value: _name(model, value),
        path=path,
    )
    return _parse(value)


def _said(prompt: str | Message | Sequence[Message]) -> tuple[Message, ...]:
    single = Message.user(prompt) if isinstance(prompt, str) else prompt
    return (single,) if isinstance(single, Message) else tuple(single)


def _result(model: Model, request: ModelRequest, reply: ModelReply, *, output: Any) -> AgentResult[Any]:
    return AgentResult(
        id=derived_id("res", reply.id) if reply.id else new_id("res"),  # the same on a replay
        agent="",
        output=output,
        model=reply.by or f"{model.provider}:{model.name}",
        messages=(reply.message(),),
        usage=reply.usage,
        finish_reason=reply.finish_reason,
        prompt=request.messages,
        raw=dict(reply.raw),
    )


async def _asked(chain: Fallback, request: ModelRequest, listener: Listener | None) -> ModelReply:
    id = new_id("msg")
    if listener is None:
        return replace(await chain.infer(request), id=id)
    async with aclosing(chain.stream(request)) as items:
        async for item in items:
            if isinstance(item, ModelReply):
                return replace(item, id=id)
            if isinstance(item, Restarted):
                id = new_id("msg")  # what was said is another message's, which never comes to be
            else:
                listener(id, item)
    raise AssertionError("a chain replies or raises")


def _edited(request: ModelRequest, given: Any) -> ModelRequest:
    """Return the request with another system prompt and other messages; tools and model stay the code's own."""
    if not isinstance(given, dict):
        raise ConfigError("The edited input of a model call must be an object with 'system' and 'messages'")
    try:
        messages = [Message.parse(one) for one in given["messages"]] if "messages" in given else request.messages
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"The edited messages of a model call cannot be read: {error!r}") from error
    return replace(request, system=str(given.get("system", request.system)), messages=tuple(messages))


def _usage(value: dict[str, Any]) -> Usage:
    return Usage.parse(value["usage"])


def _name(model: Model, value: dict[str, Any]) -> str:
    """Return what the call is counted under: the model that answered, at the provider that was asked.

    The provider names the model; where its reply names none, it is the one that was asked.
    """
    provider, _, asked = (value["by"] or f"{model.provider}:{model.name}").partition(":")
    return f"{provider}:{value['model'] or asked}"[:LONGEST_MODEL]


def _export(reply: ModelReply) -> dict[str, Any]:
    return {
        "id": reply.id,
        "model": reply.model,
        "text": reply.text,
        "tool_calls": [
            {"id": call.id, "name": call.name, "input": call.input, "broken_input": call.broken_input}
            for call in reply.tool_calls
        ],
        "finish_reason": reply.finish_reason,
        "usage": reply.usage.export(),
        "raw": dict(reply.raw),
        "by": reply.by,
        "reasoning": reply.reasoning,
        "verbatim": reply.verbatim.export() if reply.verbatim else None,
    }


def _parse(value: dict[str, Any]) -> ModelReply:
    return ModelReply(
        model=value["model"],
        text=value["text"],
        tool_calls=tuple(ToolCall(**call) for call in value["tool_calls"]),
        finish_reason=value["finish_reason"],
        usage=_usage(value),
        raw=value["raw"],
        # memos of older versions have none of these
        id=value.get("id", ""),
        by=value.get("by", ""),
        reasoning=value.get("reasoning", ""),
        verbatim=Verbatim.parse(value["verbatim"]) if value.get("verbatim") else None,
    )
