"""T10 and T11: the suite proves isolation route by route and table by table; here its tests are run and counted."""

from __future__ import annotations

import re
import subprocess
import sys

from benchmarks.servers import ROOT
from benchmarks.tenants.recipe import Outcome, Setting, at_least, exactly

#: the tests of each, below the project
ROUTES = tuple(f"tests/web/test_isolation_{name}.py" for name in ("api", "fields", "pages"))
SQL = (
    "tests/tenants/test_row_security.py",
    "tests/tenants/test_row_security_logins.py",
    "tests/web/test_isolation_walls.py",
)

_COUNTS = re.compile(r"(\d+) (passed|failed|error|errors|skipped)")


def isolated_routes(setting: Setting) -> Outcome:
    """Every route of the OpenAPI document, with one's own id, another tenant's, a random one, and bad keys."""
    return _outcome(ROUTES)


def isolated_rows(setting: Setting) -> Outcome:
    """Reads of the web's role with every tenant filter taken out."""
    return _outcome(SQL)


def _outcome(paths: tuple[str, ...]) -> Outcome:
    missing = [path for path in paths if not (ROOT / path).exists()]
    if missing:
        raise FileNotFoundError(f"There are no tests at {', '.join(missing)}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    counts = {name: int(number) for number, name in _COUNTS.findall(done.stdout)}
    return Outcome(
        figures={
            "failed": counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0),
            "passed_tests": counts.get("passed", 0),
            "skipped": counts.get("skipped", 0),
            "exit_code": done.returncode,
        },
        bounds=(exactly("failed", 0), exactly("exit_code", 0), at_least("passed_tests", 1)),
    )
