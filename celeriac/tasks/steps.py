"""Celery's bootsteps: where the worker's life begins and ends.

The process starts once the pool is there and before anything is consumed. At the first sign of a shutdown it drains:
links end at their next step, and Celery waits for them; then it leaves the fleet.
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps, signals
from celery.worker import state

from celeriac.settings import load_settings
from celeriac.tasks.celery import app
from celeriac.tasks.perform import share_worker_id
from celeriac.tasks.process import WorkerProcess, current_process, running_process, set_current_process
from celeriac.wiring import installation


class CeleryConsumer:
    """What Celery counts, whatever its pool."""

    def taken(self) -> int:
        """Return how many tasks were begun."""
        return sum(state.total_count.values())

    def active(self) -> int:
        """Return how many tasks are executing."""
        return len(state.active_requests)


class Process(bootsteps.StartStopStep):  # type: ignore[misc,unused-ignore]
    """Starts the process beside Celery's pool."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Join the fleet."""
        queues = tuple(worker.app.amqp.queues.consume_from)
        process = WorkerProcess(
            installation(),
            load_settings(),
            queues=queues,
            capacity=worker.concurrency,
            consumer=CeleryConsumer(),
            on_joined=share_worker_id,
        )
        set_current_process(process)
        process.start()

    def stop(self, worker: Any) -> None:
        """Drain, if the signal did not come by."""
        current_process().drain()


app.steps["worker"].add(Process)


@signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator,unused-ignore]
def _drain(**_: Any) -> None:
    process = running_process()
    if process is not None:
        process.drain()


@signals.worker_shutdown.connect(weak=False)  # type: ignore[untyped-decorator,unused-ignore]
def _leave(**_: Any) -> None:
    process = running_process()
    if process is not None:
        process.close()
