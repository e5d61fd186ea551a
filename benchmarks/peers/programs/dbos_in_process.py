"""DBOS as a library: runs are threads of the process that starts them; there is no queue and no worker.

For the case `recovery` that process is a child (`dbos_worker`), and a new one with the same identity goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from dbos import DBOS, DBOSClient, WorkflowStatus

from benchmarks.peers.programs.dbos_functions import launch, trivial_steps, url
from benchmarks.peers.programs.processes import Processes
from benchmarks.peers.programs.yardstick import measure


class InProcess:
    """DBOS, launched here."""

    def steps(self, count: int) -> float:
        """Call the function directly."""
        seconds: float = trivial_steps(count)
        return seconds

    def burst(self, runs: int, steps: int) -> None:
        """Start each run by itself."""
        started = [DBOS.start_workflow(trivial_steps, steps) for _ in range(runs)]
        for run in started:
            run.get_result()


class Killed:
    """DBOS in a child that starts all runs, and is killed."""

    def __init__(self, children: Processes, client: DBOSClient) -> None:
        """Start nothing yet."""
        self._children = children
        self._client = client

    def submit(self, runs: int) -> None:
        """Let a child start them; nobody else would start one that it had not begun with when it is killed."""
        self._children.start_python("-m", "benchmarks.peers.programs.dbos_worker", "--runs", str(runs))
        while len(_started(self._client)) < runs:
            self._children.refuse_dead()
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill the child."""
        self._children.kill()

    def restart(self) -> None:
        """Start a child that starts nothing itself."""
        self._children.start_python("-m", "benchmarks.peers.programs.dbos_worker")

    def ended(self) -> int:
        """Ask the database."""
        return count_ended(self._client)


def count_ended(client: DBOSClient) -> int:
    """Count the runs with effects that have succeeded."""
    return sum(run.status == "SUCCESS" for run in _started(client))


def _started(client: DBOSClient) -> list[WorkflowStatus]:
    found = client.list_workflows(limit=1000, load_input=False, load_output=False)
    return [run for run in found if run.workflow_id.startswith("run-")]


@contextmanager
def open_in_process() -> Iterator[InProcess]:
    """Launch DBOS here."""
    launch()
    yield InProcess()
    DBOS.destroy()


@contextmanager
def open_killed() -> Iterator[Killed]:
    """Make the tables, so that the time of the new process is not the time of its migrations."""
    launch()
    DBOS.destroy()
    with Processes() as children:
        yield Killed(children, DBOSClient(system_database_url=url()))


if __name__ == "__main__":
    measure(open_in_process, open_killed)
