"""The engine under whatever happens: a machine sends, delivers, doubles, drops, kills, cancels and lets time pass.

Programs and actions are generated; after each action the books are checked against what they were, and in the end
everything has to have ended. The seed is fixed, so that a failure comes again.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, event

import celeriac.platform.memory.tables
import celeriac.platform.store.tables
import celeriac.tenants.tables  # noqa: F401 (the three rooms with tables)
from celeriac.clock import ManualClock
from celeriac.database import connect, metadata, migrate, to_micros, transaction
from celeriac.platform.durable.poison import POISON
from celeriac.platform.event import INVOKED
from celeriac.platform.run import MOVES, Status
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.sql_store import SqlStore
from rules.engine_books import Account, LocalBooks, SqlBooks, above
from rules.engine_world import World
from rules.programs import PROGRAMS, Program, outcome

NUMBERS = st.integers(0, 20)

#: runs that have not ended, above which no other is started
MOST_ALIVE = 3

#: how many examples somebody wants who looks for new ones; 0: always the same, as many as there is time for
WANTED = int(os.environ.get("CELERIAC_TEST_EXAMPLES", "0"))

BUDGET = settings(
    max_examples=WANTED or 80,
    stateful_step_count=50,
    deadline=None,
    derandomize=not WANTED,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class EngineMachine(RuleBasedStateMachine):
    """Actions on a world; no rule depends on what is there, so that the same seed means the same actions."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self.world = self.new_world()
        self._do(self.world.__aenter__())
        self._before: dict[str, Account] = {}
        self._is_wrong = False

    def new_world(self) -> World:
        """Make an empty world in memory."""
        clock = ManualClock()
        store = LocalStore(clock)
        return World(store, LocalBooks(store), clock)

    def _do(self, action: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(action)

    @initialize(program=PROGRAMS)
    def begin(self, program: Program) -> None:
        """Begin with a run that has something to replay, beside whatever else."""
        self.send(["all", [["row", [["order", 3], ["sleep", 1], ["step", True, 0]]], program]])

    @rule(program=PROGRAMS)
    def send(self, program: Program) -> None:
        """Few runs at a time, so that much happens to each."""
        if len(self._alive()) < MOST_ALIVE:
            self._do(self.world.take_in("go", {"program": program}))
        else:
            self._go_on(0, 0)

    @rule(number=st.integers(0, 1))
    def answer(self, number: int) -> None:
        if any(wait.kind == "event" and not wait.is_over for one in self._alive() for wait in one.standing().values()):
            self._do(self.world.take_in(f"answer-{number}", {"is": number}))
        else:
            self._go_on(0, 0)

    @rule(number=st.integers(0, 1))
    def give(self, number: int) -> None:
        self._do(self.world.give(f"signal-{number}"))

    @rule(place=NUMBERS, who=NUMBERS)
    def deliver(self, place: int, who: int) -> None:
        self._go_on(place, who)

    @rule(who=NUMBERS)
    def deliver_all(self, who: int) -> None:
        for message in list(self.world.messages):
            self.world.messages.remove(message)
            self._do(self.world.deliver(message, self._fellow(who)))

    @rule(place=NUMBERS, goes_well=st.sampled_from([True, True, True, False]))
    def let_a_body_go(self, place: int, goes_well: bool) -> None:
        if self.world.inside:
            one = self.world.inside[place % len(self.world.inside)]
            self._do(self.world.let_go(one, goes_well=goes_well))
        else:
            self._go_on(place, place)

    @rule(hours=st.sampled_from([0.2, 1, 5, 30]))
    def pass_time(self, hours: float) -> None:
        self._do(self.world.pass_by(timedelta(hours=hours)))

    @rule(who=NUMBERS)
    def reconcile(self, who: int) -> None:
        self._do(self.world.look_after(self._fellow(who)))

    @rule(place=NUMBERS, who=NUMBERS)
    def double(self, place: int, who: int) -> None:
        """Deliver a message, new or long ago, that stays in the broker as well."""
        if self.world.sent:
            fellows = [self._fellow(who), self._fellow(who + 1)]
            message = self.world.sent[place % len(self.world.sent)]
            self._do(self.world.deliver(message, *fellows[: 1 + place % 2]))

    @rule(place=NUMBERS, what=st.sampled_from(["drop", "crash", "crash", "silence", "silence", "cancel", "lose redis"]))
    def disturb(self, place: int, what: str) -> None:
        run_ids, messages, fellow = list(self.world.programs), self.world.messages, self._fellow(place)
        match what:
            case "drop" if messages:
                messages.pop(place % len(messages))
            case "crash":
                self._do(self.world.crash(fellow))
            case "silence":
                fellow.is_beating = not fellow.is_beating
                self._do(self.world.beat())
            case "cancel" if run_ids:
                self._do(self.world.ask_to_end(run_ids[place % len(run_ids)]))
            case "lose redis":
                self._do(self.world.lose_hints())

    def _go_on(self, place: int, who: int) -> None:
        """Deliver a message; where there is none, let a body end; where none stands, let time pass."""
        if self.world.messages:
            message = self.world.messages.pop(place % len(self.world.messages))
            self._do(self.world.deliver(message, self._fellow(who)))
        elif self.world.inside:
            self._do(self.world.let_go(self.world.inside[place % len(self.world.inside)], goes_well=True))
        else:
            self._do(self.world.pass_by(timedelta(hours=1)))

    def _alive(self) -> list[Account]:
        return [account for account in self.world.books.accounts().values() if not account.is_final]

    def _fellow(self, who: int) -> Any:
        return self.world.fellows[who % len(self.world.fellows)]

    @invariant()
    def nothing_is_taken_back(self) -> None:
        """Check the books against those of before the action."""
        after = self.world.books.accounts()
        wrongs = list(self.world.wrongs)
        for run_id, account in after.items():
            wrongs += _inside(account, self.world)
            before = self._before.get(run_id)
            wrongs += _too_early(account, self.world, set() if before is None else set(before.memos))
            wrongs += [] if before is None else _between(before, account)
        wrongs += [f"{run_id} is gone" for run_id in self._before if run_id not in after]
        self._before, self._is_wrong = after, bool(wrongs)
        assert wrongs == [], "\n".join(wrongs)

    def teardown(self) -> None:
        """Let everything end, and check how it did."""
        try:
            if not self._is_wrong:
                left = self._do(self.world.drain())
                self.nothing_is_taken_back()
                wrongs = [f"{one.id} is {one.status} for ever: {one.standing()}" for one in left] + _ends(self.world)
                assert wrongs == [], "\n".join(wrongs)
        finally:
            self._do(self.world.__aexit__(None, None, None))
            self._runner.close()


class SqlMachine(EngineMachine):
    """The same on a database, which is emptied for each world."""

    def __init__(self, engine: Engine, clocks: list[ManualClock]) -> None:
        self._engine, self._clocks = engine, clocks
        super().__init__()

    def new_world(self) -> World:
        """Make an empty world in SQL."""
        self._clocks[:] = [ManualClock()]
        with transaction(self._engine) as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        return World(SqlStore(self._engine), SqlBooks(self._engine), self._clocks[0])


def _inside(account: Account, world: World) -> list[str]:
    """Return what is wrong with a run as it stands."""
    wrongs = []
    if sorted(memo.seq for memo in account.memos.values()) != list(range(1, len(account.memos) + 1)):
        wrongs.append(f"{account.id} has gaps: {account.memos}")
    if account.status == "parked":
        standing = account.standing()
        still_open = {path for path, wait in standing.items() if not wait.is_over}
        late = [path for path in still_open if standing[path].wake_at <= world.clock.now()]
        inside = {scope for path in still_open for scope in above(path)}  # attempts that have begun, and stand there
        over = [path for path in standing if path not in still_open | inside]
        missed = [path for path in over if still_open.isdisjoint(above(path))]
        if not still_open or late or missed:
            wrongs.append(f"{account.id} is parked for nothing; late: {late}, woken: {missed}, waits: {standing}")
    return wrongs


def _between(before: Account, after: Account) -> list[str]:
    """Return what may not have become of a run."""
    wrongs = []
    if after.status not in _reachable(before.status) or (before.is_final and before.output != after.output):
        wrongs.append(f"{after.id} went from {before.status} to {after.status}")
    if after.fence < before.fence:
        wrongs.append(f"{after.id} went back from fence {before.fence} to {after.fence}")
    changed = [path for path, memo in before.memos.items() if after.memos.get(path) != memo]
    moved = [key for key, wait in before.waits.items() if after.waits[key].wake_at != wait.wake_at]
    again = [key for key, wait in before.waits.items() if wait.is_over and not after.waits[key].is_over]
    if changed or moved or again:
        wrongs.append(f"{after.id}: memos that changed {changed}, waits that moved {moved} or began again {again}")
    return wrongs


def _reachable(status: Status) -> set[Status]:
    """Return where a run may be after any number of moves."""
    found: set[Status] = {status}
    while more := {onward for one in found for onward in MOVES[one]} - found:
        found |= more
    return found


def _too_early(account: Account, world: World, known: set[str]) -> list[str]:
    """Return the steps that ended by their time before it had come."""
    new = [memo for path, memo in account.memos.items() if path not in known and memo.kind in ("sleep", "event")]
    timed = [memo.path for memo in new if memo.kind == "sleep" or memo.value == "null"]
    early = [path for path in timed if account.waits[path, 0].wake_at > world.clock.now()]
    return [f"{account.id}: {early} ended early"] if early else []


def _ends(world: World) -> list[str]:
    """Return what is wrong when all has ended."""
    accounts = world.books.accounts()
    wrongs = [wrong for account in accounts.values() if (wrong := _how_it_ended(account, world))]
    sent = [memo for account in accounts.values() for memo in account.memos.values() if memo.kind == "send"]
    ends = Counter(account.status for account in accounts.values())
    events = world.books.events()
    counted = {
        "told": (events["told"], sum((memo.value or "").startswith("[") for memo in sent)),
        "runs": (len(accounts), events["go"] + events["told"] + events[INVOKED]),
        "completed": (events["celeriac/run.finished"], ends["completed"]),
        "failed": (events["celeriac/run.failed"], ends["failed"]),
        "cancelled": (events["celeriac/run.cancelled"], ends["cancelled"]),
        "at the gate": (world.hints.waiting("runs") + len(world.hints.known(list(accounts))), 0),
    }
    return wrongs + [f"{what}: {found} is not {right}" for what, (found, right) in counted.items() if found != right]


def _how_it_ended(account: Account, world: World) -> str | None:
    program = world.programs.get(account.id)
    match account.status:
        case "completed" if program is not None:
            expected = outcome(program, account.memos)
            return None if account.output == expected else f"{account.id}: {account.output} is not {expected}"
        case "failed":
            is_lawful = account.fence >= POISON if account.code == "poison" else program and _stumbles(program) >= 3
            return None if is_lawful else f"{account.id} failed: {account}"
        case "cancelled":
            return None if account.id in world.cancelled else f"{account.id} was cancelled by nobody"
    return None


def _stumbles(program: Program) -> int:
    """Return how often the function's own body raises."""
    match program:
        case ["stumble", times]:
            return int(times)
        case ["row" | "all" | "race", children]:
            return sum(map(_stumbles, children))
        case ["guard", child]:
            return _stumbles(child)
    return 0


def test_the_engine_keeps_its_promises_whatever_happens() -> None:
    assert_it_holds(EngineMachine, BUDGET)


def test_the_engine_keeps_its_promises_on_sqlite_whatever_happens(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'machine.sqlite'}"
    migrate(url)
    engine, clocks = connect(url), [ManualClock()]

    @event.listens_for(engine, "connect")
    def _go_by_the_clock(connection: sqlite3.Connection, _: Any) -> None:
        connection.create_function("celeriac_now", 0, lambda: to_micros(clocks[0].now()))

    try:
        assert_it_holds(lambda: SqlMachine(engine, clocks), settings(BUDGET, max_examples=WANTED or 30))
    finally:
        engine.dispose()


def assert_it_holds(machine: Any, budget: settings) -> None:
    """Run the machine's examples."""
    run_state_machine_as_test(machine, settings=budget)
