"""Approvals that are open: which calls of a run wait for a person, and which one somebody means.

Pure: read off the view of a run, by the operator and by whoever shows runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from celeriac.errors import ConflictError
from celeriac.platform.approval import REQUEST_STEP, ApprovalRequest, is_approval
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.reads import RunView, StepView
from celeriac.platform.event import signal_of


@dataclass(frozen=True, kw_only=True)
class OpenApproval:
    """A call that waits for a person, and where it stands in its run."""

    #: the path of the tool call
    path: str
    request: ApprovalRequest


def open_approvals(view: RunView) -> list[OpenApproval]:
    """Return the calls of the run that wait for a person, in the order in which they asked."""
    if view.run.is_final:
        return []
    return requests(view.waits, {step.path: step.output for step in _all(view.steps)}.get)


def requests(waits: Iterable[Wait], value_of: Callable[[str], Any]) -> list[OpenApproval]:
    """Return what the open ones among the waits ask for; `value_of` returns the value of a step by its path."""
    standing = sorted((wait for wait in waits if is_open_approval(wait)), key=lambda wait: wait.wake_at)
    paths = [call_path(wait) for wait in standing]
    return [
        OpenApproval(path=path, request=ApprovalRequest.parse(value_of(f"{path}/{REQUEST_STEP}"))) for path in paths
    ]


def meant(run_id: str, found: Sequence[OpenApproval], call_id: str) -> OpenApproval | None:
    """Return the approval that an id means: the request's, the call's in a stream or at its provider, or a path.

    Raises `ConflictError` where the provider's id is that of several open calls.
    """
    exact = [one for one in found if call_id and call_id in (one.request.id, one.path, one.request.part_id)]
    named = exact or [one for one in found if one.request.call_id == call_id]
    if len(named) > 1:
        ids = ", ".join(one.request.id for one in named)
        raise ConflictError(
            f"Run {run_id!r} has several open calls {call_id!r}; name one of the requests {ids}", code="ambiguous_call"
        )
    return named[0] if named else None


def is_open_approval(wait: Wait) -> bool:
    """Whether a wait is for a person's decision that has not come."""
    return wait.kind == "signal" and wait.resolved_at is None and is_approval(signal_of(wait.event_name or ""))


def call_path(wait: Wait) -> str:
    """Return the path of the tool call that an approval is for."""
    return wait.path.rpartition("/")[0]


def tool_of(wait: Wait) -> str:
    """Return the name of the tool that an approval is for, read off the path `…/tool:<number>:<name>/approval`."""
    return call_path(wait).rpartition("/")[2].split(":", 2)[-1]


def _all(steps: Sequence[StepView]) -> Iterator[StepView]:
    for step in steps:
        yield step
        yield from _all(step.children)
