"""The effects of steps: an append-only file with one line for each body that began, so that repeated ones show."""

from __future__ import annotations

import os
from pathlib import Path

#: of each run
STEPS = 10
#: how long the body of a step with an effect takes
STEP_SECONDS = 0.02


def effect(run: str, step: int) -> None:
    """Write down that this step's body began."""
    file = os.open(_path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{run} {step}\n".encode())
    finally:
        os.close(file)


def effects() -> list[str]:
    """Return all lines up to now."""
    return _path().read_text().splitlines() if _path().exists() else []


def _path() -> Path:
    return Path(os.environ["BENCH_FOLDER"]) / "effects.txt"
