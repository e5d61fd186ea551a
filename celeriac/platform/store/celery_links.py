"""Links through Celery: the broker's settings, and what sends a link.

The web and the workers share it: both send, workers also consume (`tasks/`). A message carries a run id and the fence
of its claim; it is a hint that may be lost or doubled, so nothing of Celery's own durability is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.entity import Queue

from celeriac.platform.durable.declaration import QUEUES
from celeriac.platform.durable.dispatch import ADVANCE, PERFORM
from celeriac.platform.durable.placed import of_member
from celeriac.platform.flow.gate import Queued
from celeriac.settings import Settings

_REDIS_TRANSPORT = "celeriac.platform.store.redis_transport:Transport"

_REDIS_OPTIONS = {
    "ack_emulation": False,  # one Redis command a message instead of nine; the truth is in SQL
    "priority_steps": [0],  # one list a queue; priority is the gate's
    "global_keyprefix": "cel:broker:",
    "max_connections": 200,
    "socket_timeout": 30,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,  # finds a half-open connection in about 20 s
}


def celery_app(settings: Settings) -> Celery:
    """Return a Celery app with the installation's broker and no tasks."""
    url = settings.broker_url or settings.redis_url
    app = Celery("celeriac", broker=url, set_as_current=False)
    app.conf.update(
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,  # a warm shutdown puts back what was fetched but not begun
        task_reject_on_worker_lost=True,
        task_acks_on_failure=True,
        task_acks_on_timeout=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_enable_remote_control=False,
        worker_disable_rate_limits=True,
        worker_eta_task_limit=100,  # a tripwire: nobody may use ETA
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # a Redis that becomes a replica answers so, and is a master again some time
        broker_pool_limit=20,
        broker_pool_acquire_timeout=5,
        task_publish_retry=False,  # what is not sent stays queued in SQL, and reconcile finds it
        task_create_missing_queues=False,
        task_default_queue="runs",
        task_queues=[Queue(name) for name in QUEUES],  # type: ignore[no-untyped-call]  # kombu is not typed
        broker_transport_options=_REDIS_OPTIONS if url.startswith(("redis", "unix", "sentinel")) else {},
        # Of the others kombu reads more than the transport out of the scheme.
        broker_transport=_REDIS_TRANSPORT if url.startswith("redis:") else None,
    )
    return app


class CeleryLinks:
    """`Links` over Celery's broker; connects at the first send."""

    def __init__(self, settings: Settings) -> None:
        """Take the broker from the settings."""
        self._settings = settings
        #: queues that the broker has been told of
        self._declared: set[str] = set()

    @cached_property
    def _app(self) -> Celery:
        return celery_app(self._settings)

    def publish(self, runs: Sequence[Queued]) -> None:
        """Send a message a run in one batch; each goes on its run's chain, whoever sends it."""
        with self._app.producer_pool.acquire(block=True, timeout=5) as producer, producer.batch():
            for run in runs:
                self._send(producer, run)

    def backlog(self, queue: str) -> int:
        """Ask the broker."""
        with self._app.connection_for_read() as connection:
            answer = connection.default_channel.queue_declare(queue, durable=True)
        return int(answer.message_count)

    def _send(self, producer: Any, run: Queued) -> None:
        # Not send_task: inside another run's link it would make this one a child of that.
        task_id = str(uuid4())
        run_id, path = of_member(run.run_id)
        name, args = (PERFORM, [run_id, path, run.fence]) if path else (ADVANCE, [run_id, run.fence])
        message = self._app.amqp.create_task_message(
            task_id,
            name,
            args,
            {},
            root_id=run.root_id or task_id,
            parent_id=run.parent_id,
            ignore_result=True,
            argsrepr=repr(args),
            kwargsrepr="{}",
        )
        # Celery would have every message ask for its queue; once a process is enough.
        declare: list[Any] | None = [] if run.queue in self._declared else None
        self._app.amqp.send_task_message(producer, name, message, queue=run.queue, retry=False, declare=declare)
        self._declared.add(run.queue)
