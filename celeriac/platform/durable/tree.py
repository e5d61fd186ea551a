"""The step tree and its words: how what a run remembers is shown to people.

Pure: the stores hand in what they hold and get views back, so that all of them show a run alike. The engine never
looks in here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from celeriac.platform.durable.approvals import call_path, is_open_approval, tool_of
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.pacing import step_of
from celeriac.platform.durable.reads import Attempt, StepView
from celeriac.platform.event import ended_run, signal_of
from celeriac.platform.run import Status

#: waits of the run itself, at which no step stands
_NOT_OF_STEPS = ("start", "cancel", "order")

#: how many waits are put into words
_MOST_WORDED = 3


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """A committed step as a store holds it; values are JSON text."""

    path: str
    kind: str
    seq: int
    value: str | None = None
    error: str | None = None
    input: str | None = None
    #: the attempt that ended it
    attempt: int = 1
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """An attempt after which another one was planned; the error is JSON text."""

    path: str
    number: int
    error: str
    started_at: datetime
    ended_at: datetime


def step_tree(steps: Iterable[StepRecord], attempts: Iterable[AttemptRecord], waits: Iterable[Wait]) -> list[StepView]:
    """Return the steps at the top of the run, with theirs below them, in the order in which they began.

    Everything that has a step, an attempt or a wait is shown; a parent that has none of its own yet is a `scope` that
    is open. Paths are ids joined by `/`, which no id contains.
    """
    views: dict[str, StepView] = {}
    began: dict[str, tuple[float, int]] = {}
    for attempt in sorted(attempts, key=lambda one: one.number):
        view = views.setdefault(attempt.path, StepView(path=attempt.path, kind="run", status="retrying"))
        view.attempts.append(_attempt_of(attempt))
        _note_beginning(began, attempt.path, attempt.started_at, 0)
    for wait in waits:
        if wait.kind in _NOT_OF_STEPS:
            continue
        if wait.kind == "limit":
            path, status = step_of(wait.path), "waiting" if wait.resolved_at is None else "open"
            views.setdefault(path, StepView(path=path, kind="model", status=status))
            _note_beginning(began, path, wait.since or wait.wake_at, 0)
            continue
        view = views.setdefault(wait.path, StepView(path=wait.path, kind=wait.kind, status="waiting"))
        if wait.kind != "retry":
            view.kind = wait.kind
            view.status = "waiting" if wait.resolved_at is None else "open"
        if wait.kind == "invoke":
            view.input = {"run_id": ended_run(wait.event_name or "")}
        _note_beginning(began, wait.path, wait.since or wait.wake_at, 0)
    for step in steps:
        view = views.setdefault(step.path, StepView(path=step.path, kind=step.kind, status="open"))
        _complete(view, step)
        _note_beginning(began, step.path, step.started_at, step.seq)
    return _joined(views, began)


def waiting_words(status: Status, waits: Sequence[Wait], *, attempts_allowed: int | None = None) -> str | None:
    """Say in words what the run waits for; None where it executes or has ended."""
    if status == "queued":
        return "queued: waits for a worker"
    if status != "parked":
        return None
    standing = sorted((wait for wait in waits if wait.resolved_at is None), key=lambda wait: wait.wake_at)
    words = [_words(wait, attempts_allowed) for wait in standing[:_MOST_WORDED]]
    if len(standing) > _MOST_WORDED:
        words.append(f"and {len(standing) - _MOST_WORDED} more")
    return "; ".join(words) or "parked: waits to be woken"


def _attempt_of(record: AttemptRecord) -> Attempt:
    return Attempt(
        number=record.number,
        started_at=record.started_at,
        ended_at=record.ended_at,
        error=_error(record.error),
    )


def _complete(view: StepView, step: StepRecord) -> None:
    view.kind = step.kind
    view.status = "completed" if step.error is None else "failed"
    view.input, view.output, view.error = _decoded(step.input), _decoded(step.value), _error(step.error)
    # The step tells the last attempt, so a row that was written for the same number says nothing more.
    view.attempts = [one for one in view.attempts if one.number < step.attempt]
    view.attempts.append(
        Attempt(number=step.attempt, started_at=step.started_at, ended_at=step.ended_at, error=view.error)
    )


def _note_beginning(began: dict[str, tuple[float, int]], path: str, at: datetime | None, seq: int) -> None:
    """Keep the earliest beginning of the path and of all above it; steps of one moment go by their commits."""
    mark = (at.timestamp() if at is not None else 0.0, seq)
    segments = path.split("/")
    for length in range(1, len(segments) + 1):
        prefix = "/".join(segments[:length])
        began[prefix] = min(began.get(prefix, mark), mark)


def _joined(views: dict[str, StepView], began: dict[str, tuple[float, int]]) -> list[StepView]:
    top: list[StepView] = []
    for path in sorted(began, key=lambda path: (began[path], path.count("/"), path)):
        view = views.setdefault(path, StepView(path=path, kind="scope", status="open"))
        parent = path.rpartition("/")[0]
        if not parent:
            top.append(view)
        else:
            views.setdefault(parent, StepView(path=parent, kind="scope", status="open")).children.append(view)
    return top


def _words(wait: Wait, attempts_allowed: int | None) -> str:
    until = _clock(wait.wake_at)
    match wait.kind:
        case "sleep":
            return f"sleeps until {until}"
        case "retry":
            of = "" if attempts_allowed is None else f" of {attempts_allowed}"
            return f"retries step {wait.path!r} at {until} (attempt {wait.number + 1}{of})"
        case "limit":
            provider, _, what = (wait.match_path or "").rpartition(":")
            return f"waits for the tenant's limit of {what} a minute to {provider!r} until {until}"
        case "event":
            with_match = "" if wait.match_path is None else f" with {wait.match_path} = {_shown(wait.match_value)}"
            return f"waits for event {wait.event_name!r}{with_match} until {until}"
        case "signal" if is_open_approval(wait):
            return f"waits for a person to approve {tool_of(wait)!r} at step {call_path(wait)!r} until {until}"
        case "signal":
            return f"waits for signal {signal_of(wait.event_name or '')!r} until {until}"
        case "invoke":
            return f"waits for run {ended_run(wait.event_name or '')!r} that step {wait.path!r} invoked until {until}"
        case "placed":
            return f"waits for step {wait.path!r} on another queue"
        case "start":
            return f"starts at {until}"
        case "order":
            return "waits: its code meets other steps than it remembers; deploy the old code, or resume or rerun it"
        case "cancel":
            return f"would be cancelled by event {wait.event_name!r} until {until}"


def _shown(text: str | None) -> str:
    value = _decoded(text)
    return repr(value) if isinstance(value, str) else json.dumps(value)


def _clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _decoded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _error(text: str | None) -> Any:
    """Return an error's name and message; what was used until it came is for the code around."""
    error = _decoded(text)
    return error and {key: value for key, value in error.items() if key != "usage"}
