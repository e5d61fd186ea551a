"""The plan: which faults strike when, drawn from a seed alone.

The same seed with the same choices gives the same plan, on every machine. Pure: `faults.py` and its neighbours do what
is planned here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from celeriac.errors import ConfigError

#: what a fault strikes; two that strike the same thing never overlap
Subject = Literal["worker", "redis", "database", "messages", "load"]

#: what the play has for a database; each can what those before it can: only a server of our own may be crashed
Database = Literal["sqlite", "postgres", "private postgres"]
_DATABASES: tuple[Database, ...] = get_args(Database)

#: seconds before the first fault and after the last one in which nothing new begins
_QUIET_BEFORE, _QUIET_AFTER = 1.5, 2.0

#: of all faults, how many begin while the one before still strikes
_OVERLAPPING = 0.2


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way in which a fault can strike."""

    code: str
    name: str
    subject: Subject
    says: str
    #: how long it lasts: one of these is drawn
    seconds: tuple[float, ...] = (0.0,)
    #: the database that it needs
    needs: Database = "sqlite"
    #: whether it may strike an installation that others use
    is_harmless: bool = False
    #: whether it ends processes of such an installation, which whoever keeps it running starts again
    is_kill: bool = False


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A way with its time and its victim."""

    code: str
    way: str
    #: seconds since the beginning of the play
    at: float
    seconds: float
    #: the number of the worker that it strikes
    worker: int


def _worker(code: str, name: str, says: str, *seconds: float, **more: Any) -> Way:
    return Way(code=code, name=name, subject="worker", says=says, seconds=seconds or (0.0,), **more)


WAYS: tuple[Way, ...] = (
    _worker("F1", "killed", "kill -9 of a worker", is_kill=True),
    _worker("F1", "killed-all", "kill -9 of all workers at once"),
    _worker("F1", "before-the-claim", "a worker dies between its message and the claim"),
    _worker("F1", "after-the-claim", "a worker dies after the claim"),
    _worker("F1", "amid-a-body", "a worker dies in the middle of a step's body"),
    _worker("F1", "before-the-commit", "a worker dies after a body, before its commit"),
    _worker("F1", "before-the-next-link", "a worker dies after the last commit of a link"),
    _worker("F2", "rolled", "a new worker joins, and the old one gets SIGTERM"),
    _worker("F2", "rolled-all", "all workers are replaced one after the other"),
    _worker("F3", "stopped", "SIGSTOP of a worker for twice the dead time, then SIGCONT", 6.0),
    Way(code="F4", name="killed", subject="redis", says="kill -9 of Redis, and an empty one", seconds=(0.5, 10.0)),
    Way(code="F4", name="flushed", subject="redis", says="FLUSHALL"),
    Way(code="F4", name="paused", subject="redis", says="CLIENT PAUSE", seconds=(3.0,)),
    Way(code="F4", name="cut-off", subject="redis", says="CLIENT KILL of all clients"),
    Way(code="F5", name="full", subject="redis", says="Redis has reached its maxmemory", seconds=(2.0, 4.0)),
    Way(code="F5", name="replica", subject="redis", says="Redis is a read-only replica", seconds=(2.0, 4.0)),
    Way(code="F5", name="evicting", subject="redis", says="Redis evicts keys (wrong policy)", seconds=(2.0,)),
    Way(
        code="F6",
        name="crashed",
        subject="database",
        says="Postgres is stopped (immediate) and started",
        seconds=(0.2, 15.0),
        needs="private postgres",
    ),
    Way(code="F6", name="cut-off", subject="database", says="pg_terminate_backend of all", needs="postgres"),
    Way(
        code="F7",
        name="unanswered",
        subject="database",
        says="commits arrive, and their answers are lost",
        seconds=(2.0,),
        needs="postgres",
    ),
    Way(
        code="F8",
        name="doubled",
        subject="messages",
        says="each run's message is published again and again",
        seconds=(3.0,),
        is_harmless=True,
    ),
    Way(code="F9", name="lost", subject="messages", says="about a fifth of the messages is lost", seconds=(3.0,)),
    Way(code="F10", name="stray", subject="messages", says="old messages, and for runs unknown", is_harmless=True),
    Way(code="F10", name="garbage", subject="messages", says="messages that cannot be read"),
    _worker("F11", "ahead", "a worker whose clock is 5 min ahead, then 5 min behind", 4.0, needs="postgres"),
    _worker("F11", "behind", "a worker whose clock is 5 min behind, then right", 4.0, needs="postgres"),
    _worker("F12", "slow-database", "200 ms and 64 kB/s to the database", 4.0, needs="postgres"),
    _worker("F12", "slow-redis", "200 ms and 64 kB/s to Redis", 4.0),
    _worker("F12", "silent-database", "half-open connections to the database", 2.0, 6.0, needs="postgres"),
    _worker("F12", "silent-redis", "half-open connections to Redis", 4.0),
    _worker("F12", "cut", "all connections of a worker are reset, again and again", 2.0),
    _worker("F13", "no-files", "a worker may open no more files", 2.0),
    Way(code="F13", name="read-only", subject="database", says="the database takes no writes", seconds=(2.0,)),
    Way(code="F14", name="deadly", subject="load", says="a step kills its worker, once or for ever"),
    Way(
        code="F15", name="stubborn", subject="load", says="steps that no timeout and no cancel stops", is_harmless=True
    ),
)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a play has to do with."""

    seconds: float
    workers: int
    database: Database
    #: codes (`F4`), or ways (`F4:flushed`); all where there are none
    only: Sequence[str] = ()
    #: whether others use the installation, and if so whether its workers may be killed
    is_foreign: bool = False
    may_kill: bool = False


