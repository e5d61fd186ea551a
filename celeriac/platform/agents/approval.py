"""Asking for approval: a tool call that waits for a person before its body runs.

The request and the decision are steps of the call, so that neither a restart nor a retry asks again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from celeriac.errors import NotDurableError
from celeriac.ids import derived_id
from celeriac.platform.agents.tool_error import failure
from celeriac.platform.approval import (
    APPROVAL_STEP,
    LONGEST_APPROVAL,
    REQUEST_STEP,
    ApprovalRequest,
    Decision,
    approval_signal,
)
from celeriac.platform.calling import call_function
from celeriac.platform.context import Context

#: whether a person has to approve a call: always, never, or what a function of context and input says
Approval = bool | Callable[[Context[Any], Any], bool] | Callable[[Context[Any], Any], Awaitable[bool]]


async def ask_approval(ctx: Context[Any], approval: Approval, given: Any) -> dict[str, Any] | None:
    """Wait for a person where the call in `ctx.tool_call` needs one; return the error of a denied call, else None.

    Raises `NotDurableError` in a plain script, which nobody could answer.
    """
    if approval is False:
        return None
    request = await _request(ctx, approval, given)
    if request is None:
        return None
    telling = ctx.part("telling")
    if telling is not None:
        telling.asks_approval(ctx.tool_call, request.id, request.expires_at)
    signal = approval_signal(request.id)
    came = await ctx.step.wait_for_signal(APPROVAL_STEP, signal, timeout=LONGEST_APPROVAL)
    decision = Decision.parse(came)
    if telling is not None:
        telling.decided(request.id, decision.export())
    if decision.approved:
        return None
    return failure("Denied", decision.reason or f"A person denied the call of {request.tool}")


async def _request(ctx: Context[Any], approval: Approval, given: Any) -> ApprovalRequest | None:
    """Return the request of this call; None where it needs none. Remembered, so that a predicate is asked once."""
    call, kernel, telling = ctx.tool_call, ctx.step.kernel, ctx.part("telling")
    id = derived_id("apr", ctx.run.id, ctx.step.path)

    async def make() -> dict[str, Any] | None:
        if callable(approval) and not await call_function(kernel, approval, ctx, given):
            return None
        if not ctx.step.durable:
            raise NotDurableError(
                f"A person has to approve calls of {call.name!r}, and nobody can in a plain script; start it through "
                "an App"
            )
        expires_at = (kernel.now() + LONGEST_APPROVAL).isoformat()
        part = "" if telling is None else telling.part_of(call)
        request = ApprovalRequest(
            id=id,
            call_id=call.id,
            tool=call.name,
            input=call.input,
            expires_at=expires_at,
            part_id=part,
            agent=ctx.agent.name,
        )
        return request.export()

    made: dict[str, Any] | None = await ctx.step.scoped(REQUEST_STEP, make, kind="run")
    return None if made is None else ApprovalRequest.parse(made)
