"""The plan of faults: the same for the same seed, and nothing in it that cannot or must not strike."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from celeriac.chaos.faults import GENTLE, STRIKES
from celeriac.chaos.plan import WAYS, Fault, Terms, draw, ways_for
from celeriac.errors import ConfigError

PRIVATE = Terms(seconds=60, workers=3, database="private postgres")


def test_the_same_seed_gives_the_same_plan() -> None:
    """And another one another."""
    assert draw(7, PRIVATE) == draw(7, PRIVATE)
    assert draw(7, PRIVATE) != draw(8, PRIVATE)


def test_twenty_seeds_play_every_fault() -> None:
    """In nearly every way; those that last long do not fit everywhere."""
    played = {(fault.code, fault.way) for seed in range(1, 21) for fault in draw(seed, PRIVATE)}
    assert {code for code, _ in played} == {f"F{number}" for number in range(1, 16)}
    assert len(played) >= len(WAYS) - 3


def test_a_plan_ends_with_its_play() -> None:
    """However short it is."""
    for seed in range(50):
        plan = draw(seed, replace(PRIVATE, seconds=15))
        assert plan
        assert all(fault.at + fault.seconds <= 15 for fault in plan)


def test_two_faults_of_one_server_do_not_overlap() -> None:
    """Nobody crashes a database that is down."""
    subjects = {(way.code, way.name): way.subject for way in WAYS}
    for seed in range(50):
        plan = [one for one in draw(seed, PRIVATE) if subjects[one.code, one.way] == "database"]
        in_order = sorted(plan, key=lambda fault: fault.at)
        assert all(before.at + before.seconds < after.at for before, after in pairwise(in_order))


def test_every_way_has_a_strike() -> None:
    """But for those that the load takes part in."""
    assert {f"{way.code}:{way.name}" for way in WAYS if way.code not in ("F3", "F14", "F15")} == {*STRIKES, *GENTLE}


def test_only_what_was_asked_for_strikes() -> None:
    """A whole fault, or one way of another."""
    plan = draw(3, replace(PRIVATE, only=("F2", "F4:flushed")))
    assert {fault.code for fault in plan} == {"F2", "F4"}
    assert {fault.way for fault in plan if fault.code == "F4"} == {"flushed"}


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        (replace(PRIVATE, only=("F99",)), "There is no fault 'F99'"),
        (replace(PRIVATE, only=("F6:crashed",), database="postgres"), "cannot strike on a postgres database"),
        (replace(PRIVATE, only=("F4",), is_foreign=True), "cannot strike on an installation that others use"),
    ],
)
def test_a_fault_that_cannot_strike_is_refused(terms: Terms, says: str) -> None:
    """With the reason."""
    with pytest.raises(ConfigError, match=says):
        draw(1, terms)


def test_sqlite_is_spared_what_needs_a_server() -> None:
    """Nothing of its plan would have anything to strike."""
    assert {way.needs for way in ways_for(replace(PRIVATE, database="sqlite"))} == {"sqlite"}


def test_an_installation_that_others_use_is_struck_gently() -> None:
    """Nobody is killed unless that is allowed, and no server is touched in any case."""
    foreign = replace(PRIVATE, is_foreign=True)
    gentle = ways_for(foreign)
    assert {way.subject for way in gentle} == {"messages", "load"}
    killing = [way for way in ways_for(replace(foreign, may_kill=True)) if way not in gentle]
    assert {way.subject for way in killing} == {"worker"}


def test_a_fault_is_told_by_its_plan_alone() -> None:
    """Its numbers are round, so that a report can be read."""
    assert all(round(fault.at, 2) == fault.at for fault in draw(1, PRIVATE) if isinstance(fault, Fault))
