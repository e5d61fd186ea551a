"""The start of a worker: what `celeriac worker` calls."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from celeriac.errors import ConfigError
from celeriac.platform.durable.declaration import QUEUES
from celeriac.settings import load_settings


def run_worker(app: str | None, *, queues: Sequence[str], concurrency: int) -> NoReturn:
    """Run a Celery worker in this process until it is told to stop, and end the process with its exit code."""
    if unknown := sorted(set(queues) - set(QUEUES)):
        raise ConfigError(f"Unknown queue {unknown[0]!r}; the queues are {', '.join(QUEUES)}")
    if app:
        os.environ["CELERIAC_APP"] = app
        load_settings.cache_clear()
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("celeriac.tasks").setLevel(logging.INFO)
    from celery import signals
    from celery.exceptions import SecurityWarning

    from celeriac.tasks.celery import app as celery
    from celeriac.tasks.process import load_app, running_process

    # In a container root is the rule. What Celery fears of it is pickle, and our messages are JSON.
    warnings.filterwarnings("ignore", "You're running the worker with superuser privileges", SecurityWarning)
    load_app(load_settings().app)
    options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    # Work of the processor gets processes of its own; links share one, as they mostly wait.
    # Said by the setting, which goes before an option that names Celery's own default.
    celery.conf.worker_pool = "prefork" if set(queues) == {"cpu"} else "threads"
    pool = ["--concurrency", str(concurrency), "--queues", ",".join(queues)]
    code = 0
    codes: list[int] = []
    signals.worker_shutdown.connect(lambda sender, **_: codes.append(sender.exitcode or 0), weak=False)
    try:
        celery.worker_main(["--quiet", "worker", *pool, *options, "--hostname", f"celeriac-{os.getpid()}@%h"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    # Of a consumer that broke Celery tells in no other way, and a worker that it terminates does not even shut down.
    code = code or max(codes, default=1)
    process = running_process()
    if process is None or not process.has_started:
        code = code or 1  # Celery ends in order when a worker cannot start; its supervisor has to know
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # the thread of a body that timed out cannot be stopped, and must not keep the process
