"""An outage of the database is one line when it begins and one when it is over, however many rounds notice it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from celeriac.errors import StoreUnavailable
from celeriac.tasks.outage import Outage
from celeriac.tasks.ticker import Ticker
from waiting import wait_until


class Database:
    """What two rounds ask, a thousand times a second."""

    is_away = False

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()

    def run_once(self) -> int:
        is_away = self.is_away
        self.asked[threading.get_ident()] += 1
        if is_away:
            raise StoreUnavailable("The database does not answer")
        return 0

    def wait_for_more(self) -> None:
        """Wait until both rounds have asked again and again."""
        before = self.asked.copy()
        wait_until(lambda: sum(self.asked[one] > before[one] + 5 for one in list(self.asked)) == 2, what="both to ask")


@pytest.fixture
def database() -> Iterator[Database]:
    """A database and the rounds of one worker."""
    database, outage = Database(), Outage()
    tickers = [Ticker(name, database, 0.001, outage=outage) for name in ("timers", "reconcile")]
    for ticker in tickers:
        ticker.start()
    yield database
    for ticker in tickers:
        ticker.stop()


def test_an_outage_is_two_lines(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "celeriac"):
        for _ in range(2):
            database.is_away = True
            database.wait_for_more()
            database.is_away = False
            database.wait_for_more()
    lines = [record.getMessage() for record in caplog.records]
    assert ["does not answer" in line for line in lines] == [True, False, True, False], lines
    assert ["answers again after" in line for line in lines] == [False, True, False, True], lines


def test_an_outage_is_not_over_while_one_round_still_fails(caplog: pytest.LogCaptureFixture) -> None:
    outage, error = Outage(), StoreUnavailable("gone")
    for name in ("timers", "reconcile"):
        outage.note_failure(name, error)
    for name in ("timers", "watchdog"):
        outage.note_success(name)
    assert "again" not in caplog.text
    outage.note_success("reconcile")
    assert "The database answers again" in caplog.text
