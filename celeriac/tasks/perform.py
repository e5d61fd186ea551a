"""The placed step as a Celery task: performed by a process of a `cpu` worker.

In Celery's prefork pool each process has a database and a Redis of its own, while the worker's row is the parent's:
its id stands in memory that they share.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import RawArray
from typing import Any

from celery import signals

from celeriac.platform.durable.dispatch import PERFORM, Dispatcher
from celeriac.platform.durable.performing import perform as perform_step
from celeriac.platform.flow.gate import Queued
from celeriac.platform.inline import forbid_inline
from celeriac.settings import load_settings
from celeriac.tasks.celery import app
from celeriac.tasks.host import this_process
from celeriac.wiring import conduct, installation

log = logging.getLogger(__name__)

#: the id of the worker whose processes these are; made before the pool is forked
_worker_id = RawArray("c", 64)


def share_worker_id(id: str) -> None:
    """Tell the processes of this worker whose they are, now and after it joined anew."""
    _worker_id.value = id.encode()


@signals.worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator,unused-ignore]
def _begin_process(**_: Any) -> None:
    """Leave the parent's connections alone, which are its sockets, and let agents ask whether they are meant."""
    installation.cache_clear()
    forbid_inline()


@app.task(name=PERFORM)  # type: ignore[misc,untyped-decorator,unused-ignore]
def perform(run_id: str, path: str, token: int | None = None) -> None:
    """Perform one attempt of a placed step; a message that is old or doubled does nothing."""
    settings, rooms = load_settings(), installation()
    process = this_process(_worker_id.value.decode())
    with _renewed(rooms.dispatcher, settings.heartbeat_seconds) as admit:
        performed = perform_step(rooms.store, run_id, path, process, conduct(settings), token=token, admit=admit)
    if performed is not None:
        rooms.dispatcher.dispatch(performed.woken)
        rooms.dispatcher.send_picked(performed.slot.queue, ended=(performed.slot,))


@contextmanager
def _renewed(dispatcher: Dispatcher, every: float) -> Iterator[Callable[[Queued], bool]]:
    """Renew the slot of the step from its claim on: its body has the main thread, and may keep it for hours."""
    over = threading.Event()

    def renew(slot: Queued) -> None:
        while not over.wait(every):
            try:
                dispatcher.gate.renew([slot])
            except Exception as error:  # noqa: BLE001  # the gate is a hint
                log.warning("The gate does not answer: %s", error)

    threads: list[threading.Thread] = []

    def admit(slot: Queued) -> bool:
        try:
            if not dispatcher.started(slot):
                return False
        except Exception as error:  # noqa: BLE001  # the gate is a hint
            log.warning("The gate does not answer; the step begins without it: %s", error)
        threads.append(threading.Thread(target=renew, args=(slot,), name="celeriac-slot", daemon=True))
        threads[0].start()
        return True

    try:
        yield admit
    finally:
        over.set()
        for thread in threads:
            thread.join()
