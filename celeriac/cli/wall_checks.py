"""The checks of `celeriac doctor` that keep tenants apart: row-level security, encryption, and clocks that agree.

Like those of `checks.py` they never raise and never write.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from celeriac.errors import CeleriacError, ConfigError

if TYPE_CHECKING:
    from celeriac.settings import Settings
    from celeriac.wiring import Installation

#: clocks further apart make limits and timers wrong by as much
MOST_SKEW = timedelta(seconds=1)

_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a look at one part of the installation gave."""

    name: str
    status: Literal["ok", "warning", "broken"]
    detail: str
    what_to_do: str = ""


def check_row_security(settings: Settings) -> Check:
    """Look whether the second wall between tenants stands, and for this login."""
    return _looked("row security", settings, lambda rooms: _row_security(settings, rooms))


def check_encryption(settings: Settings) -> Check:
    """Look whether tenants' secrets can be kept, and those that are kept can be opened."""
    return _looked("encryption", settings, lambda rooms: _encryption(settings, rooms))


def check_clocks(settings: Settings, now: Callable[[], float] = time.time) -> Check:
    """Look whether this host, whose time `now` tells, the database and Redis agree."""
    return _looked("clocks", settings, lambda _: _clocks(settings, now))


def _looked(name: str, settings: Settings, look: Callable[[Installation], Check]) -> Check:
    from celeriac.wiring import build  # knows all tables as well

    rooms = build(settings)
    try:
        return look(rooms)
    except CeleriacError as error:
        return Check(name=name, status="broken", detail=error.message, what_to_do="mend that first")
    except Exception as error:  # noqa: BLE001  # whatever the driver says is the answer
        return Check(name=name, status="broken", detail=type(error).__name__, what_to_do="see the checks above")
    finally:
        rooms.close()


def _row_security(settings: Settings, rooms: Installation) -> Check:
    from celeriac.database import connect, metadata, reading
    from celeriac.row_security import missing

    engine = connect(settings.database_url)
    try:
        if engine.dialect.name == "sqlite":
            return Check(name="row security", status="ok", detail="SQLite has none: the filter of each statement alone")
        with reading(engine) as connection:
            found = missing(connection, metadata.sorted_tables)
    finally:
        engine.dispose()
    if settings.row_security == "off":
        what = "set CELERIAC_ROW_SECURITY=auto, and run `celeriac migrate`"
        return Check(name="row security", status="warning", detail="switched off", what_to_do=what)
    if found:
        return Check(
            name="row security",
            status="warning" if _gets_in(rooms) else "broken",
            detail="OFF: " + "; ".join(what for what, _ in found),
            what_to_do=_to_do([todo for _, todo in found]),
        )
    detail = f"on {len(metadata.sorted_tables)} tables, by the roles celeriac_web and celeriac_engine"
    return Check(name="row security", status="ok", detail=detail)


def _gets_in(rooms: Installation) -> bool:
    """Say whether processes work as it is: not where the wall is required, nor where it stands and shuts them out."""
    try:
        rooms.reads.workers(timedelta(0))  # as the web
        rooms.secrets.keys_in_use()  # as the engine
    except ConfigError:
        return False
    return True


def _to_do(steps: list[str]) -> str:
    """Return what an administrator does in SQL, and then the operator in the shell."""
    statements = "; ".join(dict.fromkeys(one for one in steps if one != "celeriac migrate"))
    shell = "run `celeriac migrate`"
    return f"as an administrator of the database: {statements}; then {shell}" if statements else shell


def _encryption(settings: Settings, rooms: Installation) -> Check:
    from celeriac.tenants.encryption import Cipher

    known = Cipher(settings.encryption_keys).key_ids
    lost = sorted(rooms.secrets.keys_in_use() - set(known))
    if lost:
        detail = f"secrets or signing keys lie under {', '.join(map(repr, lost))}, which CELERIAC_ENCRYPTION_KEYS lacks"
        return Check(name="encryption", status="broken", detail=detail, what_to_do="put it back behind the first one")
    if not known:
        what = "set CELERIAC_ENCRYPTION_KEYS to what `celeriac secrets new-key k1` prints"
        return Check(name="encryption", status="warning", detail="no key: no secrets, no signing keys", what_to_do=what)
    detail = f"{known[0]!r} encrypts secrets and signing keys, {len(known)} decrypt"
    return Check(name="encryption", status="ok", detail=detail)


def _clocks(settings: Settings, now: Callable[[], float]) -> Check:
    skews = {
        "the database": _skew(lambda: _database_time(settings), now),
        "Redis": _skew(lambda: _redis_time(settings), now),
    }
    wrong = [f"{name} is {skew:+.1f} s off this host" for name, skew in skews.items() if abs(skew) > MOST_SKEW.seconds]
    if wrong:
        what = "let NTP set the clocks of all hosts"
        return Check(name="clocks", status="broken", detail="; ".join(wrong), what_to_do=what)
    most = max(abs(skew) for skew in skews.values())
    return Check(name="clocks", status="ok", detail=f"this host, the database and Redis agree within {most:.2f} s")


def _skew(other: Callable[[], float], now: Callable[[], float]) -> float:
    """Return by how many seconds another clock is ahead of this one; what the answer took counts half."""
    before = now()
    told = other()
    return told - (before + now()) / 2


def _database_time(settings: Settings) -> float:
    from celeriac.database import NOW, connect, reading

    engine = connect(settings.database_url)
    try:
        with reading(engine) as connection:
            micros = connection.exec_driver_sql(f"SELECT {NOW[engine.dialect.name]}").scalar_one()
            return float(micros) / 1e6
    finally:
        engine.dispose()


def _redis_time(settings: Settings) -> float:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    with Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    ) as redis:
        redis.ping()  # so that opening the connection is not counted
        seconds, micros = redis.time()
        return float(seconds) + float(micros) / 1e6
