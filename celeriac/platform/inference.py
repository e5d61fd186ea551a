"""Inference: one model call as a step. Agents' turns and `ctx.step.ai` both come through here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from celeriac.platform.message import ToolCall, Usage
from celeriac.platform.models.model import Model, ModelReply, ModelRequest
from celeriac.platform.step import Step


async def infer(step: Step, id: str, model: Model, request: ModelRequest) -> ModelReply:
    """Ask the model once and remember the reply; tried again as often as the run says, and never paid twice.

    Raises `StepError` in a durable run and `ModelError` in a plain script when the retries are used up.
    """

    async def ask() -> dict[str, Any]:
        reply = await model.infer(replace(request, origin=f"{step.kernel.origin} {step.path}"))
        return _export(reply)

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
