"""DBOS as a library: runs are threads of the process that starts them; there is no queue and no worker.

For the case `recovery` that process is a child (`dbos_worker`), and a new one with the same identity goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dbos import DBOS, DBOSClient

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
        """Let a child start them."""
        self._children.start_python("-m", "benchmarks.peers.programs.dbos_worker", "--runs", str(runs))

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
    found = client.list_workflows(status="SUCCESS", limit=1000, load_input=False, load_output=False)
    return sum(run.workflow_id.startswith("run-") for run in found)


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
