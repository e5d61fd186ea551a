"""Inference: one model call as a step. Agents' turns and `ctx.step.ai` both come through here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from celeriac.platform.codec import storable
from celeriac.platform.message import Message, ToolCall, Usage
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.model import Model, ModelLike, ModelReply, ModelRequest, ToolSpec
from celeriac.platform.result import AgentResult
from celeriac.platform.step import Step


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
            messages=(Message.assistant(reply.text, tool_calls=reply.tool_calls),),
            usage=reply.usage,
            finish_reason=reply.finish_reason,
            prompt=messages,
            raw=dict(reply.raw),
        )


async def infer(step: Step, id: str, model: Model, request: ModelRequest) -> ModelReply:
    """Ask the model once and remember the reply; tried again as often as the run says, and never paid twice.

    Raises `StepError` in a durable run and `ModelError` in a plain script when the retries are used up.
    """

    async def ask() -> Any:
        reply = await model.infer(replace(request, origin=f"{step.kernel.origin} {step.path}"))
        return storable(_export(reply))

    given = {"model": f"{model.provider}:{model.name}", **request.export()}
    value = await step.scoped(id, ask, kind="model", input=given, retries=None, usage=_usage)
    return _parse(value)


def _usage(value: dict[str, Any]) -> Usage:
    return Usage.parse(value["usage"])


def _export(reply: ModelReply) -> dict[str, Any]:
    return {
        "model": reply.model,
        "text": reply.text,
        "tool_calls": [
            {"id": call.id, "name": call.name, "input": call.input, "broken_input": call.broken_input}
            for call in reply.tool_calls
        ],
        "finish_reason": reply.finish_reason,
        "usage": reply.usage.export(),
        "raw": dict(reply.raw),
    }


def _parse(value: dict[str, Any]) -> ModelReply:
    return ModelReply(
        model=value["model"],
        text=value["text"],
        tool_calls=tuple(ToolCall(**call) for call in value["tool_calls"]),
        finish_reason=value["finish_reason"],
        usage=_usage(value),
        raw=value["raw"],
    )
