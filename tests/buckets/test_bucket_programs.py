"""Random programs run on the buckets in Redis and on their twin: both decide alike, and give no more than there is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from bucket_stage import TENANT, fill
from redis import Redis

from celeriac.clock import ManualClock
from celeriac.platform.flow.buckets import Buckets, Later, Taken, Want
from celeriac.platform.store.local_buckets import LocalBuckets
from celeriac.platform.store.redis_buckets import RedisBuckets

CALLS = Want(name="calls", amount=1, rate=0.7, burst=3)
TOKENS = Want(name="tokens", amount=0, rate=900.0, burst=2_700)
#: most that one call is estimated at: more than the bucket of tokens holds
LARGEST = 5_000


@dataclass
class Program:
    """Callers who do what the dice say; all they ask of the buckets they ask of the twin too."""

    buckets: Buckets
    twin: Buckets
    clock: ManualClock
    dice: random.Random
    #: what each caller that waits wants, and its ticket
    waiting: list[tuple[list[Want], int]] = field(default_factory=list)
    #: when what was taken, and what was put right later
    taken: list[tuple[float, Want, bool]] = field(default_factory=list)
    longest_line: int = 0

    def run(self, moves: int) -> None:
        """Begin with full buckets, and move so many times."""
        for buckets in (self.buckets, self.twin):
            fill(buckets, CALLS, TOKENS)
        often = [self.come, self.come, self.come_back, self.come_back, self.come_back]
        choices: list[Callable[[], None]] = [*often, self.vanish, self.settle, self.take, self.look]
        for _ in range(moves):
            self.clock.advance(self.dice.choice((0.0, 0.001, 0.2, 0.5, 1, 1, 3.3)))
            if self.dice.random() < 0.01:
                self.clock.advance(30)
            self.dice.choice(choices)()
            self.longest_line = max(self.longest_line, len(self.waiting))

    def come(self) -> None:
        """Let some callers ask for the first time."""
        for _ in range(self.dice.choice((1, 1, 5))):
            tokens = replace(TOKENS, amount=self.dice.choice((100, 800, 2_000, LARGEST)))
            self.queue(self.dice.choice(([CALLS], [CALLS, tokens], [tokens])), None)

    def come_back(self) -> None:
        """Let a caller come back, most often the first."""
        if self.waiting:
            at = 0 if self.dice.random() < 0.6 else self.dice.randrange(len(self.waiting))
            self.queue(*self.waiting.pop(at))

    def vanish(self) -> None:
        """Let some callers never come back."""
        for _ in range(min(len(self.waiting), self.dice.choice((1, 1, 2, 8)))):
            self.waiting.pop(self.dice.randrange(len(self.waiting)))

    def queue(self, wants: list[Want], ticket: int | None) -> None:
        """Ask both with a ticket."""
        answer = self.both(lambda buckets: buckets.queue(TENANT, wants, ticket=ticket))
        if isinstance(answer, Later):
            assert answer.ticket is not None
            self.waiting.append((wants, answer.ticket))
            self.waiting.sort(key=lambda one: one[1])
        else:
            self.note(wants, is_settled=False)

    def settle(self) -> None:
        """Use more or less than was estimated; what is given back was taken."""
        if self.taken and not self.taken[-1][2]:
            want = self.taken[-1][1]
            part = replace(want, amount=self.dice.choice((-1, -0.5, 0.3)) * want.amount)
            self.both(lambda buckets: buckets.settle(TENANT, [part]))
            self.note([part], is_settled=True)

    def take(self) -> None:
        """Take from a bucket without a line."""
        self.both(lambda buckets: buckets.take(TENANT, [replace(CALLS, name="api")]))

    def look(self) -> None:
        """Compare what the buckets hold."""
        self.both(lambda buckets: buckets.left(TENANT, [CALLS, TOKENS]))

    def note(self, wants: list[Want], *, is_settled: bool) -> None:
        """Keep what was taken."""
        self.taken += [(self.clock.now().timestamp(), want, is_settled) for want in wants]

    def both(self, ask: Callable[[Buckets], object]) -> object:
        """Ask both, which must say the same."""
        answer, expected = ask(self.buckets), ask(self.twin)
        assert _alike(answer, expected), f"after {len(self.taken)} takes Redis said {answer}, the twin {expected}"
        return answer


@pytest.mark.parametrize("seed", range(5))
def test_the_buckets_and_their_twin_decide_alike(redis: Redis, seed: int) -> None:
    """Whatever comes, and in no time more than what may be saved up and what is refilled."""
    clock = ManualClock()
    program = Program(RedisBuckets(redis, clock=clock), LocalBuckets(clock), clock, random.Random(seed))
    fill(program.buckets, replace(CALLS, name="api"))
    program.run(600)
    assert len(program.taken) > 100 and program.longest_line > 10
    assert most_over(program.taken, CALLS, most=CALLS.burst) <= 1e-3
    assert most_over(program.taken, TOKENS, most=LARGEST) <= 1e-3


def most_over(taken: list[tuple[float, Want, bool]], bucket: Want, *, most: float) -> float:
    """Return by how much more was taken in any time, up to a take, than is refilled then, and this at once."""
    moments = [(at, want.amount, is_settled) for at, want, is_settled in taken if want.name == bucket.name]
    over = -most
    for first, (since, *_) in enumerate(moments):
        total = 0.0
        for until, amount, is_settled in moments[first:]:
            total += amount
            if not is_settled:
                over = max(over, total - most - bucket.rate * (until - since))
    return over


def _alike(answer: object, expected: object) -> bool:
    """Compare answers: the twins sum what is promised each in their order."""
    if isinstance(answer, Later) and isinstance(expected, Later):
        is_same = (answer.name, answer.ticket) == (expected.name, expected.ticket)
        return is_same and abs(answer.after - expected.after) <= timedelta(microseconds=2)
    if isinstance(answer, Taken) and isinstance(expected, Taken):
        answer, expected = answer.left, expected.left
    return answer == (expected if expected is None else pytest.approx(expected, abs=1e-3))
