"""The timeline: a run's step tree as rows with bars, for the waterfall of the run page.

Pure: the page hands in what it read and the present. Bars are percentages of the whole width. Where nothing ran for
most of the time (a person was asked, a timer slept), that gap is drawn short, so that the work stays visible.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from celeriac.platform.durable.reads import RunView, StepView

Tone = Literal["queue", "run", "wait", "fail", "scope"]

#: a gap that takes more than this part of the time is drawn …
_LONG_GAP = 0.4
#: … as wide as this part of the picture
_SHORT_GAP = 0.12

#: a gap shorter than this is drawn as it is
_WORTH_CUTTING = timedelta(seconds=1)

#: bars below this width, in percent, cannot be seen
_LEAST_WIDTH = 0.5

#: marks of the axis that are nearer to each other than this, in percent, cannot be read
_LEAST_APART = 14.0

#: kinds of steps that wait by design, and states of steps that wait now
_WAITS = ("sleep", "event", "signal", "invoke")
_STANDING = ("waiting", "retrying")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A stretch of a row, in percent of the width."""

    left: float
    width: float
    tone: Tone
    title: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A step with its place in the tree and its bars."""

    key: str
    depth: int
    name: str
    kind: str
    status: str
    step: StepView
    bars: list[Bar]
    length: timedelta | None
    #: whether a rerun has taken it over from the old run
    is_kept: bool = False


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark of the time axis."""

    left: float
    at: timedelta


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The whole picture."""

    rows: list[Row]
    ticks: list[Tick]
    queued: Bar | None
    #: how long nothing ran, where that gap is drawn short
    skipped: timedelta | None


Interval = tuple[datetime, datetime]


def timeline(view: RunView, now: datetime) -> Timeline:
    """Draw the run as it stands at `now`."""
    since = view.run.created_at if view.run.rerun_of is not None else None
    whole = [span for step in view.steps if (span := span_of(step)) and not _is_before(span[1], since)]
    begin = since or min([view.run.created_at or now, *(start for start, _ in whole)])
    end = max([view.run.ended_at or now, *(stop for _, stop in whole), begin + timedelta(milliseconds=1)])
    scale = _Scale(begin, end, sorted(span for span in _busy(view.steps) if not _is_before(span[1], since)))
    rows = [
        Row(
            key=f"s{number}",
            depth=depth,
            name=name_of(step),
            kind=kind_of(step),
            status=status_of(step),
            step=step,
            bars=[] if (is_kept := _is_kept(step, since)) else bars,
            length=None if is_kept else _length(step, now),
            is_kept=is_kept,
        )
        for number, (step, depth, bars) in enumerate(_rows(view.steps, scale, now, 0))
    ]
    started = view.run.started_at or (now if not view.run.is_final else begin)
    waited = scale.bar(begin, started, "queue", "in the queue") if started - begin > (end - begin) / 50 else None
    return Timeline(rows=rows, ticks=scale.ticks(), queued=waited, skipped=scale.skipped)


def name_of(step: StepView) -> str:
    """Return what a step is called: its agent, tool or model where it has one, else the last part of its path."""
    last = step.path.rsplit("/", 1)[-1]
    kind, _, rest = last.partition(":")
    out = step.output if isinstance(step.output, dict) else {}
    match kind_of(step):
        case "turn":
            agent = out.get("agent") or next((_agent_of(child) for child in step.children if _agent_of(child)), None)
            return str(agent) if agent else f"Turn {rest}"
        case "run" if kind == "route" and isinstance(out.get("agents"), list):
            return f"Router: {', '.join(map(str, out['agents'])) or 'done'}"
        case "tool":
            return rest.partition(":")[2] or last
        case "model":
            return str(out.get("model") or last)
        case "scope" if kind in ("network", "agent") and rest:
            return rest
    return last


def kind_of(step: StepView) -> str:
    """Return the step's kind; a turn or a tool call that is not committed yet is known by its path."""
    last = step.path.rsplit("/", 1)[-1]
    if step.kind == "scope" and last.startswith(("turn:", "tool:")):
        return last.partition(":")[0]
    return step.kind


def status_of(step: StepView) -> str:
    """Return the step's status; what is open because of something inside it that waits, waits too."""
    if step.status == "open":
        inside = {status_of(child) for child in step.children}
        return next((status for status in ("retrying", "waiting") if status in inside), "open")
    return step.status


def span_of(step: StepView) -> Interval | None:
    """Return from when to when the step, or what is inside it, ran and waited; None where nothing has yet."""
    found = [(attempt.started_at, attempt.ended_at) for attempt in step.attempts]
    spans = [(start, stop) for start, stop in found if start and stop]
    spans += [span for child in step.children if (span := span_of(child))]
    return (min(start for start, _ in spans), max(stop for _, stop in spans)) if spans else None


