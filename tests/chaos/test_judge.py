"""The judge can fail: each invariant is reported when the evidence breaks it, and excused for its own reasons only."""

from __future__ import annotations

from dataclasses import replace

from celeriac.chaos.effects import Effect
from celeriac.chaos.judge.evidence import Evidence, Move, WorkerMove
from celeriac.chaos.judge.report import Report, judge
from celeriac.chaos.record import Trouble
from chaos.courtroom import (
    FIRST,
    SECOND,
    SOUTH,
    broken,
    death,
    effect,
    execution,
    honest,
    moves,
    run_row,
    step_row,
    told,
    with_effects,
    with_run,
)


def test_an_honest_play_holds_every_invariant() -> None:
    """And what cannot be judged is said to be so."""
    assert broken(honest()) == {}
    assert [verdict.id for verdict in judge(honest()) if verdict.verdict == "not judged"] == ["I11"]


def test_a_stream_with_a_gap_a_repeat_or_something_open_is_reported() -> None:
    """A Redis that was away excuses a stream that is gone, and nothing else."""
    whole = list((honest().streams or {})["run_nap"])
    spoilt = {
        "has gaps": [whole[0], *whole[2:]],
        "tells something twice": [*whole[:-1], replace(whole[-1], id=whole[0].id)],
        "begins with number 1": whole[1:],
        "ends with run.completed": whole[:-1],
        "leaves the parts ['part'] open": told("run.started", "part.created", "run.completed", "stream.ended"),
        "tells of a failed network, and the run has completed": told("run.started", "run.failed", "stream.ended"),
        "is empty": [],
    }
    for what, chunks in spoilt.items():
        [breach, *_] = broken(replace(honest(), streams={"run_nap": chunks}))["I9"]
        assert breach == f"the stream of run run_nap {what}"
    away = Trouble(kind="redis", since=1.0, until=2.0)
    assert "I9" not in broken(replace(honest(), streams={"run_nap": []}, troubles=[away]))
    assert "I9" in broken(replace(honest(), streams={"run_nap": whole[:-1]}, troubles=[away]))


def test_an_event_without_its_run_is_reported() -> None:
    """Also one with two."""
    evidence = honest()
    assert list(broken(replace(evidence, runs={k: v for k, v in evidence.runs.items() if k != "run_nap"}))) == ["I1"]
    twin = run_row("run_twin", "nap", event_id="evt_run_nap", output=2)
    assert list(broken(replace(evidence, runs={**evidence.runs, "run_twin": twin}))) == ["I1"]


def test_a_run_that_nothing_wakes_is_reported() -> None:
    """Parked without a wait, queued and running are all the same in the end."""
    assert list(broken(replace(honest(), open_waits=[]))) == ["I2"]
    assert list(broken(with_run("run_nap", status="queued", ended_at=None))) == ["I2"]


def test_a_body_that_runs_after_its_commit_is_reported() -> None:
    """It is also a repeat without a reason, and it began after the parent's last step."""
    assert "I3" in broken(with_effects(*execution("run_nap", "before", "9", 5.0)))


def test_a_result_that_changed_is_reported() -> None:
    """By what a later link saw, and by the row itself."""
    assert list(broken(with_effects(effect("saw", 3.0, "run_nap", "before", "7")))) == ["I3"]
    assert list(broken(replace(honest(), changed_steps=["'before' of run_nap"]))) == ["I3"]


def test_a_repeat_without_a_crash_is_reported() -> None:
    """With one it is lawful, if it was the right process that died."""
    again = execution("run_nap", "after", "2", 2.25, SECOND)
    first = [effect("began", 2.2, "run_nap", "after", "0")]
    evidence = replace(honest(), effects=sorted([*_without("2"), *first, *again], key=lambda one: one.at), moves=None)
    assert list(broken(evidence)) == ["I4"]
    assert broken(replace(evidence, troubles=[death(2.22, FIRST)])) == {}
    assert list(broken(replace(evidence, troubles=[death(2.22, SECOND)]))) == ["I4"]


def test_a_failed_attempt_is_a_reason_for_the_next() -> None:
    """The body said itself that it failed."""
    failed = [effect("began", 2.1, "run_nap", "after", "0"), effect("failed", 2.15, "run_nap", "after", "0")]
    assert broken(with_effects(*failed)) == {}


def test_a_gap_in_the_numbers_is_reported() -> None:
    """And commits that are not in their order."""
    assert list(broken(with_run("run_nap", steps=3))) == ["I5"]
    steps = [step_row("run_nap", "before", 2, "1", 1.2), step_row("run_nap", "after", 1, "2", 2.4), honest().steps[2]]
    assert list(broken(replace(honest(), steps=steps))) == ["I5"]


