"""Inference: one model call as a step. Agents' turns and `ctx.step.ai` both come through here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar, TypeVarTuple, overload

from celeriac.errors import ConfigError, ModelError
from celeriac.ids import new_id
from celeriac.platform.codec import storable
from celeriac.platform.context import current_context
from celeriac.platform.flow.meter import Toll
from celeriac.platform.kernel import Body
from celeriac.platform.message import Message, ToolCall, Usage, Verbatim
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.delta import Delta
from celeriac.platform.models.estimate import estimate
from celeriac.platform.models.model import Model, ModelLike, ModelReply, ModelRequest, ToolSpec
from celeriac.platform.result import AgentResult
from celeriac.platform.step import Step

#: how much of a model's name is counted under; the provider says it, so that it may be anything
LONGEST_MODEL = 200

#: hears a piece of a reply with the id of the message that it belongs to
Listener = Callable[[str, Delta], None]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Ai:
    """`ctx.step.ai`: model calls without an agent."""

    def __init__(self, step: Step) -> None:
        """Call in the scope in which `step` is."""
        self._step = step

    async def infer(
        self,
        id: str,
        model: ModelLike,
        prompt: str | Message | Sequence[Message],
        *,
        system: str = "",
        tools: Sequence[ToolSpec] = (),
    ) -> AgentResult[str]:
        """Ask a model once and remember the reply; tool calls are returned and not executed.

        `.raw` is the provider's own body.
        """
        single = Message.user(prompt) if isinstance(prompt, str) else prompt
        messages = (single,) if isinstance(single, Message) else tuple(single)
        request = ModelRequest(system=system, messages=messages, tools=tuple(tools))
        reply = await infer(self._step, id, resolve(model), request)
        return AgentResult(
            agent="",
            output=reply.text,
            model=reply.model,
            messages=(reply.message(),),
            usage=reply.usage,
            finish_reason=reply.finish_reason,
            prompt=messages,
            raw=dict(reply.raw),
        )

    @overload
    def wrap(self, id: str, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> Awaitable[T]: ...
    @overload
    def wrap(self, id: str, fn: Callable[[*Ts], T], *args: *Ts) -> Awaitable[T]: ...
    def wrap(self, id: str, fn: Callable[[*Ts], Any], *args: *Ts) -> Awaitable[Any]:
        """Run `fn(*args)` as `step.run` does, shown and counted as a model call; for clients of your own."""
        return self._step.called(id, fn, args, kind="model", usage=lambda _: Usage(model_calls=1))


async def infer(
    step: Step, id: str, model: Model, request: ModelRequest, *, listener: Listener | None = None
) -> ModelReply:
    """Ask the model once and remember the reply; tried again as often as the run says, and never paid twice.

    The pieces of the reply are told to `listener` as they come, with the id of the message that they will be; an
    attempt that fails leaves pieces behind that no message has.

    Raises `StepError` in a durable run and `ModelError` in a plain script when the retries are used up.
    """
    context = current_context()

    def asking(request: ModelRequest) -> Body:
        async def ask() -> Any:
            origin = f"{step.kernel.origin} {step.path}"
            given = replace(request, origin=origin, context=context, choose_key=step.kernel.key_choice)
            reply = await _asked(model, given, listener)
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
        toll=Toll(provider=model.provider, tokens=estimate(model, request)) if step.kernel.durable else None,
        model=lambda value: _name(model, value),
    )
    return _parse(value)


async def _asked(model: Model, request: ModelRequest, listener: Listener | None) -> ModelReply:
    id = new_id("msg")
    if listener is None:
        return replace(await model.infer(request), id=id)
    async with aclosing(model.stream(request)) as items:
        async for item in items:
            if isinstance(item, ModelReply):
                return replace(item, id=id)
            listener(id, item)
    raise ModelError(f"{model.provider}:{model.name} ended its stream without a reply", kind="connection")


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
    """Return what the call is counted under: the model that answered, or the one asked where the reply names none."""
    return f"{model.provider}:{value['model'] or model.name}"[:LONGEST_MODEL]


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
