"""A shift at the desk: opens tickets as customers do, decides as staff do, and kills a worker on the way.

One loop looks at the ledger and does what is due. It only uses what any tenant may use; killing is the operator's part.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from celeriac.errors import CeleriacError
from examples.bank_support.bank import Bank
from examples.bank_support.customers import Ticket
from examples.bank_support.ledger import Ledger, TicketRun
from examples.bank_support.progress import Progress

if TYPE_CHECKING:
    from celeriac.cli.stage import Stage
    from celeriac.cli.supervisor import Child

#: how often the loop looks, and how often staff look for something to decide
_LOOK_SECONDS, _STAFF_SECONDS = 0.1, 0.5

#: a worker is killed when this part of the tickets is closed and it holds at least so many runs
_KILL_AFTER, _KILL_BUSY = 0.3, 3

#: nothing has moved for so long: something is broken
_PATIENCE_SECONDS = 120.0

_OPENING_AT_ONCE = 8


class Stalled(CeleriacError):
    """The tickets stopped moving."""

    code = "stalled"


class Shift:
    """Works through the tickets; afterwards `opened`, `killed` and `interrupted` say what was done."""

    def __init__(self, stage: Stage, banks: Mapping[str, Bank], ledger: Ledger, progress: Progress) -> None:
        """Start with an empty desk."""
        self._stage, self._banks, self._ledger, self._progress = stage, banks, ledger, progress
        #: by the id of the event
        self.opened: dict[str, Ticket] = {}
        self.killed: list[str] = []
        #: the runs that were running on the workers that were killed
        self.interrupted: set[str] = set()
        #: by customer
        self._waiting: dict[str, deque[Ticket]] = defaultdict(deque)
        #: on their way to the platform
        self._opening: dict[Ticket, Future[str]] = {}
        self._decided: set[str] = set()
        self._staff_looks_at = 0.0
        self._moved = (time.monotonic(), "")

    def work(self, tickets: Sequence[Ticket]) -> None:
        """Return when all tickets are closed; raise `Stalled` when they stop moving."""
        for ticket in tickets:
            self._waiting[ticket.customer_id].append(ticket)
        with ThreadPoolExecutor(_OPENING_AT_ONCE, thread_name_prefix="customers") as customers:
            while True:
                runs = self._ledger.tickets()
                closed = {run.event_id for run in runs if run.is_closed}
                self._open_next(closed, customers)
                self._decide_where_asked()
                self._kill_one_worker(len(closed) / len(tickets))
                self._tell(runs, len(tickets))
                if len(closed) == len(tickets) == len(self.opened):
                    return
                time.sleep(_LOOK_SECONDS)

    def _open_next(self, closed: Set[str], customers: Executor) -> None:
        """Open the next ticket of every customer whose last one is closed, side by side."""
        accepted = [(ticket, future.result()) for ticket, future in self._opening.items() if future.done()]
        for ticket, event_id in accepted:
            self.opened[event_id] = ticket
            del self._opening[ticket]
        busy = {ticket.customer_id for ticket in self._opening}
        busy |= {ticket.customer_id for event_id, ticket in self.opened.items() if event_id not in closed}
        for customer_id, waiting in self._waiting.items():
            if waiting and customer_id not in busy:
                ticket = waiting.popleft()
                self._opening[ticket] = customers.submit(self._banks[ticket.bank].open_ticket, ticket)

    def _decide_where_asked(self) -> None:
        if time.monotonic() < self._staff_looks_at:
            return
        for bank in self._banks.values():
            for event_id in bank.undecided():
                if event_id in self.opened and event_id not in self._decided:
                    ticket = self.opened[event_id]
                    words = "block the cards" if bank.decide(ticket) else "do not block the cards"
                    self._decided.add(event_id)
                    self._progress.note(f"{bank.name}, ticket {ticket.ticket_id}: a colleague decided: {words}")
        self._staff_looks_at = time.monotonic() + _STAFF_SECONDS

    def _kill_one_worker(self, done: float) -> None:
        """Kill the busiest worker once, without a warning, and start it again."""
        if self.killed or done < _KILL_AFTER:
            return
        held = {worker: len(self._ledger.running_on(worker.pid)) for worker in self._workers()}
        worker = max(held, key=lambda one: held[one], default=None)
        if worker is None:
            return
        if held[worker] < (_KILL_BUSY if done < 2 * _KILL_AFTER else 1):
            return
        pid = worker.pid
        os.kill(pid, signal.SIGSTOP)  # held still for a moment, so that what it holds can be counted
        self.interrupted |= set(self._ledger.running_on(pid))
        worker.kill()
        self.killed.append(worker.name)
        self._progress.note(f"kill -9 {pid}: {worker.name} died over {len(self.interrupted)} runs; starting it again")
        worker.start()

    def _workers(self) -> list[Child]:
        return [worker for worker in self._stage.workers if "runs" in worker.queues and worker.is_alive()]

    def _tell(self, runs: Sequence[TicketRun], of: int) -> None:
        """Show how things stand; raise `Stalled` when they have stood so for too long."""
        count = Counter(run.status for run in runs)
        remembered = sum(run.memory == "completed" for run in runs)
        line = (
            f"{count['completed']}/{of} answered · {count['running'] + count['queued']} active · "
            f"{count['parked']} parked · {remembered} remembered · {self._ledger.usage().model_calls} model calls · "
            f"{len(self._decided)} decided"
        )
        self._progress.show(line)
        since, before = self._moved
        if line != before:
            self._moved = (time.monotonic(), line)
        elif time.monotonic() - since > _PATIENCE_SECONDS:
            raise Stalled(f"Nothing has moved for {_PATIENCE_SECONDS:g} s: {line}; see the logs of the workers")
