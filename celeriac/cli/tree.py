"""The process tree of `celeriac dev`: Redis, two workers for runs, one for memories, and the web.

What the settings name is used; what they leave out is started here or kept in the data folder. The supervisor's own
process takes part in the same settings, so that its installation is the one of its children.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, build_opener

from celeriac.cli.folder import DataFolder
from celeriac.cli.output import note
from celeriac.cli.stage import Stage
from celeriac.cli.supervisor import Child, Program, Supervisor, last_line
from celeriac.errors import ConfigError

if TYPE_CHECKING:
    from celeriac.wiring import Installation

#: name, queue and threads of each worker process
WORKERS = (("worker-1", "runs", 32), ("worker-2", "runs", 32), ("memory", "memory", 4))

HOST = "127.0.0.1"
_READY_WITHIN_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to start, and where."""

    app: str
    folder: DataFolder
    port: int
    #: further variables for all processes
    environment: Mapping[str, str] = field(default_factory=dict)
    is_terminal: bool = False


@contextmanager
def running_tree(plan: Plan) -> Iterator[Stage]:
    """Start everything, yield the stage when all of it answers, and end it all."""
    from celeriac.database import migrate
    from celeriac.settings import load_settings

    with Supervisor(plan.folder.logs, tell=note) as supervisor:
        settings = _environment(plan, supervisor)
        os.environ.update(settings)
        load_settings.cache_clear()
        migrate(load_settings().database_url, row_security=load_settings().row_security)
        web = supervisor.run(_program("web", "web", "--host", HOST, "--port", str(plan.port)))
        workers = [supervisor.run(_worker(plan.app, *worker)) for worker in WORKERS]
        from celeriac.wiring import installation  # while the children start

        base_url = f"http://{HOST}:{plan.port}"
        _await_answers(installation(), base_url, web, workers)
        yield Stage(
            settings=settings,
            base_url=base_url,
            installation=installation(),
            data_dir=plan.folder.path,
            workers=workers,
            is_terminal=plan.is_terminal,
        )


def _environment(plan: Plan, supervisor: Supervisor) -> dict[str, str]:
    """Return the settings of all processes; starts a Redis where none is named."""
    from celeriac.cli.checks import check_redis
    from celeriac.cli.redis_server import start_redis
    from celeriac.settings import Settings

    given = Settings()  # type: ignore[call-arg,unused-ignore]
    settings = {"PYTHONUNBUFFERED": "1", **plan.environment, "CELERIAC_APP": plan.app}
    settings["CELERIAC_SECRET_KEY"] = given.secret_key or _kept(plan.folder, "secret_key", _new_secret)
    settings["CELERIAC_ENCRYPTION_KEYS"] = given.encryption_keys or _kept(plan.folder, "encryption_keys", _new_cipher)
    is_named = given.model_fields_set
    settings["CELERIAC_DATABASE_URL"] = given.database_url if "database_url" in is_named else plan.folder.database_url
    if "redis_url" in is_named:
        check = check_redis(given)
        if check.status == "broken":
            raise ConfigError(f"CELERIAC_REDIS_URL: {check.detail}; {check.what_to_do}")
        settings["CELERIAC_REDIS_URL"] = given.redis_url
    else:
        settings["CELERIAC_REDIS_URL"] = start_redis(supervisor, plan.folder.path).url
    return settings


def _kept(folder: DataFolder, name: str, make: Callable[[], str]) -> str:
    """Return what the folder keeps under the name, so that sessions and tenants' secrets survive a restart."""
    kept = folder.load()
    if name not in kept:
        kept[name] = make()
        folder.keep(kept)
    return kept[name]


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _new_cipher() -> str:
    from celeriac.tenants.encryption import new_key

    return new_key("dev")


def _worker(app: str, name: str, queue: str, threads: int) -> Program:
    return _program(name, "worker", app, "--queues", queue, "--concurrency", str(threads), queues=(queue,))


def _program(name: str, *arguments: str, queues: tuple[str, ...] = ()) -> Program:
    return Program(name=name, command=(sys.executable, "-m", "celeriac", *arguments), queues=queues)


def _await_answers(installation: Installation, base_url: str, web: Child, workers: Sequence[Child]) -> None:
    """Wait until the web answers and all workers are in the fleet; raise `ConfigError` where one does not get there."""
    dead_after = timedelta(seconds=installation.settings.worker_dead_seconds)
    missing = [web, *workers]
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while missing:
        pids = {worker.pid for worker in installation.reads.workers(dead_after)}
        missing = [child for child in missing if not (child.pid in pids or (child is web and _is_healthy(base_url)))]
        for child in missing:
            if not child.is_alive() or time.monotonic() > deadline:
                raise ConfigError(f"{child.name} does not start; it wrote: {last_line(child.log)}")
        time.sleep(_LOOK_EVERY_SECONDS)


def _is_healthy(base_url: str) -> bool:
    try:
        build_opener(ProxyHandler({})).open(f"{base_url}/healthz", timeout=1).close()
    except OSError:
        return False
    return True
