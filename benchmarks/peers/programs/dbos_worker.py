"""A process that runs DBOS's functions: those it starts itself, those it finds unfinished, those of the queue."""

from __future__ import annotations

import argparse
import signal

from dbos import DBOS, SetWorkflowID

from benchmarks.peers.programs.dbos_functions import effects_of, launch

QUEUE = "bench"


def main() -> None:
    """Run until somebody ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=0, help="start so many runs with effects")
    parser.add_argument("--concurrency", type=int, help="poll the queue, and run so many at once")
    options = parser.parse_args()
    launch()
    if options.concurrency:
        DBOS.register_queue(QUEUE, worker_concurrency=options.concurrency, on_conflict="always_update")
    for number in range(options.runs):
        with SetWorkflowID(f"run-{number}"):
            DBOS.start_workflow(effects_of, f"run-{number}")
    signal.pause()


if __name__ == "__main__":
    main()
