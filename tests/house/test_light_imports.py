"""Importing the SDK is cheap: what a plain script does not use, it does not load."""

from __future__ import annotations

import json
import subprocess
import sys

#: Loaded by nobody before it is used.
PROVIDERS_AND_MEMORY = {"anthropic", "mcp", "mem0", "openai"}

#: Loaded by no plain script at all.
INFRASTRUCTURE = {"alembic", "celery", "flask", "kombu", "redis", "sqlalchemy"}


def modules_loaded_by(code: str) -> set[str]:
    """Run the code in a fresh interpreter and name the top-level modules that are there afterwards."""
    code += "; import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_the_sdk_loads_no_infrastructure_and_no_provider() -> None:
    """A script with an agent and a network needs neither Celery nor a database."""
    assert modules_loaded_by("import celeriac") & (INFRASTRUCTURE | PROVIDERS_AND_MEMORY) == set()


def test_the_command_line_starts_without_celery_and_providers() -> None:
    """`celeriac --help` answers before Celery would be imported."""
    heavy = {"alembic", "celery"} | PROVIDERS_AND_MEMORY
    assert modules_loaded_by("import celeriac.cli") & heavy == set()


def test_the_probe_sees_what_is_loaded() -> None:
    """The two tests above would be green for ever if it did not."""
    assert {"redis", "json"} <= modules_loaded_by("import redis")