def ways_for(terms: Terms) -> list[Way]:
    """Return the ways in which faults may strike; raise `ConfigError` for one that is asked for and cannot."""
    known = {name for way in WAYS for name in (way.code, f"{way.code}:{way.name}")}
    if unknown := [name for name in terms.only if name not in known]:
        raise ConfigError(f"There is no fault {unknown[0]!r}; there are F1 to F15, and ways such as F4:flushed")
    asked = [way for way in WAYS if not terms.only or {way.code, f"{way.code}:{way.name}"} & set(terms.only)]
    possible = [way for way in asked if _suits(way, terms)]
    if terms.only and not possible:
        where = "an installation that others use" if terms.is_foreign else f"a {terms.database} database"
        raise ConfigError(f"The faults {', '.join(terms.only)} cannot strike on {where}")
    return possible


def _suits(way: Way, terms: Terms) -> bool:
    if terms.is_foreign:
        return way.is_harmless or (way.is_kill and terms.may_kill)
    return _DATABASES.index(way.needs) <= _DATABASES.index(terms.database)


def draw(seed: int, terms: Terms) -> list[Fault]:
    """Return the faults in the order of their times."""
    chance = random.Random(seed)
    ways = ways_for(terms)
    codes = sorted({way.code for way in ways})
    last = terms.seconds - _QUIET_AFTER
    faults: list[Fault] = []
    deck: list[str] = []
    ends: dict[Subject, float] = {}
    at, misses = _QUIET_BEFORE, 0
    while at < last and misses < len(codes):
        if not deck:
            deck = chance.sample(codes, len(codes))
        code = deck.pop()
        way = chance.choice([way for way in ways if way.code == code])
        begins = max(at, ends.get(way.subject, 0.0))
        fitting = [seconds for seconds in way.seconds if begins + seconds <= last and seconds <= terms.seconds / 4]
        if not fitting or begins > last:
            misses += 1
            continue
        misses, at, lasts = 0, begins, chance.choice(fitting)
        worker = chance.randrange(terms.workers)
        faults.append(Fault(code=code, way=way.name, at=round(at, 2), seconds=lasts, worker=worker))
        ends[way.subject] = at + lasts + 2.0
        at += 0.5 if chance.random() < _OVERLAPPING else lasts + chance.uniform(2.0, 4.0)
    return faults
