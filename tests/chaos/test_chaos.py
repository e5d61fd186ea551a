"""Chaos: workers are killed amid a hundred runs, Redis loses everything, and nothing is lost or done twice."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.chaos_stage import MIXED, MIXED_BODIES, RUNS, STEPS, Chaos, assert_the_account_is_right
from fleet.worker_fleet import Fleet

SEED = 20261120


@pytest.fixture(autouse=True)
def a_minute_is_enough() -> Iterator[None]:
    """Nobody waits longer for it."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began <= 60


def counted_points(number: int, bodies: int) -> list[int]:
    """Choose after how many more bodies each kill comes; work is left after the last one."""
    chance = random.Random(SEED)
    return [chance.randrange(30, bodies // (2 * number)) for _ in range(number)]


def test_three_kills_and_a_lost_redis_on_sqlite(tmp_path: Path) -> None:
    """Half of the parked runs are answered while nobody is there."""
    with Fleet(tmp_path) as fleet:
        chaos = Chaos(fleet)
        chaos.begin()
        for kill, bodies in enumerate(counted_points(3, RUNS * STEPS)):
            chaos.wait_for_bodies(bodies)
            chaos.kill_and_replace()
            if kill == 0:
                fleet.redis.flushall()
        chaos.answer(5, 10)
        fleet.wait_for_all(45)
        assert chaos.outputs() == chaos.right_outputs()
        assert_the_account_is_right(chaos)


def test_one_kill_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    """The same with one kill."""
    with Fleet(tmp_path, postgres_url) as fleet:
        chaos = Chaos(fleet)
        chaos.begin()
        [bodies] = counted_points(1, RUNS * STEPS)
        chaos.wait_for_bodies(bodies)
        chaos.kill_and_replace()
        chaos.answer(5, 10)
        fleet.wait_for_all(45)
        assert chaos.outputs() == chaos.right_outputs()
        assert_the_account_is_right(chaos)


def test_three_kills_amid_branches_turns_and_sent_events(tmp_path: Path) -> None:
    """What sleeps in one branch wakes, and each event starts its run once."""
    with Fleet(tmp_path) as fleet:
        chaos = Chaos(fleet)
        chaos.begin_mixed()
        for bodies in counted_points(3, MIXED * MIXED_BODIES):
            chaos.wait_for_bodies(bodies)
            chaos.kill_and_replace()
        fleet.wait_for_all(45)
        assert chaos.outputs() == [{"sum": 22 * n, "turns": 2} for n in range(MIXED)]
        assert chaos.told() == [22 * n for n in range(MIXED)]
        assert_the_account_is_right(chaos)


def test_the_account_sees_a_step_that_ran_once_too_often(tmp_path: Path) -> None:
    """A beginning that is planted after the commit is found by each of its rules."""
    with Fleet(tmp_path) as fleet:
        fleet.start()
        chaos = Chaos(fleet)
        fleet.send(fleet.tenant(), "fleet/counted", n=1, steps=2)
        fleet.wait_for_all()
        assert (chaos.account().repeated, chaos.account().gaps) == ({}, [])
        planted = {**fleet.notes.of("began", path="s1")[0], "time": time.time()}
        with (tmp_path / "notes.jsonl").open("a") as notes:
            notes.write(json.dumps(planted) + "\n")
        account = chaos.account()
    assert len(account.repeated) == len(account.after_commit) == len(account.unexplained) == 1
