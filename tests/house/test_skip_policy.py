"""With CI=true a skipped test that nobody has allowed makes the run red."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from house_source import ROOT
from skip_policy import read_patterns

CONFTEST = """
from pathlib import Path
from skip_policy import SkipPolicy
def pytest_configure(config):
    config.pluginmanager.register(SkipPolicy(Path(__file__).with_name("allowed.txt"), enforced={enforced}))
"""
SUITE = "import pytest\ndef test_fine(): assert 1 + 1 == 2\ndef test_left_out(): pytest.skip('no browser')\n"


def session_with(folder: Path, allowed: str = "", enforced: bool = True) -> subprocess.CompletedProcess[str]:
    """Run pytest over one passing and one skipped test under the policy."""
    (folder / "conftest.py").write_text(CONFTEST.format(enforced=enforced))
    (folder / "allowed.txt").write_text(allowed)
    (folder / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", f"pythonpath={ROOT / 'tests'}"]
    return subprocess.run([*command, "--rootdir", "."], cwd=folder, capture_output=True, text=True, check=False)


def test_a_skip_that_is_not_listed_makes_the_run_red(tmp_path: Path) -> None:
    """And the report names it."""
    done = session_with(tmp_path)
    assert done.returncode == 1, done.stdout
    assert "test_suite.py::test_left_out" in done.stdout.partition("skips that are not allowed")[2]


def test_a_listed_skip_is_allowed(tmp_path: Path) -> None:
    """The list has the pattern and the reason."""
    done = session_with(tmp_path, allowed="test_suite.py::test_left_*  # needs a browser\n")
    assert done.returncode == 0, done.stdout


def test_on_a_laptop_a_skip_is_only_reported(tmp_path: Path) -> None:
    """Nobody has to install a browser to work on the engine."""
    assert session_with(tmp_path, enforced=False).returncode == 0


def test_a_listed_skip_without_a_reason_is_an_error(tmp_path: Path) -> None:
    """Else the list would only grow."""
    (tmp_path / "allowed.txt").write_text("test_web.py::*\n")
    with pytest.raises(pytest.UsageError, match="says no reason"):
        read_patterns(tmp_path / "allowed.txt")
