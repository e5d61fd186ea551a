"""The invariant on streams: what a run told is whole, in order, and told once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from celeriac.chaos.judge.evidence import Evidence, RunRow
from celeriac.chaos.judge.excuses import Excuses
from celeriac.chaos.judge.verdict import Verdict, judged, not_judged
from celeriac.platform.streams.chunk import Chunk

#: how long after a run's end its last words may still be on their way
_LAST_WORDS_SECONDS = 6.0

_SAYS = "A reader of the stream sees every event once, in order"


def streams_are_whole(evidence: Evidence, _: Excuses) -> Verdict:
    """I9: the chunks of each run have numbers without gaps and ids of their own, and nothing is left open at its end.

    Redis may lose a stream, or the beginning of one, and what is told while it is away; nothing else may.
    """
    if evidence.streams is None:
        return not_judged("I9", _SAYS, "the streams could not be read")
    may_lose = any(trouble.kind in ("redis", "silence", "slow") for trouble in evidence.troubles)
    breaches = []
    for run_id, chunks in evidence.streams.items():
        if (run := evidence.runs.get(run_id)) is not None:  # else I1 says so
            breaches += [f"the stream of run {run_id} {what}" for what in _breaches(run, chunks, evidence, may_lose)]
    told = sum(map(len, evidence.streams.values()))
    return judged("I9", _SAYS, breaches, streams=len(evidence.streams), chunks=told)


def _breaches(run: RunRow, chunks: Sequence[Chunk], evidence: Evidence, may_lose: bool) -> Iterator[str]:
    if not chunks:
        if run.status == "completed" and not may_lose:
            yield "is empty"
        return
    first = chunks[0].sequence_number
    if [chunk.sequence_number for chunk in chunks] != list(range(first, first + len(chunks))):
        yield "has gaps"
    if first and not may_lose:
        yield f"begins with number {first}"
    if len({chunk.id for chunk in chunks}) < len(chunks):
        yield "tells something twice"
    if run.ended_at is None or evidence.collected_at - run.ended_at < _LAST_WORDS_SECONDS:
        return
    if chunks[-1].event != "stream.ended":
        yield f"ends with {chunks[-1].event}"
    yield from _left_open(chunks)
    failed = [chunk.data.get("scope") for chunk in chunks if chunk.event in ("run.failed", "run.interrupted")]
    if run.status == "completed" and failed:
        yield f"tells of a failed {failed[0]}, and the run has completed"


def _left_open(chunks: Sequence[Chunk]) -> Iterator[str]:
    open_parts: set[str] = set()
    for chunk in chunks:
        if chunk.event == "part.created":
            open_parts.add(chunk.data["partId"])
        elif chunk.event in ("part.completed", "part.failed"):
            open_parts.discard(chunk.data["partId"])
    if open_parts:
        yield f"leaves the parts {sorted(open_parts)} open"
