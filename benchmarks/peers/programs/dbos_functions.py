"""DBOS's durable functions, and how DBOS is opened on this measurement's database."""

from __future__ import annotations

import os
import time
from typing import Any

from dbos import DBOS

from benchmarks.peers.programs.effects import STEP_SECONDS, STEPS, effect

VERSION = "v1"


def url() -> str:
    """Return the address of the database."""
    return os.environ["BENCH_POSTGRES_URL"]


def launch() -> None:
    """Open DBOS in this process; what a process before it left unfinished goes on here."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url(),
            "log_level": "ERROR",
            "console_log_level": "ERROR",
            "application_version": VERSION,
        }
    )
    DBOS.launch()


@DBOS.step()
def trivial(number: int) -> dict[str, Any]:
    """Do next to nothing."""
    return {"i": number, "ok": True}


@DBOS.workflow()
def trivial_steps(count: int) -> float:
    """Make trivial steps one after the other; return the seconds of each."""
    began = time.perf_counter()
    for number in range(count):
        trivial(number)
    return (time.perf_counter() - began) / count


@DBOS.step()
def leave_effect(run: str, step: int) -> int:
    """Write a line and take a while."""
    effect(run, step)
    time.sleep(STEP_SECONDS)
    return step


@DBOS.workflow()
def effects_of(run: str) -> int:
    """Make the steps that leave effects."""
    for step in range(STEPS):
        leave_effect(run, step)
    return STEPS