def test_an_early_timer_is_reported() -> None:
    """A hundredth of a second is enough."""
    early = [*_without("2"), *execution("run_nap", "after", "2", 2.09)]
    found = broken(replace(honest(), effects=sorted(early, key=lambda one: one.at)))
    assert found == {"I6": ["run run_nap woke 0.010 s too early"]}


def test_a_late_timer_is_reported_unless_a_trouble_explains_it() -> None:
    """Redis was away until a second before it woke."""
    late = [*_without("2"), *execution("run_nap", "after", "2", 6.0)]
    steps = [step_row("run_nap", "after", 2, "2", 6.2), honest().steps[0], honest().steps[2]]
    evidence = replace(honest(), effects=sorted(late, key=lambda one: one.at), steps=steps)
    assert list(broken(evidence)) == ["I6"]
    away = Trouble(kind="redis", since=2.0, until=5.0, fault="F4:killed")
    assert broken(replace(evidence, troubles=[away])) == {}


def test_a_commit_of_a_stale_worker_is_reported() -> None:
    """The run was another process's when the step was committed."""
    taken = Move(run_id="run_nap", was="queued", became="running", fence=2, worker_id="wrk_2", at=2.0)
    joined = WorkerMove(id="wrk_2", pid=SECOND, what="joined", has_heir=False, at=0.1)
    evidence = honest()
    spoiled = replace(evidence, moves=[*(evidence.moves or []), taken], worker_moves=[*evidence.worker_moves, joined])
    assert list(broken(spoiled)) == ["I7"]


def test_a_leaked_slot_is_reported() -> None:
    """Whatever else went well."""
    assert broken(replace(honest(), held_keys=["slot:run_nap:1"])) == {"I8": ["the gate still holds slot:run_nap:1"]}


def test_too_many_links_of_a_tenant_are_reported() -> None:
    """Three at once where two are allowed; unless Redis had just lost the slots."""
    evidence = _crowded(at=5.0)
    assert list(broken(evidence)) == ["I8"]
    lost = Trouble(kind="redis", since=4.0, until=4.1, fault="F4:flushed")
    assert broken(replace(evidence, troubles=[lost])) == {}


def test_too_many_starts_of_a_tenant_are_reported() -> None:
    """Two at once and one a second are allowed; the fourth came within the first half second."""
    assert any("runs had started" in breach for breach in broken(_crowded(at=0.1, number=4))["I8"])


def test_a_parent_that_starts_two_children_is_reported() -> None:
    """Or goes on twice."""
    twin = run_row("run_twin", "child", parent_id="run_parent")
    assert list(broken(replace(honest(), runs={**honest().runs, "run_twin": twin}))) == ["I10"]
    assert "I10" in broken(with_effects(*execution("run_parent", "after", "5", 4.15)))


def test_a_step_after_the_cancellation_is_reported() -> None:
    """Also a run that took too long to end."""
    assert list(broken(with_effects(*execution("run_long", "s3", "6", 3.1)))) == ["I12"]
    assert list(broken(with_run("run_long", ended_at=7.0))) == ["I12"]


def test_a_wrong_output_is_reported() -> None:
    """And a run that failed where it should have completed."""
    assert list(broken(with_run("run_nap", output=3))) == ["outputs"]
    assert list(broken(with_run("run_nap", status="failed", error_code="engine"))) == ["outputs"]


def test_a_slow_rescue_is_reported() -> None:
    """Of a killed worker's run: more than two seconds."""
    assert broken(_rescued(after=1.9)) == {}
    assert list(broken(_rescued(after=2.1))) == ["recovery"]


def test_a_burial_of_the_living_is_reported() -> None:
    """One that was killed is dead."""
    buried = WorkerMove(id="wrk_1", pid=FIRST, what="left", has_heir=False, at=6.0)
    evidence = replace(honest(), worker_moves=[*honest().worker_moves, buried])
    assert broken(evidence) == {"outage": [f"worker wrk_1 (pid {FIRST}) was buried at 6.000 and lived"]}
    assert broken(replace(evidence, troubles=[death(5.0, FIRST)])) == {}


def test_a_worker_that_gives_itself_up_is_reported() -> None:
    """Its row goes while its process has a new one: nobody else had judged it."""
    left = WorkerMove(id="wrk_1", pid=FIRST, what="left", has_heir=True, at=6.0)
    evidence = replace(honest(), worker_moves=[*honest().worker_moves, left])
    told = f"worker wrk_1 (pid {FIRST}) gave itself up at 6.000, and nobody had judged it"
    assert broken(evidence) == {"outage": [told]}


