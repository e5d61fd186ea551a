"""Runs as text: the table of `runs ls` and the page of `runs get`. Pure; colours are left to the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from celeriac.cli.output import ago, dim, sign, span, table
from celeriac.platform.durable.reads import RunView, StepView
from celeriac.platform.run import Run

_HEADERS = ("run", "status", "function", "created", "took", "links", "model calls", "tokens", "")
_LONGEST_VALUE = 400


def runs_table(runs: Sequence[Run]) -> str:
    """Return one line a run."""
    return table(_HEADERS, [_row(run) for run in runs])


def run_page(view: RunView) -> str:
    """Return the run's facts, its step tree, and how it ended."""
    return "\n".join([*_facts(view), "", *_tree(view), *_ending(view.run)]).rstrip()


def _row(run: Run) -> tuple[str, ...]:
    return (
        run.id,
        sign(run.status, with_name=True),
        f"{run.app}/{run.function_id}",
        ago(run.created_at),
        _took(run.started_at, run.ended_at),
        str(run.links),
        str(run.usage.model_calls),
        f"{run.usage.input_tokens + run.usage.output_tokens:,}",
        _why(run),
    )


def _facts(view: RunView) -> Iterator[str]:
    run, usage = view.run, view.run.usage
    yield f"{sign(run.status, with_name=True)}  {click.style(run.id, bold=True)}  {run.app}/{run.function_id}"
    yield f"  {dim('tenant')}   {run.tenant_id}"
    if view.event is not None:
        yield f"  {dim('event')}    {view.event.name}  {dim(run.event_id or '')}"
    took = f"took {_took(run.started_at, run.ended_at)}" if run.is_final else ago(run.created_at)
    yield f"  {dim('created')}  {_moment(run.created_at)}, {took}"
    cost = f", ${usage.cost_usd:.4f}" if usage.cost_usd else ""
    yield (
        f"  {dim('used')}     {run.links} links, {usage.model_calls} model calls, {usage.tool_calls} tool calls, "
        f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out{cost}"
    )
    if view.waiting_for:
        yield f"  {dim('waits')}    {view.waiting_for}"


def _tree(view: RunView) -> list[str]:
    lines = list(_branches(view.steps, "", is_over=view.run.is_final))
    width = max((len(click.unstyle(name)) for name, _ in lines), default=0)
    return [f"  {name}{' ' * (width - len(click.unstyle(name)))}  {facts}".rstrip() for name, facts in lines]


def _branches(steps: Sequence[StepView], indent: str, *, is_over: bool) -> Iterator[tuple[str, str]]:
    for index, step in enumerate(steps):
        is_last = index == len(steps) - 1
        arm, below = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        # A mere prefix of other steps never ends by itself; in a run that is over nothing is open.
        status = "over" if is_over and step.status == "open" else step.status
        yield f"{dim(indent + arm)}{sign(status)} {step.path.rpartition('/')[2]}", _step_facts(step)
        yield from _branches(step.children, indent + below, is_over=is_over)


def _step_facts(step: StepView) -> str:
    last = step.attempts[-1] if step.attempts else None
    facts = [f"{step.kind:<6}"]
    if last is not None:
        facts.append(f"{_took(last.started_at, last.ended_at):>7}")
    if len(step.attempts) > 1 or step.status == "retrying":
        facts.append(f"{len(step.attempts)} attempt{'' if len(step.attempts) == 1 else 's'}")
    error = step.error or (last.error if last is not None and step.status == "retrying" else None)
    if error is not None:
        facts.append(click.style(f"{error.get('name')}: {error.get('message')}", fg="red"))
    return dim("  ".join(facts[:2])) + "".join(f"  {fact}" for fact in facts[2:])


def _ending(run: Run) -> Iterator[str]:
    if run.error is not None:
        yield ""
        yield f"  {click.style(run.error.get('code', 'error'), fg='red')}: {run.error.get('message')}"
    if run.reason is not None and run.is_final:
        yield ""
        yield f"  {dim('ended by')} {run.reason}"
    if run.output is not None:
        yield ""
        yield f"  {dim('output')}   {_clipped(run.output)}"


def _why(run: Run) -> str:
    if run.error is not None:
        return f"{run.error.get('code')}: {run.error.get('message')}"
    return run.reason or ""


def _took(started: datetime | None, ended: datetime | None) -> str:
    if started is None:
        return "–"
    return span((ended or datetime.now(UTC)) - started)


def _moment(at: datetime | None) -> str:
    return "–" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _clipped(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…  (--json shows all of it)"
