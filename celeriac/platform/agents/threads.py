"""Threads: what keeps the conversations of all tenants, and an entry of one.

`SqlHistory` reads and writes them; wiring chooses what keeps them. A thread belongs to one tenant, and another
tenant's is not there: the same id names another thread for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from celeriac.errors import ConfigError, LimitError, NotFoundError

LONGEST_ID = 200
LONGEST_TITLE = 50

#: most entries of one read, the newest
MOST_ENTRIES = 1_000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A user's message, or the result of one turn of an agent."""

    #: of the message or the result; what is kept under it is kept once
    id: str
    kind: Literal["user", "agent"]
    #: who took the turn
    agent: str | None = None
    #: the message or the result as JSON
    data: dict[str, Any]
    #: a digest of what was said, equal for equal words whatever their ids
    checksum: str
    #: its place in the thread, by which entries are ordered; given when it is kept
    seq: int = 0


class Threads(Protocol):
    """What keeps the threads of all tenants. Its calls block, so they are made in the run's threads."""

    def open(self, tenant_id: str, thread_id: str, *, user_id: str | None = None) -> None:
        """Make the thread where the tenant has none of that id; it stays whose it was made for.

        Raises `LimitError` with the code `quota_exceeded` for one thread more than the tenant may have.
        """
        ...

    def entries(self, tenant_id: str, thread_id: str, *, last: int, before: int | None = None) -> list[Entry]:
        """Return the newest entries, or the newest before a place, oldest first; none of a thread that is not there."""
        ...

    def append(self, tenant_id: str, thread_id: str, entries: Sequence[Entry]) -> None:
        """Keep the entries behind all others, each once under its id; raise `NotFoundError` where there is no thread.

        The first user's message gives the thread its title.
        """
        ...

    def delete(self, tenant_id: str, thread_id: str) -> None:
        """Forget the thread with all that was said in it; raise `NotFoundError` where there is none."""
        ...


def check_thread_id(thread_id: object) -> str:
    """Return the id; raise `ConfigError` for what cannot be one."""
    if not isinstance(thread_id, str) or not 0 < len(thread_id) <= LONGEST_ID or not thread_id.isprintable():
        raise ConfigError(f"{str(thread_id)[:80]!r} is no thread id; it must be 1 to {LONGEST_ID} printable characters")
    return thread_id


def title_of(entries: Sequence[Entry]) -> str:
    """Return the title that the entries give a thread without one."""
    text = next((str(one.data.get("text", "")) for one in entries if one.kind == "user"), "")
    return " ".join(text.split())[:LONGEST_TITLE]


def no_thread(thread_id: str) -> NotFoundError:
    """Return the error of a thread that the tenant does not have."""
    return NotFoundError(f"There is no thread {thread_id[:80]!r}")


def too_many_threads(most: int) -> LimitError:
    """Return the error of one thread more than there may be."""
    return LimitError(
        f"The tenant may have {most} threads and has them; raise its limit 'threads', or delete some",
        code="quota_exceeded",
    )
