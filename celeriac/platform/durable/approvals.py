"""Approvals of a run: which of its calls a person was asked about, which one somebody means, and why it is too late.

Pure: read off the view of a run, by the operator and by whoever shows runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from celeriac.errors import ConflictError, NotFoundError
from celeriac.platform.approval import REQUEST_STEP, ApprovalRequest, is_approval
from celeriac.platform.durable.asked import AskedCall
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.reads import RunView, StepView
from celeriac.platform.event import signal_of
from celeriac.platform.run import Run


def open_approvals(view: RunView) -> list[AskedCall]:
    """Return the calls of the run that wait for a person, in the order in which they asked."""
    return [] if view.run.is_final else [call for call in asked_calls(view) if call.is_open]


def asked_calls(view: RunView) -> list[AskedCall]:
    """Return the calls of the run that a person was asked about, also those that are decided or too late."""
    return requests(view.waits, {step.path: step.output for step in _all(view.steps)}.get)


def requests(waits: Iterable[Wait], value_of: Callable[[str], Any]) -> list[AskedCall]:
    """Return what those of the waits ask for that are for a person; `value_of` returns the value of a step."""
    standing = sorted((wait for wait in waits if is_for_approval(wait)), key=lambda wait: wait.wake_at)
    return [
        AskedCall(
            path=call_path(wait),
            request=ApprovalRequest.parse(value_of(f"{call_path(wait)}/{REQUEST_STEP}")),
            wait=wait,
        )
        for wait in standing
    ]


def meant(run_id: str, found: Sequence[AskedCall], call_id: str) -> AskedCall | None:
    """Return the call that an id means: the request's, the call's in a stream or at its provider, or a path.

    Raises `ConflictError` where the provider's id is that of several open calls.
    """
    named = _named(found, call_id)
    if len(named) > 1:
        ids = ", ".join(one.request.id for one in named)
        raise ConflictError(
            f"Run {run_id!r} has several open calls {call_id!r}; name one of the requests {ids}", code="ambiguous_call"
        )
    return named[0] if named else None


def refusal(run: Run, found: Sequence[AskedCall], call_id: str) -> NotFoundError | ConflictError:
    """Return why nobody can decide (any more) on the call that an id means, out of all that the run asked about."""
    named = _named(found, call_id)
    if not named:
        return NotFoundError(f"Run {run.id!r} has asked nobody about a call {call_id!r}; its steps show what it asked")
    call = named[-1]
    what = f"The call of {call.request.tool!r} ({call.request.id})"
    if (decision := call.decision) is not None:
        by = "" if decision.by is None else f" by {decision.by}"
        done = "approved" if decision.approved else "denied"
        return ConflictError(f"{what} is decided already: it was {done}{by}", code="approval_decided")
    over = call.wait.resolved_at
    if run.is_final and over is not None and over < call.expires_at:
        return ConflictError(f"{what} waits no more: its run has ended, it is {run.status}", code="run_already_ended")
    return ConflictError(
        f"{what} was to be decided until {call.expires_at:%Y-%m-%d %H:%M} UTC", code="approval_expired"
    )


def is_for_approval(wait: Wait) -> bool:
    """Whether a wait is, or was, for a person's decision."""
    return wait.kind == "signal" and is_approval(signal_of(wait.event_name or ""))


def is_open_approval(wait: Wait) -> bool:
    """Whether a wait is for a person's decision that has not come."""
    return wait.resolved_at is None and is_for_approval(wait)


def call_path(wait: Wait) -> str:
    """Return the path of the tool call that an approval is for."""
    return wait.path.rpartition("/")[0]


def tool_of(wait: Wait) -> str:
    """Return the name of the tool that an approval is for, read off the path `…/tool:<number>:<name>/approval`."""
    return call_path(wait).rpartition("/")[2].split(":", 2)[-1]


def _named(found: Sequence[AskedCall], call_id: str) -> list[AskedCall]:
    exact = [one for one in found if call_id and call_id in (one.request.id, one.path, one.request.part_id)]
    return exact or [one for one in found if call_id and one.request.call_id == call_id]


def _all(steps: Sequence[StepView]) -> Iterator[StepView]:
    for step in steps:
        yield step
        yield from _all(step.children)
