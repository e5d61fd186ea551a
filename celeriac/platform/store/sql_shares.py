"""A group of entries sorted by the runs it is for: what both databases commit, each in its own way.

Built by `sql_journal.py`. Decides nothing and reads no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from celeriac.platform.codec import utf8_size
from celeriac.platform.durable.memo import AttemptFailed, Entry, OutgoingEvent, StepDone, Wait, WaitBegun
from celeriac.platform.message import NOTHING, Usage

_NO_USAGE = NOTHING.parts()


@dataclass(kw_only=True, slots=True)
class Share:
    """What a group brings to one run under one fence."""

    run_id: str
    tenant_id: str
    fence: int
    steps: list[StepDone] = field(default_factory=list)
    attempts: list[AttemptFailed] = field(default_factory=list)
    #: with the commit_id of the entry that each came by
    waits: list[tuple[Wait, str]] = field(default_factory=list)
    #: what its steps and waits send, and the paths at and below which waits are over with its steps
    events: list[OutgoingEvent] = field(default_factory=list)
    closes: list[str] = field(default_factory=list)
    #: places of all its entries in the group; `step_places` those of its steps
    places: list[int] = field(default_factory=list)
    step_places: list[int] = field(default_factory=list)

    def totals(self) -> tuple[int | float, ...]:
        """Return what is added to the run's row: steps, waits, and the parts of its usage in their order."""
        used = sum((step.usage for step in self.steps if step.usage is not NOTHING), NOTHING)
        return (len(self.steps), len(self.waits), *used.parts())

    def plain_totals(self) -> tuple[int, int, int]:
        """Return steps, waits and the bytes of the steps' values: all that there is to add where nothing was called."""
        return len(self.steps), len(self.waits), sum([utf8_size(step.value) for step in self.steps])

    def by_model(self) -> list[tuple[str | int | float, ...]]:
        """Return what is counted of its steps: for each model its name, steps, the parts of usage, and bytes."""
        if self.is_plain:
            stored = sum([utf8_size(step.value) for step in self.steps])
            return [("", len(self.steps), *_NO_USAGE, stored)] if self.steps else []
        found: dict[str, tuple[int, Usage, int]] = {}
        for step in self.steps:
            steps, used, stored = found.get(step.model, (0, NOTHING, 0))
            found[step.model] = (steps + 1, used + step.usage, stored + utf8_size(step.value))
        return [(model, steps, *used.parts(), stored) for model, (steps, used, stored) in found.items()]

    @property
    def is_plain(self) -> bool:
        """Whether its steps called no model and no tool."""
        return all(step.usage is NOTHING for step in self.steps)

    @property
    def is_lone_step(self) -> bool:
        """Whether it brings one step and nothing else."""
        return len(self.steps) == 1 and not (self.waits or self.events or self.closes)


def share_out(entries: Sequence[Entry]) -> list[Share]:
    """Sort a group by run, in the order in which runs are locked."""
    shares: dict[tuple[str, int, str], Share] = {}
    for place, entry in enumerate(entries):
        key = (entry.run_id, entry.fence, entry.tenant_id)
        share = shares.get(key)
        if share is None:
            share = shares[key] = Share(run_id=entry.run_id, tenant_id=entry.tenant_id, fence=entry.fence)
        share.places.append(place)
        match entry:
            case StepDone():
                share.steps.append(entry)
                share.step_places.append(place)
                share.events += entry.events
                share.closes += entry.closes
            case AttemptFailed():
                share.attempts.append(entry)
                share.waits.append((entry.wait, entry.commit_id))
            case WaitBegun():
                share.waits.append((entry.wait, entry.commit_id))
                share.events += entry.events
            case _:
                raise TypeError(f"{type(entry).__name__} is no entry of the journal")
    return [shares[key] for key in sorted(shares)]


def answer(entries: Sequence[Entry], shares: Sequence[Share], bases: dict[int, int]) -> list[int | None]:
    """Return the answer to each entry: None for shares without a base, else 0, or the step's seq behind the base.

    `bases` holds, by the share's place, how many steps the run had before.
    """
    answers: list[int | None] = [None] * len(entries)
    for number, base in bases.items():
        for place in shares[number].places:
            answers[place] = 0
        for seq, place in enumerate(shares[number].step_places, start=base + 1):
            answers[place] = seq
    return answers