def _is_kept(step: StepView, since: datetime | None) -> bool:
    """Say whether the step ended before the run began."""
    span = span_of(step)
    return span is not None and _is_before(span[1], since) and step.status in ("completed", "failed")


def _is_before(moment: datetime, since: datetime | None) -> bool:
    return since is not None and moment <= since


def _agent_of(step: StepView) -> str | None:
    given = step.input if step.kind == "model" and isinstance(step.input, dict) else {}
    return given.get("agent")


def _length(step: StepView, now: datetime) -> timedelta | None:
    span = span_of(step)
    if span is None:
        return None
    return (max(now, span[1]) if status_of(step) in _STANDING else span[1]) - span[0]


def _busy(steps: list[StepView]) -> Iterator[Interval]:
    """Find when something ran: neither waits nor the time between attempts."""
    for step in steps:
        if step.kind not in _WAITS and not step.children:
            for attempt in step.attempts:
                if attempt.started_at and attempt.ended_at:
                    yield attempt.started_at, attempt.ended_at
        yield from _busy(step.children)


def _rows(steps: list[StepView], scale: _Scale, now: datetime, depth: int) -> Iterator[tuple[StepView, int, list[Bar]]]:
    for step in steps:
        yield step, depth, list(_bars(step, scale, now))
        yield from _rows(step.children, scale, now, depth + 1)


def _bars(step: StepView, scale: _Scale, now: datetime) -> Iterator[Bar]:
    is_standing = status_of(step) in _STANDING
    if step.children:
        if span := span_of(step):
            yield scale.bar(span[0], max(now, span[1]) if is_standing else span[1], "scope", "with all inside it")
        return
    last: datetime | None = None
    for attempt in step.attempts:
        if attempt.started_at is None:
            continue
        ended = attempt.ended_at or now
        if last is not None and attempt.started_at > last:
            yield scale.bar(last, attempt.started_at, "wait", "waited to try again")
        tone: Tone = "wait" if step.kind in _WAITS else "fail" if attempt.error else "run"
        yield scale.bar(attempt.started_at, ended, tone, f"attempt {attempt.number}")
        last = ended
    if is_standing:
        yield scale.bar(last or scale.last_work, max(now, last or now), "wait", "waits")


class _Scale:
    """Maps time to percent, piece by piece, with one long gap drawn short."""

    def __init__(self, begin: datetime, end: datetime, busy: list[Interval]) -> None:
        self._begin = begin
        self._total = (end - begin).total_seconds()
        self.last_work = max((stop for _, stop in busy), default=begin)
        gap = _longest_gap(begin, end, busy)
        idle = gap[1] - gap[0] if gap else timedelta(0)
        self.skipped = idle if idle > max(_WORTH_CUTTING, (end - begin) * _LONG_GAP) else None
        if gap is None or self.skipped is None:
            self._points = [(0.0, 0.0), (self._total, 100.0)]
            return
        left, right = (self._seconds(moment) for moment in gap)
        work = max(self._total - (right - left), 1e-9)
        first = left / work * (1 - _SHORT_GAP) * 100
        self._points = [(0.0, 0.0), (left, first), (right, first + _SHORT_GAP * 100), (self._total, 100.0)]

    def percent(self, moment: datetime) -> float:
        seconds = min(max(self._seconds(moment), 0.0), self._total)
        index = min(bisect_right(self._points, seconds, key=lambda point: point[0]), len(self._points) - 1)
        (from_s, from_p), (to_s, to_p) = self._points[index - 1], self._points[index]
        return from_p + (to_p - from_p) * ((seconds - from_s) / (to_s - from_s) if to_s > from_s else 1.0)

    def bar(self, start: datetime, end: datetime, tone: Tone, title: str) -> Bar:
        left = min(self.percent(start), 100.0 - _LEAST_WIDTH)
        width = max(self.percent(end) - left, _LEAST_WIDTH)
        return Bar(left=round(left, 3), width=round(width, 3), tone=tone, title=title)

    def ticks(self) -> list[Tick]:
        quarters = [(self._total * part, part * 100) for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
        points = self._points if len(self._points) > 2 else quarters
        shown = [points[0]]
        for seconds, percent in points[1:-1]:
            if percent - shown[-1][1] >= _LEAST_APART and 100 - percent >= _LEAST_APART:
                shown.append((seconds, percent))
        return [Tick(left=round(left, 3), at=timedelta(seconds=at)) for at, left in [*shown, points[-1]]]

    def _seconds(self, moment: datetime) -> float:
        return (moment - self._begin).total_seconds()


def _longest_gap(begin: datetime, end: datetime, busy: list[Interval]) -> Interval | None:
    longest, reached = (begin, begin), begin
    for start, stop in [*busy, (end, end)]:
        if start - reached > longest[1] - longest[0]:
            longest = (reached, start)
        reached = max(reached, stop)
    return longest if longest[1] > longest[0] and busy else None
