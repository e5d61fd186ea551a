"""Chaos: workers are killed amid a hundred runs, Redis loses everything, and nothing is lost or done twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from chaos.chaos_stage import RUNS, STEPS, Chaos, assert_nothing_was_lost
from fleet.worker_fleet import Fleet

#: add one here to see another order of events
SEEDS = [20261120]


def counted_points(seed: int, number: int) -> list[int]:
    """Choose after how many more bodies something happens; work is left after the last point."""
    chance = random.Random(seed)
    return [chance.randrange(30, RUNS * STEPS // (2 * number)) for _ in range(number)]


@pytest.mark.parametrize("seed", SEEDS)
def test_three_kills_and_a_lost_redis_on_sqlite(tmp_path: Path, seed: int) -> None:
    """Both workers die three times; half of the parked runs are answered while nobody is there."""
    began = time.monotonic()
    with Fleet(tmp_path) as fleet:
        chaos = Chaos(fleet)
        chaos.begin()
        first, *others = counted_points(seed, 3)
        chaos.wait_for_bodies(first)
        chaos.kill_and_replace()
        fleet.redis.flushall()
        for bodies in others:
            chaos.wait_for_bodies(bodies)
            chaos.kill_and_replace()
        chaos.answer(5, 10)
        fleet.wait_for_all(45)
        assert_nothing_was_lost(chaos)
    assert time.monotonic() - began <= 60


def test_one_kill_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    """Both workers die once."""
    began = time.monotonic()
    with Fleet(tmp_path, postgres_url) as fleet:
        chaos = Chaos(fleet)
        chaos.begin()
        [point] = counted_points(7, 1)
        chaos.wait_for_bodies(point)
        chaos.kill_and_replace()
        chaos.answer(5, 10)
        fleet.wait_for_all(45)
        assert_nothing_was_lost(chaos)
    assert time.monotonic() - began <= 60
