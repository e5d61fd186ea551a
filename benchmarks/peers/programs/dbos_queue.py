"""DBOS's queue: a client enqueues, two worker processes poll the database once a second, which is the default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dbos import DBOS, DBOSClient

from benchmarks.peers.programs.dbos_functions import VERSION, launch, url
from benchmarks.peers.programs.dbos_in_process import count_ended
from benchmarks.peers.programs.dbos_worker import QUEUE
from benchmarks.peers.programs.processes import Processes
from benchmarks.peers.programs.yardstick import measure

WORKERS = 2
CONCURRENCY = 32
#: how often a waiting sender looks: for one run, whose time the default of a second would hide, and for many
LOOK_SECONDS = 0.01
LOOK_AT_MANY_SECONDS = 0.1


class Queue:
    """Two workers, and a client."""

    def __init__(self, workers: Processes, client: DBOSClient) -> None:
        """Start the workers; they are up when a run has ended."""
        self._workers = workers
        self._client = client
        self.restart()

    def steps(self, count: int) -> float:
        """Wait for a run that came by the queue."""
        seconds: float = self._enqueue("trivial_steps", {}, count).get_result(polling_interval_sec=LOOK_SECONDS)
        return seconds

    def burst(self, runs: int, steps: int) -> None:
        """Enqueue each run by itself."""
        queued = [self._enqueue("trivial_steps", {}, steps) for _ in range(runs)]
        for run in queued:
            run.get_result(polling_interval_sec=LOOK_SECONDS if runs == 1 else LOOK_AT_MANY_SECONDS)

    def submit(self, runs: int) -> None:
        """Enqueue the runs with effects."""
        self.burst(64, 1)
        for number in range(runs):
            self._enqueue("effects_of", {"workflow_id": f"run-{number}"}, f"run-{number}")

    def kill(self) -> None:
        """Kill the workers."""
        self._workers.kill()

    def restart(self) -> None:
        """Start workers of the same identity, who go on with what the dead ones had."""
        for _ in range(WORKERS):
            command = ("-m", "benchmarks.peers.programs.dbos_worker", "--concurrency", str(CONCURRENCY))
            self._workers.start_python(*command)

    def ended(self) -> int:
        """Ask the database."""
        return count_ended(self._client)

    def _enqueue(self, name: str, options: dict[str, Any], *arguments: Any) -> Any:
        into = {"queue_name": QUEUE, "workflow_name": name, "app_version": VERSION, **options}
        return self._client.enqueue(into, *arguments)


@contextmanager
def open_queue() -> Iterator[Queue]:
    """Make the tables first: two workers at once would race for them."""
    launch()
    DBOS.destroy()
    with Processes() as workers:
        yield Queue(workers, DBOSClient(system_database_url=url()))


if __name__ == "__main__":
    measure(open_queue, open_queue)
