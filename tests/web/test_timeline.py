"""The waterfall: where bars lie, what steps are called, and how a long wait is drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from celeriac.platform.durable.reads import Attempt, RunView, StepView
from celeriac.platform.run import Run, Status
from celeriac.web.dashboard.timeline import Bar, Timeline, timeline

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a moment of the run."""
    return BEGIN + timedelta(seconds=seconds)


def step(path: str, *attempts: tuple[float, float], **options: Any) -> StepView:
    """Make a step that ran then; all attempts but the last one failed."""
    error = {"name": "OSError", "message": "no"}
    tried = [
        Attempt(number=number, started_at=at(start), ended_at=at(end), error=error if number < len(attempts) else None)
        for number, (start, end) in enumerate(attempts, 1)
    ]
    return StepView(**{"path": path, "kind": "run", "status": "completed", "attempts": tried, **options})


def drawn(*steps: StepView, status: Status = "completed", seconds: float = 10) -> Timeline:
    """Draw a run that began in its first second and has gone on for so long."""
    run = Run(id="run_1", tenant_id="ten_1", app="a", function_id="f", status=status, created_at=BEGIN)
    return timeline(RunView(run=run, event=None, steps=list(steps), waits=[]), at(seconds))


def places(bars: list[Bar]) -> list[tuple[int, int, str]]:
    """Return the bars as whole percents."""
    return [(round(bar.left), round(bar.width), bar.tone) for bar in bars]


def test_a_bar_lies_where_its_step_ran() -> None:
    (row,) = drawn(step("load", (2, 7))).rows
    assert places(row.bars) == [(20, 50, "run")]
    assert row.length == timedelta(seconds=5)


def test_attempts_are_bars_with_the_wait_between_them() -> None:
    (row,) = drawn(step("load", (0, 4), (6, 10))).rows
    assert places(row.bars) == [(0, 40, "fail"), (40, 20, "wait"), (60, 40, "run")]


def test_a_scope_spans_what_is_inside_it() -> None:
    scope = StepView(path="network:desk", kind="scope", status="open", children=[step("a", (1, 3)), step("b", (6, 9))])
    rows = drawn(scope).rows
    assert [(row.name, row.depth) for row in rows] == [("desk", 0), ("a", 1), ("b", 1)]
    assert places(rows[0].bars) == [(10, 80, "scope")]


def test_hours_in_which_nothing_ran_are_drawn_short() -> None:
    """One second of work, four hours of waiting, one second of work: both seconds can be seen."""
    picture = drawn(step("ask", (0, 1)), step("act", (14401, 14402)), seconds=14402)
    assert picture.skipped == timedelta(hours=4)
    assert places(picture.rows[0].bars) == [(0, 44, "run")]
    assert places(picture.rows[1].bars) == [(56, 44, "run")]


def test_a_wait_that_stands_goes_on_until_now() -> None:
    waiting = StepView(path="tool:1:ask/answer", kind="event", status="waiting")
    picture = drawn(step("load", (0, 7)), waiting, status="parked")
    assert places(picture.rows[1].bars) == [(70, 30, "wait")]
    assert picture.rows[1].status == "waiting"


def test_what_holds_a_wait_waits_too() -> None:
    inner = StepView(path="turn:1/tool:1:ask/answer", kind="event", status="waiting")
    tool = StepView(path="turn:1/tool:1:ask", kind="scope", status="open", children=[inner])
    rows = drawn(StepView(path="turn:1", kind="scope", status="open", children=[tool]), status="parked").rows
    assert [(row.kind, row.name, row.status) for row in rows[:2]] == [
        ("turn", "Turn 1", "waiting"),
        ("tool", "ask", "waiting"),
    ]


def test_a_clock_that_runs_ahead_leaves_no_bar_outside() -> None:
    """Workers' clocks may differ from the web's, so steps may seem to begin before the run and end after now."""
    rows = drawn(step("early", (-2, 1)), step("late", (8, 14))).rows
    for bar in (bar for row in rows for bar in row.bars):
        assert 0 <= bar.left <= bar.left + bar.width <= 100.001


def test_a_run_without_steps_has_a_picture() -> None:
    picture = drawn(status="queued", seconds=0)
    assert (picture.rows, picture.queued) == ([], None)


def test_what_a_rerun_took_over_has_no_bar() -> None:
    """It ran in the old run, perhaps days ago; the picture begins with the new one."""
    run = Run(id="run_2", tenant_id="ten_1", app="a", function_id="f", created_at=at(100), rerun_of="run_1")
    scope = StepView(path="s", kind="scope", status="open", children=[step("s/a", (2, 4)), step("s/b", (101, 110))])
    view = RunView(run=run, event=None, steps=[step("load", (0, 1)), scope], waits=[])
    rows = timeline(view, at(110)).rows
    assert [(row.name, row.is_kept) for row in rows] == [("load", True), ("s", False), ("a", True), ("b", False)]
    assert [places(row.bars) for row in rows] == [[], [(0, 100, "scope")], [], [(10, 90, "run")]]
    assert rows[0].length is None
