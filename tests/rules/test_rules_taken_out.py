"""Each rule that had to be found is needed: without it its test fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rules.taking_out import Copy, TakingOut
from rules.takings_out import TAKEN_OUT

#: an error by which a test fails because the copy is broken, and not because the rule is gone
BROKEN = re.compile(
    r"^E +([\w.]+\.)?(Name|Syntax|Indentation|Import|ModuleNotFound|Attribute|Type|UnboundLocal|Programming)Error\b",
    re.MULTILINE,
)


def test_on_a_copy_as_it_is_the_tests_pass(tmp_path: Path, postgres_server: str) -> None:
    """Else the others would show nothing."""
    tests = sorted({taken.test for taken in TAKEN_OUT})
    done = Copy(tmp_path).run(tests, {"CELERIAC_TEST_POSTGRES_URL": postgres_server})
    assert done.returncode == 0, done.stdout
    assert f"{len(tests)} passed" in done.stdout


@pytest.mark.parametrize("taken", TAKEN_OUT, ids=lambda one: f"{one.rule}-{one.lost.replace(' ', '-')}")
def test_without_the_rule_its_test_fails(taken: TakingOut, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres_server") if taken.needs_postgres else ""
    copy = Copy(tmp_path)
    copy.take_out(taken)
    done = copy.run([taken.test], {"CELERIAC_TEST_POSTGRES_URL": server})
    assert done.returncode == 1, f"pytest ended with {done.returncode}, 1 would be a failed test:\n{done.stdout}"
    assert "1 failed" in done.stdout and not BROKEN.search(done.stdout), done.stdout
