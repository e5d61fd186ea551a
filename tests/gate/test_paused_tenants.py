"""Paused tenants: the dispatcher keeps their runs out of the gate, and takes those out that stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gate_stage import Stage, queued

from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.flow.gate import Gate, Queued, TenantLimits


class Sent:
    """Takes links as a broker would."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def publish(self, runs: Sequence[Queued]) -> None:
        """Note what is sent."""
        self.runs += [run.run_id for run in runs]

    def backlog(self, queue: str) -> int:
        """Return none."""
        return 0


def dispatching(gate: Gate, paused: set[str]) -> tuple[Dispatcher, Sent]:
    """Make a dispatcher that asks the set who is paused."""
    sent = Sent()
    return Dispatcher(gate, sent, lambda _: TenantLimits(), is_paused=lambda tenant: tenant in paused), sent


def test_runs_of_a_paused_tenant_are_not_sent(gate: Gate) -> None:
    """Those of others are, in the same call."""
    dispatcher, sent = dispatching(gate, {"ten_a"})
    dispatcher.dispatch([queued("run_1", "ten_a", is_internal=True), queued("run_2", "ten_b", is_internal=True)])
    assert (sent.runs, gate.waiting("runs"), gate.known(["run_1"])) == (["run_2"], 0, set())


def test_runs_that_stood_in_their_lanes_are_taken_out(stage: Stage) -> None:
    """They hold no place, and keep nobody else from one."""
    gate = stage.gate()
    gate.enqueue([queued(f"run_{n}", "ten_a") for n in range(250)] + [queued("run_b", "ten_b", is_internal=True)])
    gate.attend("wrk_1", ["runs"], 10)
    dispatcher, sent = dispatching(gate, {"ten_a"})
    dispatcher.send_picked("runs")
    assert (sent.runs, gate.waiting("runs")) == (["run_b"], 0)


def test_a_resumed_tenants_runs_go_when_they_are_found(gate: Gate) -> None:
    """Nothing of the pause is left in the gate."""
    dispatcher, sent = dispatching(gate, paused := {"ten_a"})
    dispatcher.dispatch([queued("run_1", "ten_a", is_internal=True)])
    paused.clear()
    dispatcher.dispatch([queued("run_1", "ten_a", is_internal=True)])
    assert sent.runs == ["run_1"]


def test_a_link_of_a_paused_tenant_is_the_last_for_now(gate: Gate) -> None:
    """The run does not go on at once, and its place is free."""
    dispatcher, _ = dispatching(gate, paused := set())
    dispatcher.dispatch([run := queued("run_1", "ten_a", is_internal=True)])
    paused.add("ten_a")
    assert not dispatcher.proceed(replace(run, fence=run.fence + 1, is_resume=True))
    assert gate.known(["run_1"]) <= {"run_1"} and gate.waiting("runs") == 0
