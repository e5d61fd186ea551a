"""Memos: what a run remembers of its steps, and the entries by which it comes to remember.

A link replays a run from its memos. It makes new ones by handing entries to the journal, which commits them under the
run's fence. Values are JSON text, encoded and checked before they get here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from celeriac.ids import new_mark
from celeriac.platform.message import NOTHING, Usage

StepKind = Literal[
    "run", "model", "tool", "turn", "fetch", "sleep", "event", "send", "signal", "invoke", "race", "defer"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Memo:
    """A committed step: its value, or the error that its body ended with. Neither ever changes."""

    path: str
    kind: StepKind
    #: the place in the order of commits of the run, from 1, without gaps
    seq: int
    #: JSON text of the value; None where the step failed
    value: str | None = None
    #: JSON text of `{"name", "message"}`
    error: str | None = None

    def encode(self) -> str:
        """Return the memo as one line of JSON, for the cache."""
        return json.dumps([self.path, self.kind, self.seq, self.value, self.error], separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Memo:
        """Read back what `encode` wrote."""
        path, kind, seq, value, error = json.loads(text)
        return cls(path=path, kind=kind, seq=seq, value=value, error=error)


#: `limit` holds a call of a model back until its tenant may make it; `start` holds a run back before its first link;
#: `cancel` is no standing still: its event ends the run
WaitKind = Literal["sleep", "event", "signal", "invoke", "placed", "retry", "limit", "start", "order", "cancel"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """The only way a run stands still: until a time, until an event, or until either.

    (run, path, number) is its key; `number` counts the attempts of a step that is to be tried again, else it is 0.
    """

    path: str
    kind: WaitKind
    number: int = 0
    wake_at: datetime
    event_name: str | None = None
    #: dotted path into the event that comes, and the JSON text that has to stand there
    match_path: str | None = None
    match_value: str | None = None
    #: an expression over `event` (the run's own) and `async` (the one that comes) that has to hold as well
    condition: str | None = None
    #: events received before this time do not count
    since: datetime | None = None
    #: set when it is over: by its event (then with the event's JSON text) or by its time
    resolved_at: datetime | None = None
    event: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OutgoingEvent:
    """An event that a step sends; its id is derived from run and path, so that it is sent once."""

    id: str
    name: str
    #: JSON text
    data: str
    ts: datetime | None = None
    #: whether the platform itself sends it (memory writes, run.finished)
    is_internal: bool = False
    #: `app/function_id` where it is for this function alone
    target: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing that a link wants to become true, with the right (run, fence) by which it may."""

    run_id: str
    tenant_id: str
    fence: int
    path: str
    #: by it the entry is found again when the outcome of a COMMIT is unknown
    commit_id: str = field(default_factory=new_mark)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepDone(Entry):
    """A step ended, for good or after its last attempt."""

    kind: StepKind
    value: str | None = None
    error: str | None = None
    #: JSON text of what the step was given, for people
    input: str | None = None
    started_at: datetime
    ended_at: datetime
    #: the number of the attempt that ended it, from 1
    attempt: int = 1
    usage: Usage = NOTHING
    #: the model that was called, as `provider:model`
    model: str = ""
    events: tuple[OutgoingEvent, ...] = ()
    #: paths whose open waits are over with it, and those below them: the losers of a race
    closes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptFailed(Entry):
    """An attempt of a step failed and another one is planned: `wait` says for when."""

    number: int
    #: JSON text of `{"name", "message"}`
    error: str
    started_at: datetime
    ended_at: datetime
    wait: Wait


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitBegun(Entry):
    """A branch reached a wait for a time (waits for events are registered by the store's `await_event`).

    `events` are sent with it: what it waits for may be their consequence, as with `invoke`.
    """

    wait: Wait
    events: tuple[OutgoingEvent, ...] = ()
