"""Taking out: runs a rule's test against a copy of the package from which the rule is gone.

A copy is the whole project, but only the package in it is real; the rest is linked. A rule is gone when one text of one
file is replaced by another; the text has to be there exactly once, so that code which was written anew is noticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

#: what a copy needs beside the package
_LINKED = ("pyproject.toml", "tests")

#: files of tests that have no other database
_ON_POSTGRES = ("rules/test_moves_that_meet.py", "tenants/test_row_security")

#: a copied test that takes longer hangs, and a test that hangs shows nothing
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class TakingOut:
    """A rule, how it is taken out, and the test that has to notice."""

    rule: int
    #: what is lost, in a few words
    lost: str
    file: str
    text: str
    instead: str
    #: `file::test` below `tests/`, with its parameters
    test: str

    @property
    def needs_postgres(self) -> bool:
        """Whether the test can show it only on Postgres."""
        return self.test.startswith(_ON_POSTGRES) or self.test.endswith("[postgres]")


class Copy:
    """A copy of the project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.copytree(PROJECT / "celeriac", folder / "celeriac")
        for name in _LINKED:
            (folder / name).symlink_to(PROJECT / name)

    def take_out(self, taken: TakingOut) -> None:
        """Replace the text that is the rule; fail where it does not stand there once."""
        file = self._folder / taken.file
        text = file.read_text()
        found = text.count(taken.text)
        assert found == 1, (
            f"{taken.file} has {found} times what rule {taken.rule} is made of; tell it anew: {taken.text}"
        )
        compile(text.replace(taken.text, taken.instead), taken.file, "exec")
        file.write_text(text.replace(taken.text, taken.instead))

    def run(self, tests: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run tests against the copy."""
        options = ["-q", "-x", "--tb=short", "-p", "no:cacheprovider", "--rootdir", ".", "-c", "pyproject.toml"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)],
            cwd=self._folder,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
