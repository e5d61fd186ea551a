"""Seeded programs: the same moves on both gates, whose answers must agree, with what must hold whatever happens."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from celeriac.clock import ManualClock
from celeriac.platform.flow.gate import Gate, Holdup, Pace, Pool, Queued, TenantLimits

TENANTS, FUNCTIONS, QUEUES = ("ten_a", "ten_b", "ten_c"), ("app/f", "app/g", "app/h"), ("runs", "memory")
FREE = TenantLimits(running=100_000, starts_per_second=1e9, starts_burst=100_000)


@dataclass
class Program:
    """A fleet that does what its dice say; all it asks of the gate it asks of the twin too."""

    gate: Gate
    twin: Gate
    clock: ManualClock
    dice: random.Random
    capacity: int
    running: tuple[int, ...] = (1, 3, 8, 12)
    limits: dict[str, TenantLimits] = field(default_factory=dict)
    slots: dict[tuple[str, str, str], int] = field(default_factory=dict)
    paces: dict[str, Pace | None] = field(default_factory=dict)
    queued: dict[str, Queued] = field(default_factory=dict)
    flying: dict[str, Queued] = field(default_factory=dict)
    parked: dict[str, Queued] = field(default_factory=dict)
    made: int = 0
    done: set[str] = field(default_factory=set)

    def run(self, moves: int) -> None:
        """Begin, move so many times, and drain."""
        for tenant in TENANTS:
            self.limits[tenant] = self._some_limits()
        self.attend()
        self.clock.advance(60)
        for _ in range(moves):
            self.clock.advance(self.dice.randint(1, 40) / 1_000)
            move: Callable[[], None] = self.dice.choice(self._moves())
            move()
        self.drain()

    def attend(self) -> None:
        """Let the workers live on."""
        self.both(lambda gate: gate.attend("wrk_1", QUEUES, self.capacity))

    def both(self, ask: Callable[[Gate], object]) -> object:
        """Ask both gates, which must say the same."""
        answer, expected = ask(self.gate), ask(self.twin)
        assert answer == expected, f"after {self.made} runs the gate said {answer}, its twin {expected}"
        return answer

    def _moves(self) -> list[Callable[[], None]]:
        often = [self.enqueue, self.pick, self.pick, self.end, self.end]
        return [*often, self.proceed, self.wake, self.change, self.cancel, self.look, self.renew, self.lag]

    # -- moves --------------------------------------------------------------------------------------------------

    def enqueue(self) -> None:
        """Let some runs begin."""
        runs = [self._new_run() for _ in range(self.dice.randint(1, 4))]
        self.queued.update({run.run_id: run for run in runs})
        self.both(lambda gate: gate.enqueue(runs))

    def pick(self, ended: tuple[Queued, ...] = ()) -> None:
        """Pick some, on either queue."""
        queue, most = self.dice.choice(QUEUES), self.dice.choice((1, 3, 100))
        for run in self._picked(queue, most, ended):
            self.flying[run.run_id] = self.queued.pop(run.run_id)
            self._check(run)

    def end(self) -> None:
        """End a link: its run is over, or it is parked."""
        if self.flying:
            run = self.flying.pop(self.dice.choice(sorted(self.flying)))
            is_over = self.dice.random() < 0.6
            (self.done.add if is_over else lambda _: self.parked.update({run.run_id: run}))(run.run_id)
            self.pick(ended=(replace(run, is_over=is_over),))

    def proceed(self) -> None:
        """Let a run go on with its next link, where nobody could be picked and no resume of its tenant waits.

        Whether one of those could use the slot the gate in Redis need not look; it lets the next pick decide.
        """
        if self.flying:
            for queue in QUEUES:
                while picked := self._picked(queue, 100):
                    self.flying.update({run.run_id: self.queued.pop(run.run_id) for run in picked})
            run = self.flying[self.dice.choice(sorted(self.flying))]
            if any(other.is_resume and other.tenant_id == run.tenant_id for other in self.queued.values()):
                return
            del self.flying[run.run_id]
            onward = replace(self._renumbered(run), fence=run.fence + 1, is_resume=True)
            goes_on = self.both(lambda gate: gate.proceed(onward))
            (self.flying if goes_on else self.queued)[run.run_id] = onward

    def lag(self) -> None:
        """Let a message be so long on its way that its slots are gone: others take them, and then it is claimed."""
        if self.flying:
            late = self.flying.pop(self.dice.choice(sorted(self.flying)))
            self.both(lambda gate: gate.release(late.run_id, late.fence))
            self.pick()
            claimed = self._renumbered(late)
            if self.both(lambda gate: gate.started(claimed)):
                self.flying[late.run_id] = late
                self._check(late)
            else:
                self.queued[late.run_id] = again = replace(claimed, fence=late.fence + 1)
                self.both(lambda gate: gate.enqueue([again]))

    def wake(self) -> None:
        """Wake a parked run."""
        if self.parked:
            run = self.parked.pop(self.dice.choice(sorted(self.parked)))
            run = replace(self._renumbered(run), fence=run.fence + 1, is_resume=True)
            self.queued[run.run_id] = run
            self.both(lambda gate: gate.enqueue([run]))

    def change(self) -> None:
        """Change a limit, and say so."""
        if self.queued:
            run = self.queued[self.dice.choice(sorted(self.queued))]
            self.limits[run.tenant_id] = self._some_limits()
            for pool in run.pools:
                self.slots[run.tenant_id, run.function, pool.name] = self.dice.randint(1, 4)
            self.queued[run.run_id] = changed = self._renumbered(run)
            self.both(lambda gate: gate.learn([changed]))

    def cancel(self) -> None:
        """Cancel a run that does not execute."""
        idle = sorted({*self.queued, *self.parked})
        if idle:
            run_id = self.dice.choice(idle)
            self.queued.pop(run_id, None)
            self.parked.pop(run_id, None)
            self.done.add(run_id)
            self.both(lambda gate: gate.forget(run_id))

    def renew(self) -> None:
        """Do what heartbeats and reconcile do."""
        self.attend()
        flying, parked = list(self.flying.values()), list(self.parked.values())
        self.both(lambda gate: gate.renew(flying))
        self.both(lambda gate: gate.hold_runs(parked))

    def look(self) -> None:
        """Compare what the gates say of the runs."""
        self.both(lambda gate: [gate.waiting(queue) for queue in QUEUES])
        self.both(lambda gate: gate.known([*self.queued, *self.parked]))
        self.both(lambda gate: sorted(gate.unconfirmed(99)))
        for run_id in list(self.queued)[:3]:
            said, expected = self.gate.explain(run_id), self.twin.explain(run_id)
            assert _roughly(said) == _roughly(expected), f"the gate said {said}, its twin {expected}"

    def drain(self) -> None:
        """Free all limits and let all runs end: each is picked once, and nothing is left."""
        self.both(lambda gate: gate.settle(list(self.parked)))
        for run in list(self.queued.values()):
            self.clock.advance(0.001)
            free = replace(run, limits=FREE, pools=tuple(replace(pool, slots=10_000) for pool in run.pools))
            self.both(lambda gate, free=free: gate.learn([replace(free, pace=None)]))
        while self.queued or self.flying:
            self.clock.advance(1)
            ended = tuple(replace(run, is_over=True) for run in self.flying.values())
            self.flying.clear()
            for queue in QUEUES:
                for run in self._picked(queue, 100, ended):
                    self.flying[run.run_id] = self.queued.pop(run.run_id)
                ended = ()
            assert self.flying or not self.queued, f"nobody picks {sorted(self.queued)}"

    # -- parts --------------------------------------------------------------------------------------------------

    def _picked(self, queue: str, most: int, ended: tuple[Queued, ...] = ()) -> list[Queued]:
        answers = {}

        def ask(gate: Gate) -> list[tuple[str, int]]:
            answers[gate] = gate.pick(queue, most, ended=ended)
            return [(run.run_id, run.fence) for run in answers[gate]]

        self.both(ask)
        return answers[self.gate]

    def _check(self, picked: Queued) -> None:
        """Hold the promises: never more than a pool has slots, nor than the tenant may run."""
        mine = [run for run in self.flying.values() if run.tenant_id == picked.tenant_id]
        assert len(mine) <= self.limits[picked.tenant_id].running, f"too many run: {mine}"
        for pool in picked.pools:
            begun = [*mine, *(self.parked.values() if pool.is_for_run else ())]
            begun += [run for run in self.queued.values() if pool.is_for_run and run.is_resume]
            held = [run for run in begun if run.tenant_id == picked.tenant_id and pool in _unnumbered(run)]
            if not (pool.is_for_run and picked.is_resume):
                assert len(held) <= self.slots[picked.tenant_id, picked.function, pool.name], (
                    f"{pool} of {picked} is held by {held}"
                )

    def _new_run(self) -> Queued:
        self.made += 1
        function, tenant = self.dice.choice(FUNCTIONS), self.dice.choice(TENANTS)
        names = self.dice.sample(("link a", "link b", "run c"), self.dice.choice((0, 1, 2)))
        pools = tuple(Pool(name=name, slots=0, is_for_run=name.startswith("run")) for name in names)
        pace = Pace(name=f"pace of {function}", starts=7, per=timedelta(seconds=0.7), burst=2)
        run = Queued(
            run_id=f"run_{self.made:04}",
            tenant_id=tenant,
            queue=self.dice.choice(QUEUES),
            fence=1,
            is_internal=self.dice.random() < 0.2,
            function=function,
            pools=pools,
            pace=pace if self.dice.random() < 0.3 else None,
            priority=self.dice.choice((0, 0, 0, 1, -1)),
            queued_at=self.dice.choice((None, self.clock.now() - timedelta(seconds=self.made % 5))),
        )
        return self._renumbered(run)

    def _renumbered(self, run: Queued) -> Queued:
        pools = tuple(
            replace(
                pool, slots=self.slots.setdefault((run.tenant_id, run.function, pool.name), self.dice.randint(1, 4))
            )
            for pool in run.pools
        )
        return replace(run, pools=pools, limits=self.limits[run.tenant_id])

    def _some_limits(self) -> TenantLimits:
        dice = self.dice
        rate = dice.choice((1e6, 17.3))
        return TenantLimits(
            running=dice.choice(self.running), starts_per_second=rate, starts_burst=5, weight=dice.choice((1, 2, 0.5))
        )


class HeadroomProgram(Program):
    """Runs that need a slot and nothing else, so that headroom decides who goes; make it with few slots."""

    def _moves(self) -> list[Callable[[], None]]:
        often = [self.enqueue, self.pick, self.pick, self.end, self.end]
        return [*often, self.proceed, self.wake, self.look, self.renew, self.rest]

    def rest(self) -> None:
        """Let some time pass, often more than headroom is kept for."""
        self.clock.advance(self.dice.choice((0.5, 2, 6)))

    def _new_run(self) -> Queued:
        return replace(super()._new_run(), pools=(), pace=None)

    def _some_limits(self) -> TenantLimits:
        return replace(FREE, weight=self.dice.choice((1, 2, 0.5)))


class _Named(tuple[Pool, ...]):
    """Pools that are compared by name."""

    def __contains__(self, pool: object) -> bool:
        return isinstance(pool, Pool) and any(one.name == pool.name for one in self)


def _unnumbered(run: Queued) -> _Named:
    return _Named(run.pools)


def _roughly(holdup: Holdup | None) -> object:
    """Return what is comparable: the twins round microseconds each in their way."""
    until = holdup.until.timestamp() if holdup and holdup.until else None
    return holdup and (holdup.reason, holdup.name, until and pytest.approx(until, abs=0.001))
