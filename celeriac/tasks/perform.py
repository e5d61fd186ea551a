"""The placed step as a Celery task: performed by a process of a `cpu` worker.

In Celery's prefork pool each process has a database and a Redis of its own, while the worker's row is the parent's:
its id stands in memory that they share.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import RawArray
from typing import Any

from celery import signals

from celeriac.platform.durable.dispatch import PERFORM
from celeriac.platform.durable.performing import perform as perform_step
from celeriac.platform.flow.gate import Gate, Queued
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
def perform(run_id: str, path: str) -> None:
    """Perform one attempt of a placed step; a message that is old or doubled does nothing."""
    settings, rooms = load_settings(), installation()
    process = this_process(_worker_id.value.decode())
    with _renewed(rooms.gate, settings.heartbeat_seconds) as hold:
        performed = perform_step(rooms.store, run_id, path, process, conduct(settings), on_claim=hold)
    if performed is not None:
        rooms.dispatcher.dispatch(performed.woken)
        rooms.dispatcher.send_picked(performed.slot.queue, ended=(performed.slot,))


@contextmanager
def _renewed(gate: Gate, every: float) -> Iterator[Any]:
    """Renew the slot of the step from its claim on: its body has the main thread, and may keep it for hours."""
    over = threading.Event()

    def renew(slot: Queued) -> None:
        while not over.wait(every):
            try:
                gate.renew([slot])
            except Exception as error:  # noqa: BLE001  # the gate is a hint
                log.warning("The gate does not answer: %s", error)

    threads: list[threading.Thread] = []

    def hold(slot: Queued) -> None:
        threads.append(threading.Thread(target=renew, args=(slot,), name="celeriac-slot", daemon=True))
        threads[0].start()

    try:
        yield hold
    finally:
        over.set()
        for thread in threads:
            thread.join()
