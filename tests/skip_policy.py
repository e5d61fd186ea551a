"""The rule on skipped tests: with CI=true a skip must stand in `allowed_skips.txt`, or the run is red.

`conftest.py` registers a `SkipPolicy`. A laptop may lack a browser; the machine that decides may lack nothing.
A test that is expected to fail counts as skipped: it proves nothing either.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest


class SkipPolicy:
    """Collect the skips of a session and turn it red over those that nobody allowed."""

    def __init__(self, list_file: Path, enforced: bool) -> None:
        self.allowed = read_patterns(list_file)
        self.list_file = list_file
        self.enforced = enforced
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was skipped or was expected to fail."""
        if report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a whole file that was skipped."""
        if report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Make a green run with a skip that was not allowed red."""
        if self.refused() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which skips made the run red."""
        if refused := self.refused():
            terminalreporter.section("skips that are not allowed here", red=True)
            for nodeid in refused:
                terminalreporter.line(nodeid)
            terminalreporter.line(f"CI=true: install what these tests need, or list them in {self.list_file.name}.")

    def refused(self) -> list[str]:
        """List the skips that the run may not have; none where the rule is not enforced."""
        if not self.enforced:
            return []
        return [nodeid for nodeid in self.skipped if not any(fnmatch(nodeid, pattern) for pattern in self.allowed)]


def read_patterns(list_file: Path) -> list[str]:
    """Read `pattern  # reason` lines; an entry without a reason is an error."""
    patterns = []
    for line in list_file.read_text().splitlines():
        pattern, _, reason = (part.strip() for part in line.partition("#"))
        if pattern and not reason:
            raise pytest.UsageError(f"{list_file.name}: {pattern!r} says no reason; write: {pattern}  # why")
        if pattern:
            patterns.append(pattern)
    return patterns
