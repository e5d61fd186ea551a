"""The clock of a worker keeps to the database's, whatever the way between them costs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from celeriac.clock import SyncedClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HALF_A_SECOND = timedelta(seconds=0.5)


def test_it_is_never_behind_however_long_the_answer_was_under_way() -> None:
    """A timer that was planned by a clock which lagged fired too early."""
    clock = SyncedClock()
    clock.sync(NOON, asked_at=time.monotonic() - 0.5)
    assert clock.now() >= NOON + HALF_A_SECOND


def test_an_answer_that_took_longer_is_passed_over() -> None:
    """It knows the time less well than the clock does already."""
    clock = SyncedClock()
    clock.sync(NOON, asked_at=time.monotonic())
    clock.sync(NOON, asked_at=time.monotonic() - 30)
    assert clock.now() < NOON + timedelta(seconds=30)


def test_a_quick_answer_is_believed_when_the_database_has_a_new_time() -> None:
    """Its host's clock may be set."""
    clock = SyncedClock()
    clock.sync(NOON, asked_at=time.monotonic())
    clock.sync(NOON - timedelta(hours=1), asked_at=time.monotonic())
    assert clock.now() < NOON
