"""The checks of `celeriac doctor`: each looks at one part and says what it saw and what to do.

A check never raises and never writes: what goes wrong is its answer. Addresses are shown without passwords.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celeriac.cli.redis_server import OLDEST_REDIS
from celeriac.cli.schema import schema_of
from celeriac.cli.wall_checks import Check, check_clocks, check_encryption, check_row_security
from celeriac.errors import CeleriacError

if TYPE_CHECKING:
    from celeriac.settings import Settings

_TIMEOUT_SECONDS = 2.0


def all_checks(settings: Settings) -> list[Check]:
    """Make all checks, in the order in which one would mend what they find."""
    database = check_database(settings)
    checks = [database, check_redis(settings)]
    if settings.broker_url:
        checks.append(check_broker(settings.broker_url))
    if database.status == "ok":
        wall = check_row_security(settings)
        checks += [wall, check_clocks(settings)]
        if wall.status != "broken":  # else nobody gets in
            checks += [check_encryption(settings), check_workers(settings)]
    return [*checks, check_app(settings), check_secret(settings)]


def check_database(settings: Settings) -> Check:
    """Look whether the database answers and has the newest schema."""
    try:
        schema = schema_of(settings.database_url)
    except CeleriacError as error:
        return _broken("database", error.message, "start it, or set CELERIAC_DATABASE_URL to one that answers")
    except Exception as error:  # noqa: BLE001  # whatever the driver says is the answer
        return _broken("database", _brief(error), "set CELERIAC_DATABASE_URL to a database that this user may use")
    if schema.current is None:
        return _broken("database", f"{schema.database} has no tables yet", "run `celeriac migrate`")
    if schema.current != schema.newest:
        what = f"{schema.database} has schema {schema.current}; this version needs {schema.newest}"
        return _broken("database", what, "run `celeriac migrate`")
    return Check(name="database", status="ok", detail=f"{schema.database}, schema {schema.current}")


def check_redis(settings: Settings) -> Check:
    """Look whether Redis answers, is new enough, and would rather refuse than forget."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    try:
        with Redis.from_url(
            settings.redis_url,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            socket_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        ) as redis:
            info = redis.info()
    except (RedisError, ValueError) as error:
        return _broken("redis", _brief(error), "start a Redis >= 6.2, or set CELERIAC_REDIS_URL to one that answers")
    return judge_redis(str(info.get("redis_version", "0")), str(info.get("maxmemory_policy", "noeviction")))


def judge_redis(version: str, policy: str) -> Check:
    """Say what a Redis of this version that forgets by this policy is good for."""
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        return _broken("redis", f"Redis {version} is too old", "use Redis 6.2 or newer")
    if policy != "noeviction":
        what = f"Redis {version} may drop queues when memory is short: maxmemory-policy is {policy}"
        return _broken("redis", what, "set maxmemory-policy noeviction in redis.conf")
    return Check(name="redis", status="ok", detail=f"Redis {version}, maxmemory-policy {policy}")


def check_broker(url: str) -> Check:
    """Look whether Celery's own broker answers, where it is not the Redis."""
    from kombu.connection import Connection

    try:
        connect: Any = Connection  # it has no types
        with connect(url, connect_timeout=_TIMEOUT_SECONDS) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=_TIMEOUT_SECONDS)
    except Exception as error:  # noqa: BLE001  # each transport has its own
        return _broken("broker", _brief(error), "start it, or set CELERIAC_BROKER_URL to one that answers")
    return Check(name="broker", status="ok", detail="answers")


def check_workers(settings: Settings) -> Check:
    """Look whether somebody takes runs from both queues."""
    from celeriac.wiring import build

    installation = build(settings)
    try:
        workers = installation.reads.workers(timedelta(seconds=settings.worker_dead_seconds))
    finally:
        installation.close()
    idle = [queue for queue in ("runs", "memory") if not any(queue in worker.queues for worker in workers)]
    if not workers:
        return Check(
            name="workers", status="warning", detail="none is alive", what_to_do="run `celeriac worker module:app`"
        )
    hosts = len({worker.host for worker in workers})
    detail = f"{len(workers)} alive on {hosts} host{'s' if hosts > 1 else ''}"
    if idle:
        what = f"run `celeriac worker module:app --queues {','.join(idle)}`"
        return Check(name="workers", status="warning", detail=f"{detail}, none takes {idle[0]!r}", what_to_do=what)
    return Check(name="workers", status="ok", detail=f"{detail}, room for {sum(one.capacity for one in workers)} links")


def check_app(settings: Settings) -> Check:
    """Look whether the app can be imported here."""
    if not settings.app:
        what = "set CELERIAC_APP=module:app, or name it: `celeriac worker module:app`"
        return Check(name="app", status="warning", detail="CELERIAC_APP is not set", what_to_do=what)
    from celeriac.tasks.process import load_app

    try:
        app = load_app(settings.app)
    except Exception as error:  # noqa: BLE001  # the user's module may raise anything
        module = settings.app.partition(":")[0]
        return _broken("app", _brief(error), f"mend it; `python -c 'import {module}'` shows where it comes from")
    own = sum(not function.options.is_internal for function in app.functions.values())
    return Check(name="app", status="ok", detail=f"{settings.app} declares {own} function{'' if own == 1 else 's'}")


def check_secret(settings: Settings) -> Check:
    """Look whether sessions and links can be signed."""
    from celeriac.settings import NEW_SECRET_KEY, SHORTEST_SECRET_KEY

    if not settings.secret_key:
        what = f"make one for all web processes with {NEW_SECRET_KEY}"
        return Check(name="secret", status="warning", detail="CELERIAC_SECRET_KEY is not set", what_to_do=what)
    if len(settings.secret_key) < SHORTEST_SECRET_KEY:
        what = f"the web needs one of {SHORTEST_SECRET_KEY} characters or more; make it with {NEW_SECRET_KEY}"
        return _broken("secret", "CELERIAC_SECRET_KEY can be guessed", what)
    return Check(name="secret", status="ok", detail="sessions and links can be signed")


def _broken(name: str, detail: str, what_to_do: str) -> Check:
    return Check(name=name, status="broken", detail=detail, what_to_do=what_to_do)


def _brief(error: Exception) -> str:
    """Return the first line of an error; libraries put no password there, only host and port."""
    if isinstance(error, CeleriacError):
        return error.message
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
