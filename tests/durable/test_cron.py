"""Crons as arithmetic: ticks in their time zones, over the days when clocks are changed, and how late they may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from celeriac import Cron
from celeriac.errors import ConfigError
from celeriac.platform.durable.cron import (
    Schedule,
    check_cron,
    due,
    due_again,
    last_due,
    next_due,
    tick_after,
    tick_until,
)

MINUTE = timedelta(minutes=1)
DAY = datetime(2026, 6, 1, tzinfo=UTC)
SPRING = datetime(2026, 3, 28, 23, 10, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 24, 22, 10, tzinfo=UTC)


def ticks(cron: str, start: datetime, count: int, tz: str = "Europe/Paris") -> list[str]:
    """Return the ticks behind `start` in UTC, and see that they are the same backwards."""
    schedule, moment = Schedule(cron=cron, tz=tz), start
    found = [moment := tick_after(schedule, moment) for _ in range(count)]
    back = moment
    for tick in reversed(found):
        assert tick_until(schedule, back) == tick
        back = tick - timedelta(microseconds=1)
    return [tick.strftime("%d %H:%M") for tick in found]


def test_times_are_read_in_the_time_zone() -> None:
    assert ticks("0 6 * * mon-fri", DAY, 2) == ["01 04:00", "02 04:00"]
    assert ticks("0 6 * * mon-fri", DAY, 2, tz="UTC") == ["01 06:00", "02 06:00"]


def test_a_time_that_the_clocks_jump_over_ticks_when_they_have_jumped() -> None:
    assert ticks("30 2 * * *", SPRING, 3) == ["29 01:00", "30 00:30", "31 00:30"]


def test_a_time_that_comes_twice_ticks_once() -> None:
    assert ticks("30 2 * * *", AUTUMN, 3) == ["25 00:30", "26 01:30", "27 01:30"]


def test_what_ticks_every_so_often_goes_by_the_time_that_passes() -> None:
    assert ticks("*/30 * * * *", SPRING, 5) == ["28 23:30", "29 00:00", "29 00:30", "29 01:00", "29 01:30"]
    assert ticks("0 * * * *", AUTUMN, 4) == ["24 23:00", "25 00:00", "25 01:00", "25 02:00"]


@pytest.mark.parametrize("tz", ["America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "*/15 * * * *", "10 1,2,3 * * 0", "5 0 29 2 *"])
def test_ticks_are_the_same_forwards_and_backwards(tz: str, cron: str) -> None:
    assert len(ticks(cron, datetime(2026, 3, 7, tzinfo=UTC), 40, tz)) == 40
    assert len(ticks(cron, datetime(2026, 10, 2, tzinfo=UTC), 40, tz)) == 40


def test_jitter_is_the_same_for_everybody_and_another_for_each_function() -> None:
    schedule = Schedule(cron="0 * * * *", jitter=5 * MINUTE)
    late = [due(schedule, f"desk/{n}", DAY) - DAY for n in range(50)]
    assert late == [due(schedule, f"desk/{n}", DAY) - DAY for n in range(50)]
    assert timedelta(0) <= min(late) < MINUTE < 4 * MINUTE < max(late) < 5 * MINUTE


def test_no_tick_overtakes_another() -> None:
    schedule = Schedule(cron="* * * * *", jitter=5 * MINUTE)
    times = [due(schedule, "desk/work", DAY + n * MINUTE) for n in range(100)]
    assert all(DAY + n * MINUTE <= time < DAY + (n + 1) * MINUTE for n, time in enumerate(times))


def test_the_tick_that_is_due_is_the_one_that_was_announced() -> None:
    schedule, moment = Schedule(cron="*/7 * * * *", jitter=3 * MINUTE), DAY
    for _ in range(50):
        moment = next_due(schedule, "desk/work", moment)
        tick = last_due(schedule, "desk/work", moment)
        assert due(schedule, "desk/work", tick) == moment
        assert last_due(schedule, "desk/work", moment - timedelta(microseconds=1)) < tick
        moment = tick


def test_another_jitter_is_for_the_same_tick() -> None:
    before, after = Schedule(cron="0 * * * *", jitter=5 * MINUTE), Schedule(cron="0 * * * *", jitter=2 * MINUTE)
    tick = tick_after(before, DAY)
    assert due_again(before, after, "f", due(before, "f", tick)) == due(after, "f", tick)
    assert due_again(after, after, "f", due(after, "f", tick)) == due(after, "f", tick)


UNFIT = ("", "* * * *", "* * * * * *", "@daily", "60 * * * *", "0 0 31 2 *", "H * * * *", "R 1 * * *", "0 6 * * fri,R")


@pytest.mark.parametrize("schedule", [*UNFIT, "* * * * mon" + ",mon" * 70])
def test_a_cron_without_times_is_refused(schedule: str) -> None:
    with pytest.raises(ConfigError):
        check_cron(Cron(schedule), "Function 'f'")


@pytest.mark.parametrize("tz", ["", "Mars/Olympus", "../etc/passwd", "/etc/localtime"])
def test_a_time_zone_that_is_none_is_refused(tz: str) -> None:
    with pytest.raises(ConfigError, match="time zone"):
        check_cron(Cron("* * * * *", tz=tz), "Function 'f'")


@pytest.mark.parametrize(("jitter", "is_fine"), [(0.999, False), (1, True), ("5m", True), (300.001, False)])
def test_jitter_has_its_limits(jitter: float | str, is_fine: bool) -> None:
    if is_fine:
        assert check_cron(Cron("* * * * *", jitter=jitter), "Function 'f'").jitter >= timedelta(seconds=1)
    else:
        with pytest.raises(ConfigError, match="1 second to 5 minutes"):
            check_cron(Cron("* * * * *", jitter=jitter), "Function 'f'")
