"""Reading: what a run has told, for whoever may see the run."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from celeriac.platform.run import Run
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import run_channel
from celeriac.platform.streams.stream import Passage, Stream, StreamUnavailable
from celeriac.platform.streams.writer import closing_draft

log = logging.getLogger(__name__)

_PAGE = 1_000
#: no link has a run that is over, so that nobody's right is passed over
_LAST_FENCE = 2**31
#: how long after its end a run's process may still be telling
_LAST_WORDS = timedelta(seconds=5)


def read_chunks(stream: Stream, run: Run, *, after: int = -1) -> list[Chunk]:
    """Return all chunks of a run behind a number, in order.

    A run may end where nobody tells, or the process may die that had the last word. What was left open then is closed
    before it is read.
    """
    if run.ended_at is not None and datetime.now(UTC) - run.ended_at > _LAST_WORDS:
        close(stream, run)
    chunks: list[Chunk] = []
    while True:
        page = stream.read(run.tenant_id, run_channel(run.id), after=after, limit=_PAGE)
        chunks += [one.chunk for one in page]
        if len(page) < _PAGE:
            return chunks
        after = page[-1].position


def close(stream: Stream, run: Run) -> None:
    """End whatever an ended run has left open; raise `StreamUnavailable`."""
    draft = closing_draft(run, run.ended_at or datetime.now(UTC))
    stream.append([Passage(tenant_id=run.tenant_id, run_id=run.id, fence=_LAST_FENCE, drafts=[draft])])


def close_quietly(stream: Stream, run: Run) -> None:
    """End what an ended run has left open; where the stream does not answer, its next reader does."""
    try:
        close(stream, run)
    except StreamUnavailable as error:
        log.warning("The stream of run %s stays open until it is read: %s", run.id, error.message)
