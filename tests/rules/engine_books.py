"""The books: what a store holds of each run, read alike from memory and from SQL, for those who check it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Engine, select

from celeriac.database import reading
from celeriac.platform.durable.memo import Memo
from celeriac.platform.durable.replay import losers_of
from celeriac.platform.run import FINAL, Status
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.tables import events, runs, steps, waits


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A wait: when it ends by itself, and whether it is over."""

    kind: str
    wake_at: datetime
    is_over: bool


@dataclass(frozen=True, kw_only=True)
class Account:
    """A run as it stands."""

    id: str
    status: Status
    fence: int
    output: Any
    #: the code of its error
    code: str | None
    memos: Mapping[str, Memo]
    #: by (path, number)
    waits: Mapping[tuple[str, int], Standing]

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL

    def standing(self) -> dict[str, Standing]:
        """Return the last wait of each path that replay may still come to.

        Neither it nor a step around it is done, and it does not belong to the loser of a race.
        """
        races = {memo.path for memo in self.memos.values() if memo.kind == "race"}
        gone = {path for race in races for path in losers_of(self.memos[race])} | (self.memos.keys() - races)
        last = {path: wait for (path, _), wait in sorted(self.waits.items())}
        return {path: wait for path, wait in last.items() if gone.isdisjoint((path, *above(path)))}


class Books(Protocol):
    """A reader of a store."""

    def accounts(self) -> dict[str, Account]:
        """Return every run by its id."""
        ...

    def events(self) -> Counter[str]:
        """Return how many events of each name there are."""
        ...


def above(path: str) -> list[str]:
    """Return the scopes around a path, the function's own body (`""`) among them."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts))] if path else []


class LocalBooks:
    """Of a store in memory."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def accounts(self) -> dict[str, Account]:
        return {id: self._account(id) for id in list(self._store.all)}

    def events(self) -> Counter[str]:
        return Counter(one.event.name for one in self._store.events.values())

    def _account(self, run_id: str) -> Account:
        stored = self._store.all[run_id]
        return Account(
            id=run_id,
            status=stored.run.status,
            fence=stored.fence,
            output=stored.run.output,
            code=None if stored.run.error is None else stored.run.error["code"],
            memos={path: memo for path, (memo, _) in stored.steps.copy().items()},
            waits={
                key: Standing(kind=wait.kind, wake_at=wait.wake_at, is_over=wait.resolved_at is not None)
                for key, wait in stored.waits.copy().items()
            },
        )


class SqlBooks:
    """Of a store in SQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def accounts(self) -> dict[str, Account]:
        memos: dict[str, dict[str, Memo]] = {}
        standing: dict[str, dict[tuple[str, int], Standing]] = {}
        with reading(self._engine) as connection:
            rows = connection.execute(select(runs)).all()
            for one in connection.execute(select(steps)):
                memo = Memo(path=one.path, kind=one.kind, seq=one.seq, value=one.value, error=one.error)
                memos.setdefault(one.run_id, {})[one.path] = memo
            for one in connection.execute(select(waits)):
                wait = Standing(kind=one.kind, wake_at=one.wake_at, is_over=one.resolved_at is not None)
                standing.setdefault(one.run_id, {})[one.path, one.number] = wait
        return {
            row.id: Account(
                id=row.id,
                status=row.status,
                fence=row.fence,
                output=None if row.output is None else json.loads(row.output),
                code=row.error_code,
                memos=memos.get(row.id, {}),
                waits=standing.get(row.id, {}),
            )
            for row in rows
        }

    def events(self) -> Counter[str]:
        with reading(self._engine) as connection:
            return Counter(connection.execute(select(events.c.name)).scalars())
