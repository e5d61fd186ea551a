"""Taking in requests together that come at the same time, as the journal does with the steps of a process.

The intake's threads call it. Requests of one tenant that come while another one is being stored wait for each other and
go into one transaction: under load an event costs a third, and one that comes alone waits for nobody. Each request is
still taken whole or not at all, and one that fails fails alone. Tenants never wait for one another here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.store import Accepted, Ingested
from celeriac.platform.event import Event

#: stores a tenant's events, if it has no more queued runs then than the number says
Store = Callable[[str, Sequence[Event], int | None], Ingested]

#: those that may go together: the tenant, and how many runs of it may be queued
_Line = tuple[str, int | None]

#: sends the runs of stored events on their way
Follow = Callable[[Ingested], None]

#: events of one group; a request that is larger goes by itself
_LARGEST_GROUP = 500


@dataclass(eq=False)
class _Request:
    events: Sequence[Event]
    #: set when it has its answer, or has to lead the next group
    is_called: threading.Event = field(default_factory=threading.Event)
    answer: list[Accepted] | Exception | None = None


class GroupIngest:
    """Lets one of the threads that wait store the requests of all; safe to share between threads."""

    def __init__(self, store: Store, follow: Follow) -> None:
        """Store each group by `store`, and hand to `follow` what came of it."""
        self._ingest, self._follow = store, follow
        self._lock = threading.Lock()
        #: the requests that wait; a line that is here has a thread that leads
        self._lines: dict[_Line, deque[_Request]] = {}

    def take(self, tenant_id: str, events: Sequence[Event], *, most_queued: int | None = None) -> list[Accepted]:
        """Store the events and return what became of each, in their order; raise what storing them raised."""
        request, line = _Request(events), (tenant_id, most_queued)
        if self._joins(line, request):
            request.is_called.wait()
        if request.answer is None:
            self._lead(line)
        if isinstance(request.answer, Exception):
            raise request.answer
        assert request.answer is not None, "whoever leads answers all of its group, itself among them"
        return request.answer

    def _joins(self, line: _Line, request: _Request) -> bool:
        """Stand in the line; False where nobody leads it, so that this request has to."""
        with self._lock:
            is_led = line in self._lines
            self._lines.setdefault(line, deque()).append(request)
            return is_led

    def _lead(self, line: _Line) -> None:
        """Store the first of the line, whose thread this is, with those behind it, and call the next leader."""
        with self._lock:
            group = list(_first(self._lines[line]))
        try:
            self._store(line, group)
        finally:
            with self._lock:
                waiting = self._lines[line]
                failure = group[0].answer if isinstance(group[0].answer, Exception) else None
                if isinstance(failure, StoreUnavailable):
                    group = list(waiting)  # each by itself would only wait again for a database that is away
                for request in group:
                    waiting.popleft()
                    if request.answer is None:
                        request.answer = failure or StoreUnavailable("The request was cut off; send it again")
                    request.is_called.set()
                if waiting:
                    waiting[0].is_called.set()
                else:
                    del self._lines[line]

    def _store(self, line: _Line, group: Sequence[_Request]) -> None:
        tenant_id, most_queued = line
        try:
            ingested = self._ingest(tenant_id, [event for request in group for event in request.events], most_queued)
        except StoreUnavailable as error:
            group[0].answer = error
        except Exception as error:  # noqa: BLE001  # it is raised to whom it is for
            if len(group) == 1:
                group[0].answer = error
                return
            for request in group:  # nothing of the group was stored
                self._store(line, [request])
        else:
            accepted = iter(ingested.accepted)
            for request in group:
                request.answer = [next(accepted) for _ in request.events]
            self._follow(ingested)


def _first(line: deque[_Request]) -> Iterator[_Request]:
    """Return the requests that go together: the first, and those behind it for which there is room."""
    room = _LARGEST_GROUP
    for number, request in enumerate(line):
        room -= len(request.events)
        if number and room < 0:
            return
        yield request
