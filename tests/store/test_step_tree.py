"""The step tree and the words for what a run waits for, both pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from celeriac.platform.durable.memo import Wait, WaitKind
from celeriac.platform.durable.reads import StepView
from celeriac.platform.durable.tree import AttemptRecord, StepRecord, step_tree, waiting_words
from celeriac.platform.event import ended_name

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def record(path: str, seq: int, at: int = 0, **options: object) -> StepRecord:
    """Make a committed step that began `at` seconds after noon."""
    began = NOON + timedelta(seconds=at)
    facts = {"kind": "run", "value": "1", "started_at": began, "ended_at": began, **options}
    return StepRecord(path=path, seq=seq, **facts)  # type: ignore[arg-type]


def outline(views: list[StepView]) -> list[object]:
    """Show a tree as nested paths."""
    return [view.path if not view.children else (view.path, outline(view.children)) for view in views]


def test_steps_stand_below_the_scopes_of_their_path() -> None:
    tree = step_tree([record("load", 1), record("net/turn:1/infer", 2, 1), record("net/turn:1", 3, 1)], [], [])
    assert outline(tree) == ["load", ("net", [("net/turn:1", ["net/turn:1/infer"])])]


def test_a_parent_without_a_memo_is_an_open_scope() -> None:
    (net,) = step_tree([record("net/turn:1", 1, kind="turn")], [], [])
    assert (net.kind, net.status, net.output) == ("scope", "open", None)
    assert (net.children[0].kind, net.children[0].status) == ("turn", "completed")


def test_children_are_ordered_by_their_beginning_and_then_by_their_commit() -> None:
    tree = step_tree([record("late", 1, 5), record("b", 2, 1), record("a", 3, 1), record("z/x", 4, 0)], [], [])
    assert [view.path for view in tree] == ["z", "b", "a", "late"]


def test_a_step_shows_what_it_was_given_and_what_came_of_it() -> None:
    (step,) = step_tree([record("a", 1, value='{"n":1}', input='["x"]')], [], [])
    assert (step.status, step.input, step.output, step.error) == ("completed", ["x"], {"n": 1}, None)
    assert [attempt.number for attempt in step.attempts] == [1]


def test_a_failed_step_shows_each_of_its_attempts() -> None:
    error = '{"name":"OSError","message":"no"}'
    first = AttemptRecord(path="a", number=1, error=error, started_at=NOON, ended_at=NOON)
    wait = Wait(path="a", kind="retry", number=1, wake_at=NOON, resolved_at=NOON)
    (step,) = step_tree([record("a", 1, value=None, error=error, attempt=2)], [first], [wait])
    assert (step.status, step.error) == ("failed", {"name": "OSError", "message": "no"})
    assert [(attempt.number, bool(attempt.error)) for attempt in step.attempts] == [(1, True), (2, True)]


def test_what_a_failed_step_had_used_is_not_shown() -> None:
    error = '{"name":"OSError","message":"no","usage":{"model_calls":1}}'
    (step,) = step_tree([record("a", 1, value=None, error=error)], [], [])
    assert step.error == step.attempts[0].error == {"name": "OSError", "message": "no"}


def test_a_step_that_will_be_tried_again_is_retrying() -> None:
    first = AttemptRecord(path="a", number=1, error='{"name":"E","message":"m"}', started_at=NOON, ended_at=NOON)
    (step,) = step_tree([], [first], [Wait(path="a", kind="retry", number=1, wake_at=NOON)])
    assert (step.status, step.output) == ("retrying", None)


def test_an_open_wait_is_a_waiting_step() -> None:
    (net,) = step_tree([], [], [Wait(path="net/reply", kind="event", event_name="answer", wake_at=NOON)])
    assert (net.status, net.children[0].status, net.children[0].kind) == ("open", "waiting", "event")


def test_a_wait_for_an_event_is_told_with_its_match() -> None:
    wait = Wait(path="w", kind="event", event_name="decided", wake_at=NOON, match_path="data.id", match_value='"T-17"')
    told = "waits for event 'decided' with data.id = 'T-17' until 2026-11-20 12:00:00 UTC"
    assert waiting_words("parked", [wait]) == told


def test_a_sleep_and_a_retry_are_told_soonest_first() -> None:
    nap = Wait(path="nap", kind="sleep", wake_at=NOON + timedelta(hours=1))
    retry = Wait(path="net/charge", kind="retry", number=1, wake_at=NOON)
    told = "retries step 'net/charge' at 2026-11-20 12:00:00 UTC (attempt 2 of 5); sleeps until 2026-11-20 13:00:00 UTC"
    assert waiting_words("parked", [nap, retry], attempts_allowed=5) == told


def test_many_waits_are_counted() -> None:
    waits = [Wait(path=f"nap:{n}", kind="sleep", wake_at=NOON) for n in range(5)]
    assert (waiting_words("parked", waits) or "").endswith("; and 2 more")


def test_only_a_run_that_stands_waits() -> None:
    nap = Wait(path="nap", kind="sleep", wake_at=NOON)
    assert waiting_words("queued", [nap]) == "queued: waits for a worker"
    assert waiting_words("running", [nap]) is None
    assert waiting_words("completed", [nap]) is None


def test_an_invoked_run_is_named_while_it_is_waited_for_and_afterwards() -> None:
    wait = Wait(path="child", kind="invoke", wake_at=NOON, event_name=ended_name("run_7"))
    (waiting,) = step_tree([], [], [wait])
    assert (waiting.status, waiting.input) == ("waiting", {"run_id": "run_7"})
    (done,) = step_tree([record("child", 1, kind="invoke", input='{"run_id":"run_7","data":{}}')], [], [wait])
    assert (done.status, done.input) == ("completed", {"run_id": "run_7", "data": {}})
    assert "run 'run_7'" in (waiting_words("parked", [wait]) or "")


def test_waits_of_the_run_itself_are_no_steps_of_it() -> None:
    waits = [Wait(path=path, kind=kind, wake_at=NOON) for path, kind in RUNS_OWN]
    assert step_tree([], [], waits) == []


RUNS_OWN: list[tuple[str, WaitKind]] = [("", "start"), ("~cancel:0", "cancel"), ("~order", "order")]