def test_an_outage_of_the_database_is_no_excuse_for_a_new_id() -> None:
    """However long: everybody was silent, so nobody may judge; the verdict tells its length and who joined anew."""
    away = Trouble(kind="database", since=4.0, until=19.0, fault="F6:crashed")
    buried = WorkerMove(id="wrk_1", pid=FIRST, what="left", has_heir=False, at=19.2)
    anew = replace(buried, id="wrk_2", what="joined", at=19.5)
    evidence = replace(honest(), troubles=[away], worker_moves=[*honest().worker_moves, buried, anew])
    [verdict] = [one for one in judge(evidence) if one.id == "outage"]
    assert list(verdict.breaches) == [f"worker wrk_1 (pid {FIRST}) was buried at 19.200 and lived"]
    assert verdict.evidence == {"longest_outage_s": 15.0, "workers_that_joined_anew": 1}


def test_an_outage_of_the_database_is_no_excuse_for_a_repeat() -> None:
    """Bodies go on meanwhile."""
    evidence = with_effects(effect("began", 2.1, "run_nap", "after", "0", pid=SECOND))
    away = Trouble(kind="database", since=0.5, until=19.0, fault="F6:crashed")
    assert list(broken(replace(evidence, troubles=[away], moves=None))) == ["I4"]


def test_an_outage_of_the_database_is_no_excuse_for_too_many_links() -> None:
    """Who executes renews its slots at the gate meanwhile."""
    away = Trouble(kind="database", since=0.5, until=4.9, fault="F6:crashed")
    assert list(broken(replace(_crowded(at=5.0), troubles=[away]))) == ["I8"]


def test_a_worker_that_ends_by_itself_is_reported() -> None:
    """Unless it took poison, or could open no file any more."""
    fell = Trouble(kind="death", since=8.0, until=8.0, pids=(SECOND,), is_unasked=True, detail="exit code 1")
    assert list(broken(replace(honest(), troubles=[fell]))) == ["workers"]
    no_files = Trouble(kind="redis", since=7.0, until=9.0, pids=(SECOND,), fault="F13:no-files")
    assert broken(replace(honest(), troubles=[fell, no_files])) == {}
    deadly = run_row("run_deadly", "deadly", parent_id=None)
    poisoned = with_effects(effect("began", 7.9, "run_deadly", "die", "p", pid=SECOND), troubles=[fell])
    assert broken(replace(poisoned, runs={**poisoned.runs, "run_deadly": deadly})) == {}


def test_a_worker_that_the_database_does_not_let_join_may_end() -> None:
    """Its supervisor starts it anew; one that had worked, or ends without an outage, is reported."""
    new = Trouble(kind="death", since=8.0, until=8.0, pids=(SECOND + 1,), is_unasked=True, detail="exit code 1")
    away = Trouble(kind="database", since=7.0, until=9.0, fault="F13:read-only")
    assert broken(replace(honest(), troubles=[new, away])) == {}
    assert list(broken(replace(honest(), troubles=[new]))) == ["workers"]
    assert "workers" in broken(replace(honest(), troubles=[replace(new, pids=(FIRST,)), away]))


def test_without_the_effect_log_only_sql_is_judged() -> None:
    """And that is said."""
    verdicts = judge(replace(honest(), effects=[], has_effects=False))
    assert {one.id for one in verdicts if one.verdict == "not judged"} >= {"I3", "I4", "I6", "I7"}
    assert not [one.id for one in verdicts if one.verdict == "broken"]


def test_a_report_with_a_breach_is_not_ok() -> None:
    """It says so in JSON, with how many there were."""
    report = Report(seed=7, seconds=1, database="sqlite", verdicts=judge(replace(honest(), held_keys=["slot:x:1"])))
    [i8] = [one for one in report.export()["invariants"] if one["verdict"] == "broken"]
    assert (report.is_ok, report.export()["ok"], i8["id"], i8["breaches"]) == (False, False, "I8", 1)


def _without(by: str) -> list[Effect]:
    return [one for one in honest().effects if one.by != by]


def _crowded(at: float, number: int = 3) -> Evidence:
    """Return evidence of some links of the limited tenant at once."""
    runs = {f"run_{n}": run_row(f"run_{n}", "child", tenant_id=SOUTH, ended_at=9.0) for n in range(number)}
    links = [effect("link", at + 0.1 * n, f"run_{n}", by=f"s{n}") for n in range(number)]
    evidence = with_effects(*links)
    return replace(evidence, runs={**evidence.runs, **runs})


def _rescued(after: float) -> Evidence:
    """Return evidence of a run whose worker was killed, and which was taken over so much later."""
    claimed, ended = moves("run_nap", "wrk_1", 0.8)[1:]
    taken = Move(run_id="run_nap", was="running", became="queued", fence=1, worker_id=None, at=3.0 + after)
    return replace(honest(), moves=[claimed, taken, ended], troubles=[death(3.0, FIRST)])
