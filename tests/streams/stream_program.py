"""Drafts for the tests of streams: made by name, or at random as programs of many runs that tell, repeat and die."""

from __future__ import annotations

import random
from typing import Any

from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import Draft, run_channel
from celeriac.platform.streams.stream import Passage, Stream

TENANT = "ten_a"


def once(id: str, **data: Any) -> Draft:
    """Return something that is said once."""
    return Draft(kind="once", id=id, event="data.delta", data=data, timestamp=1)


def begin(run: str, parent: str = "") -> Draft:
    """Return the begin of a run."""
    data = {"runId": run, "scope": "agent" if parent else "network", "name": "ä/b", "messageId": f"m_{run}"}
    data |= {"parentRunId": parent} if parent else {}
    return Draft(kind="begin", id=f"{run}:started", event="run.started", data=data, timestamp=2, run=run, parent=parent)


def end(run: str, event: str = "run.completed", **data: Any) -> Draft:
    """Return the end of a run."""
    return Draft(kind="end", id=f"{run}:ended", event=event, data={"runId": run, **data}, timestamp=3, run=run)


def opened(message: str, slot: str, run: str = "r", name: str = "text") -> Draft:
    """Return the begin of a part of a message in a slot."""
    part = f"{message}:{name}"
    data = {"partId": part, "runId": run, "messageId": "m", "type": name, "metadata": {"agentName": "A"}}
    places = {"part": part, "slot": slot, "message": message, "run": run}
    return Draft(kind="open", id=f"{part}:created", event="part.created", data=data, timestamp=4, **places)


def more(part: str, index: int, text: str = "x", span: int = 1) -> Draft:
    """Return a piece of a part."""
    data = {"partId": part, "delta": text}
    at = {"part": part, "index": index, "span": span}
    return Draft(kind="more", id=f"{part}:{index}", event="text.delta", data=data, timestamp=5, **at)


def done(part: str) -> Draft:
    """Return the end of a part."""
    data = {"partId": part, "finalContent": {"empty": [], "none": None}}
    return Draft(kind="done", id=f"{part}:completed", event="part.completed", data=data, timestamp=6, part=part)


def settled(slot: str) -> Draft:
    """Return that a slot has its reply."""
    return Draft(kind="settle", id=f"{slot}:settled", event="", timestamp=7, slot=slot)


def closed(event: str = "run.interrupted", **data: Any) -> Draft:
    """Return the end of all that is open."""
    return Draft(kind="close", id="closed", event=event, data=data or {"reason": "cancelled"}, timestamp=8)


def told(*drafts: Draft, run_id: str = "run_1", **parts: Any) -> Passage:
    """Return drafts of a run as a passage whose chunks are wanted."""
    return Passage(tenant_id=TENANT, run_id=run_id, drafts=drafts, is_heard=True, **parts)


def read(stream: Stream, run_id: str = "run_1") -> list[Chunk]:
    """Return all chunks of a run."""
    return [one.chunk for one in stream.read(TENANT, run_channel(run_id), limit=100_000)]


def events(stream: Stream, run_id: str = "run_1") -> list[str]:
    """Return what a run told, by its events alone."""
    return [chunk.event for chunk in read(stream, run_id)]


def random_passage(chance: random.Random) -> Passage:
    """Return some drafts, many of which were told before, contradict others or come too late."""
    drafts = [_random_draft(chance) for _ in range(chance.randint(1, 8))]
    channels = tuple(sorted(chance.sample(["thread:t", "user:1"], chance.randint(0, 2))))
    run_id = f"run_{chance.randint(1, 2)}"
    return told(*drafts, run_id=run_id, fence=chance.choice([1, 1, 2, 2, 3]), channels=channels)


def _random_draft(chance: random.Random) -> Draft:
    message, slot = f"msg{chance.randint(1, 4)}", f"slot{chance.randint(1, 2)}"
    name, run = chance.choice(["text", "call"]), f"r{chance.randint(1, 3)}"
    part = f"{message}:{name}"
    match chance.randint(0, 8):
        case 0:
            return once(f"one{chance.randint(1, 5)}", said=chance.choice(["a", {}, [], None, 1.5, "\u2028é\\/"]))
        case 1:
            return begin(run, chance.choice(["", "r1", "r2"]))
        case 2:
            return end(run, chance.choice(["run.completed", "run.failed"]), error="e/é", recoverable=False)
        case 3 | 4:
            return opened(message, slot, run, name)
        case 5:
            return more(part, chance.randint(0, 4), span=chance.randint(1, 3))
        case 6:
            return done(part)
        case 7:
            return settled(slot)
        case _:
            return closed() if chance.random() < 0.3 else more(part, chance.randint(0, 9))
