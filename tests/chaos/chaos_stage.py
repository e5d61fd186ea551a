"""The stage of chaos: a fleet under load, kills at counted points, and the account that is asked for afterwards.

What ran is known from the notes of the step bodies, what was committed from SQL, and when somebody was killed from
here; the account holds them against each other. It must never trust the engine's own counters.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from fleet.worker_fleet import Fleet
from waiting import wait_until

RUNS, STEPS, PARKED = 100, 10, 10

#: runs of the other play, and the bodies in each with the run that it starts
MIXED, MIXED_BODIES = 60, 7

#: links that each of the two workers takes at once: so few that enough work is left for every kill
CONCURRENCY = 8


@dataclass(frozen=True)
class Kill:
    """A kill of all workers: nobody had died before `since`, all were dead at `until`."""

    since: float
    until: float
    #: bodies that it found in the middle of their work
    cut_off: int


@dataclass(frozen=True)
class Account:
    """What was wrong in the end; empty lists are what everybody wants."""

    #: steps that ran more than once: (run, path) -> the times of all beginnings
    repeated: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    #: bodies that began after their step was committed
    after_commit: list[str] = field(default_factory=list)
    #: repeats that no kill explains
    unexplained: list[str] = field(default_factory=list)
    #: runs whose steps are not numbered from 1 without gaps, as often as the run counts them
    gaps: list[str] = field(default_factory=list)


class Chaos:
    """One run of the play on a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.kills: list[Kill] = []
        self._tenant = fleet.tenant()
        self._runs: list[str] = []
        self._parked: list[str] = []

    def begin(self) -> None:
        """Start two workers, park ten runs, and send a hundred more."""
        self.fleet.start_two(concurrency=CONCURRENCY)
        asked = [{"n": 1_000 + n} for n in range(PARKED)]
        self._parked = self.fleet.send_all(self._tenant, "fleet/asked", asked)
        wait_until(lambda: self.fleet.count("status = 'parked'") == PARKED, what="ten runs to park")
        counted = [{"n": n, "steps": STEPS, "seconds": 0.02} for n in range(RUNS)]
        self._runs = self.fleet.send_all(self._tenant, "fleet/counted", counted)

    def begin_mixed(self) -> None:
        """Start two workers and send runs that branch, sleep, take turns and start others by an event."""
        self.fleet.start_two(concurrency=CONCURRENCY)
        self._runs = self.fleet.send_all(self._tenant, "fleet/mixed", [{"n": n} for n in range(MIXED)])

    def wait_for_bodies(self, number: int) -> None:
        """Wait until so many more bodies have begun."""
        before = len(self.fleet.notes.of("began"))
        wait_until(lambda: len(self.fleet.notes.of("began")) >= before + number, 20, f"{number} bodies to begin")

    def kill_and_replace(self) -> None:
        """Kill both workers, answer half of the parked runs while nobody is there, and start two others.

        Returns when all steps that were cut off are committed, so that the next kill cannot hit one of them again.
        """
        self._kill_all()
        self.answer(0, PARKED // 2)
        self.fleet.launch_two(concurrency=CONCURRENCY)
        began = {(one["run"], one["path"]) for one in self.fleet.notes.of("began")}
        wait_until(lambda: began <= self._committed().keys(), 30, "the steps that were cut off")

    def _kill_all(self) -> None:
        since = time.time()
        for worker in self.fleet.workers:
            if worker.is_running:
                worker.kill()
        until = time.time()
        ended = {(one["run"], one["path"]) for one in self.fleet.notes.of("ended")}
        cut_off = {(one["run"], one["path"]) for one in self.fleet.notes.of("began")} - ended
        self.kills.append(Kill(since, until, len(cut_off)))

    def answer(self, first: int, last: int) -> None:
        """Answer what some of the parked runs wait for."""
        answers = [{"n": 1_000 + n, "plus": n} for n in range(first, last)]
        self.fleet.send_all(self._tenant, "fleet/answered", answers)

    def outputs(self) -> list[object]:
        """Return what the hundred runs returned, then the ten."""
        return [self.fleet.run_of(self._tenant, event).output for event in self._runs + self._parked]

    def told(self) -> list[int]:
        """Return what the runs returned that other runs have started, in order."""
        return sorted(int(row.output) for row in self.fleet.sql("SELECT output FROM runs WHERE function_id = 'told'"))

    @staticmethod
    def right_outputs() -> list[object]:
        """Return what the runs should return."""
        counted = [STEPS * n + sum(range(STEPS)) for n in range(RUNS)]
        return [*counted, *(1_000 + n + 1 + n for n in range(PARKED))]

    def account(self) -> Account:
        """Hold the notes of the bodies against the commits and the kills."""
        began: dict[tuple[str, str], list[float]] = defaultdict(list)
        for one in self.fleet.notes.of("began"):
            began[one["run"], one["path"]].append(one["time"])
        committed = self._committed()
        account = Account(repeated={step: times for step, times in began.items() if len(times) > 1})
        for step, times in began.items():
            if times[-1] > committed[step]:
                account.after_commit.append(f"{step}: {times} although committed at {committed[step]}")
            account.unexplained.extend(
                f"{step}: began at {first} and {second}"
                for first, second in pairwise(times)
                if not any(first < kill.until and kill.since < second for kill in self.kills)
            )
        numbers: dict[str, list[int]] = defaultdict(list)
        for row in self.fleet.sql("SELECT run_id, seq FROM steps ORDER BY run_id, seq"):
            numbers[row.run_id].append(row.seq)
        counts = {row.id: row.steps for row in self.fleet.sql("SELECT id, steps FROM runs")}
        account.gaps.extend(run for run, count in counts.items() if numbers[run] != list(range(1, count + 1)))
        return account

    def _committed(self) -> dict[tuple[str, str], float]:
        rows = self.fleet.sql("SELECT run_id, path, committed_at FROM steps")
        return {(row.run_id, row.path): row.committed_at / 1_000_000 for row in rows}


def assert_the_account_is_right(chaos: Chaos) -> None:
    """Fail unless only bodies that a kill cut off ran a second time, and nothing is left behind."""
    assert all(kill.cut_off for kill in chaos.kills), "a kill found nobody at work"
    account = chaos.account()
    assert account.after_commit == []
    assert account.unexplained == []
    assert all(len(times) == 2 for times in account.repeated.values()), account.repeated
    assert account.gaps == []
    wait_until(lambda: chaos.fleet.held_keys() == [], what="the gate to hold nothing")
