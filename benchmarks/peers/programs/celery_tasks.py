"""Celery's app: the tasks that stand for steps, acknowledged late as everybody does who fears a crash."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celery import Celery

from benchmarks.peers.programs.effects import STEP_SECONDS, effect

app = Celery("bench", broker=os.environ["BENCH_REDIS_URL"], backend=os.environ["BENCH_REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_transport_options=json.loads(os.environ.get("BENCH_TRANSPORT", "{}")),
    broker_connection_retry_on_startup=True,
)


@app.task
def trivial(number: int) -> dict[str, Any]:
    """Do next to nothing."""
    return {"i": number, "ok": True}


@app.task
def leave_effect(run: str, step: int) -> int:
    """Write a line and take a while."""
    effect(run, step)
    time.sleep(STEP_SECONDS)
    return step
