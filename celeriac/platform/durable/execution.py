"""The execution of one link: runs a function's body on the loop until it ends, waits, or the link is over."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from celeriac.errors import BudgetExceeded, CeleriacError, StepError
from celeriac.platform.codec import encode_within, storable
from celeriac.platform.context import Context, RunLog, enter_context
from celeriac.platform.durable.function import Function
from celeriac.platform.durable.kernel import DurableKernel
from celeriac.platform.durable.order import STEP_ORDER_CHANGED
from celeriac.platform.durable.parking import Cause
from celeriac.platform.event import Event
from celeriac.platform.scope import enter
from celeriac.platform.step import Step

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a link came to; the engine makes it true."""

    cause: Literal["completed", "failed", "put_back"] | Cause
    #: JSON text
    output: str | None = None
    reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def error(self) -> dict[str, str] | None:
        """The error as people see it."""
        return None if self.error_code is None else {"code": self.error_code, "message": self.error_message or ""}


async def execute(
    kernel: DurableKernel, function: Function[..., Any], event: Event, equip: Callable[[Context[Any]], Context[Any]]
) -> Outcome:
    """Run the function's body through the kernel.

    `event` is the run's own as user code sees it; `equip` adds to the context what the app provides. Leaves no task
    of the run behind.
    """
    root = kernel.parking.start(_body(kernel, function, event, equip), contextvars.Context())
    ended = kernel.parking.ended
    await asyncio.wait({root, ended}, return_when=asyncio.FIRST_COMPLETED)
    is_over = ended.done()
    await kernel.parking.unwind()
    await kernel.settled()
    if is_over:
        return Outcome(cause=ended.result(), reason=STEP_ORDER_CHANGED if kernel.parking.is_out_of_order else None)
    error = None if root.cancelled() else root.exception()
    if error is not None and not isinstance(error, Exception):
        return failed(RuntimeError(f"The code of the run raised {type(error).__name__}; a run ends by return or raise"))
    if root.cancelled():
        return failed(RuntimeError("The function was cancelled from inside: a CancelledError left its body"))
    outcome: Outcome = root.result()
    return outcome


async def _body(
    kernel: DurableKernel, function: Function[..., Any], event: Event, equip: Callable[[Context[Any]], Context[Any]]
) -> Outcome:
    step = Step(kernel)
    run = kernel.claim.run
    run_log = RunLog(run, is_silent=lambda: kernel.is_replaying)
    ctx = equip(Context(step=step, event=event, events=kernel.claim.events, run=run, log=run_log))
    with enter(step.root), enter_context(ctx):
        try:
            await kernel.await_retry()
            value = await function.start(ctx, kernel.claim.event.data)
            output = encode_within(value, kernel.max_output_bytes, "The output of the run")
            return Outcome(cause="completed", output=output, reason=_reason(value))
        except Exception as error:  # noqa: BLE001  # user code may raise anything
            if await kernel.plans_retry(error):
                return Outcome(cause="parked")
            return failed(error)


def _reason(value: Any) -> str | None:
    reason = value.get("stop_reason") if isinstance(value, dict) else None
    return reason if isinstance(reason, str) else None


def failed(error: Exception) -> Outcome:
    """Return the outcome of a run that ends with this error."""
    code = error.code if isinstance(error, CeleriacError) else type(error).__name__
    message = str(error)
    if isinstance(error, StepError):
        code = BudgetExceeded.code if error.error_name == BudgetExceeded.__name__ else "step_failed"
    return Outcome(cause="failed", reason="error", error_code=code, error_message=storable(message)[:10_000])
