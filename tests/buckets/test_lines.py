"""Lines before the buckets: in order, nothing is held back for those who do not come, and nobody is forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bucket_stage import TENANT, fill, want
from crowd import Crowd

from celeriac.clock import ManualClock
from celeriac.platform.flow.buckets import Buckets, Later, Taken, Want

#: sixty a minute, of which three may be saved up
ONE = want(rate=1, burst=3)

#: sixty thousand tokens a minute
BIG, SMALL = want(4_000, rate=1_000, burst=3_000), want(1_100, rate=1_000, burst=3_000)


def line_up(buckets: Buckets, *wants: Want) -> list[Later]:
    """Fill the bucket and let all come at once; return what those are told who have to wait."""
    fill(buckets, wants[0])
    answers = [buckets.queue(TENANT, [one], ticket=None) for one in wants]
    return [answer for answer in answers if isinstance(answer, Later)]


def goes(buckets: Buckets, one: Want, told: Later | None = None) -> bool:
    """Ask, with the ticket of who was told to wait; return whether it was there."""
    return isinstance(buckets.queue(TENANT, [one], ticket=None if told is None else told.ticket), Taken)


def test_those_who_line_up_are_told_times_one_behind_another(clocked: Buckets) -> None:
    """Of six who come at once three go, and the others are told one second, two and three."""
    assert [told.after.total_seconds() for told in line_up(clocked, *[ONE] * 6)] == pytest.approx([1, 2, 3])


def test_nobody_takes_what_was_promised_to_others(clocked: Buckets, clock: ManualClock) -> None:
    """At the time that was told the token is there for who was told, and a newcomer is told the next one."""
    [told] = line_up(clocked, *[ONE] * 4)
    clock.advance(told.after)
    assert not goes(clocked, ONE)
    assert goes(clocked, ONE, told)


def test_who_comes_late_has_its_place(clocked: Buckets, clock: ManualClock) -> None:
    """A minute late, it goes before all who came after it, and it is not counted twice."""
    late, *others = line_up(clocked, *[ONE] * 23)
    clock.advance("12s")
    assert [goes(clocked, ONE, told) for told in others[:6]] == [True, True, True, False, False, False]
    again = clocked.queue(TENANT, [ONE], ticket=late.ticket)
    assert isinstance(again, Later) and again.after == timedelta(seconds=1)
    clock.advance("1s")
    assert not goes(clocked, ONE, others[3])
    assert goes(clocked, ONE, late)


def test_who_comes_before_its_time_is_told_the_rest(clocked: Buckets, clock: ManualClock) -> None:
    """However often it looks, it stands in line once."""
    *_, last = line_up(clocked, *[ONE] * 13)
    for left in range(9, 4, -1):
        clock.advance("1s")
        again = clocked.queue(TENANT, [ONE], ticket=last.ticket)
        assert isinstance(again, Later) and again.after == timedelta(seconds=left)


def test_those_who_never_come_back_hold_nobody_up(clocked: Buckets, clock: ManualClock) -> None:
    """Of two hundred who were cancelled nothing is left after eight seconds: three go at once, and the next soon."""
    line_up(clocked, *[ONE] * 203)
    clock.advance("8s")
    assert [goes(clocked, ONE) for _ in range(3)] == [True, True, True]
    following = clocked.queue(TENANT, [ONE], ticket=None)
    assert isinstance(following, Later) and following.after == timedelta(seconds=1)


def test_waits_do_not_grow_by_those_who_never_come_back(clocked: Buckets, clock: ManualClock) -> None:
    """However often a call comes in between."""
    for _ in range(5):
        line_up(clocked, *[ONE] * 203)
        clock.advance("203s")
        assert goes(clocked, ONE)


def test_the_time_that_was_told_is_true_whether_or_not_others_come(clocked: Buckets, clock: ManualClock) -> None:
    """Behind ten who do not come back the eleventh goes at the time that it was told."""
    *_, last = line_up(clocked, *[ONE] * 14)
    clock.advance(last.after)
    assert goes(clocked, ONE, last)


def test_while_some_come_only_the_share_of_others_is_lost(clocked: Buckets, clock: ManualClock) -> None:
    """Every second of forty in line never comes back: all others are served at the times that they were told."""
    told = line_up(clocked, *[ONE] * 43)[1::2]
    waited = timedelta(0)
    for one in told:
        clock.advance(one.after - waited)
        waited = one.after
        assert goes(clocked, ONE, one)


@pytest.mark.parametrize("late", [0.05, 3, 10, 45])
def test_who_comes_late_each_time_is_served_all_the_same(clocked: Buckets, clock: ManualClock, late: float) -> None:
    """A hundred runs that wait for a thread each time they wake: all go, and without many more rounds."""
    crowd = Crowd(clocked, clock, late=late)
    for number in range(100):
        crowd.add(f"{number:03}", ONE, at=number / 100)
    crowd.run(1_000)
    assert len(crowd.served) == 100
    assert max(crowd.served.values()) <= 105 + 2 * late
    assert crowd.asked <= 300


@pytest.mark.parametrize("late", [0.05, 1])
def test_a_large_call_has_its_turn(clocked: Buckets, clock: ManualClock, late: float) -> None:
    """One of more than a full bucket goes at the time that it was told, though small ones come without pause."""
    crowd = Crowd(clocked, clock, late=late, comes_back=lambda after: min(after, timedelta(seconds=10)))
    for number in range(40):
        crowd.add(f"before {number}", SMALL, at=number / 20)
    crowd.add("big", BIG, at=3)
    for number in range(100):
        crowd.add(f"behind {number}", SMALL, at=3.1 + number)
    crowd.run(100)
    assert crowd.served["big"] <= (40 * 1_100 + 3_000) / 1_000 + 12
    assert all(crowd.served[f"before {number}"] < crowd.served["big"] for number in range(40))
    assert sum(crowd.served[name] < crowd.served["big"] for name in crowd.served) <= 42


def test_those_behind_a_large_call_wait_for_its_debt(clocked: Buckets, clock: ManualClock) -> None:
    """The next one is told the time at which the debt is paid, before the large one has gone as well as after."""
    fill(clocked, BIG)
    assert goes(clocked, want(3_000, rate=1_000, burst=3_000))
    big, behind = (clocked.queue(TENANT, [one], ticket=None) for one in (BIG, SMALL))
    assert isinstance(big, Later) and isinstance(behind, Later)
    assert (big.after, behind.after) == (timedelta(seconds=3), timedelta(seconds=5.1))
    clock.advance(big.after)
    assert not goes(clocked, SMALL, behind)
    assert goes(clocked, BIG, big)
    clock.advance(behind.after - big.after)
    assert goes(clocked, SMALL, behind)


def test_a_line_of_two_buckets_is_one(clocked: Buckets, clock: ManualClock) -> None:
    """Who waits for one of them is kept its place, and nothing of the other is lost to those behind it."""
    calls, tokens = want(rate=1, burst=3), want(2_000, rate=1_000, burst=3_000, name="tokens")
    fill(clocked, calls, tokens)
    assert isinstance(clocked.queue(TENANT, [calls, tokens], ticket=None), Taken)
    told = [clocked.queue(TENANT, [calls, tokens], ticket=None) for _ in range(3)]
    waits = [(one.name, one.after.total_seconds()) for one in told if isinstance(one, Later)]
    assert waits == [("tokens", 1), ("tokens", 3), ("tokens", 5)]
    clock.advance("1s")
    assert isinstance(clocked.queue(TENANT, [calls, tokens], ticket=told[0].ticket), Taken)  # type: ignore[union-attr]
