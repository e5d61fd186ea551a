"""Token buckets: takes are all or none, exact, and told truthfully when to come back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bucket_stage import STILL, TENANT, fill, want

from celeriac.platform.flow.buckets import Buckets, Later, Taken


def test_a_bucket_gives_what_it_holds_and_no_more(buckets: Buckets) -> None:
    """The eleventh token of ten is refused."""
    fill(buckets, want())
    answers = [buckets.take(TENANT, [want()]) for _ in range(11)]
    assert [isinstance(one, Taken) for one in answers] == [True] * 10 + [False]


def test_of_several_buckets_all_give_or_none(buckets: Buckets) -> None:
    """A full bucket stays full where another one is empty, and the answer names that one."""
    full, empty = want(name="full"), want(3, name="empty", burst=2, rate=1e-3)
    fill(buckets, full, empty)
    buckets.settle(TENANT, [want(2, name="empty", burst=2, rate=1e-3)])
    answer = buckets.take(TENANT, [full, empty])
    assert isinstance(answer, Later)
    assert answer.name == "empty"
    assert buckets.left(TENANT, [full])[0] == pytest.approx(10)


def test_tenants_have_buckets_of_their_own(buckets: Buckets) -> None:
    """What one takes, the other still has."""
    fill(buckets, want(), tenant_id="ten_b")
    fill(buckets, want())
    buckets.take(TENANT, [want(10)])
    assert isinstance(buckets.take("ten_b", [want(10)]), Taken)


def test_the_time_to_wait_is_that_of_what_is_missing(buckets: Buckets) -> None:
    """Three of five missing tokens at one in a thousand seconds."""
    fill(buckets, want(burst=2))
    answer = buckets.take(TENANT, [want(5, burst=5, rate=0.001)])
    assert isinstance(answer, Later)
    assert answer.after / timedelta(seconds=3000) == pytest.approx(1, rel=1e-3)


def test_who_takes_more_than_a_bucket_can_hold_leaves_a_debt(buckets: Buckets) -> None:
    """A call of 25 tokens goes with a full bucket of 10, and the next one waits for both."""
    fill(buckets, want())
    assert isinstance(buckets.take(TENANT, [want(25)]), Taken)
    assert buckets.left(TENANT, [want()])[0] == pytest.approx(-15, abs=1e-3)


def test_settling_gives_back_and_takes_more(buckets: Buckets) -> None:
    """What was reserved and not used is there again, up to the burst."""
    fill(buckets, want())
    buckets.take(TENANT, [want(8)])
    buckets.settle(TENANT, [want(-5)])
    assert buckets.left(TENANT, [want()])[0] == pytest.approx(7, abs=1e-3)
    buckets.settle(TENANT, [want(9)])
    assert buckets.left(TENANT, [want()])[0] == pytest.approx(-2, abs=1e-3)


def test_a_higher_rate_holds_at_once(buckets: Buckets) -> None:
    """An empty bucket that is given a rate without end is full at the next look."""
    fill(buckets, want())
    buckets.take(TENANT, [want(10)])
    late = buckets.take(TENANT, [want(10, rate=1e6)])
    assert isinstance(late, Taken) or late.after <= timedelta(microseconds=10)


def test_looking_takes_nothing(buckets: Buckets) -> None:
    """A thousand looks leave the bucket as it is."""
    fill(buckets, want(rate=STILL))
    looks = {round(buckets.left(TENANT, [want(rate=STILL)])[0]) for _ in range(100)}
    assert looks == {10}
