"""The broker's transport over Redis, hardened: what is no message is dropped, and no worker ends for it.

Celery takes whatever its transport cannot read for a reason to end the worker; the message is gone from the queue by
then, so that dropping it loses nothing more. `celery_links.py` names this transport to Celery.
"""

from __future__ import annotations

import logging
from queue import Empty
from typing import Any

from kombu.transport import redis

log = logging.getLogger(__name__)


class Channel(redis.Channel):
    """Reads messages from lists; sends through one client, where kombu makes a new one for each batch."""

    _sender: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]  # kombu is not typed
        if self._sender is None or self._sender.connection_pool is not self.pool:
            self._sender = super()._create_client()  # type: ignore[no-untyped-call]
        return self._sender

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]  # kombu is not typed
        except (ValueError, RecursionError) as error:
            log.error("Dropped a message that cannot be read: %s", error)
            raise Empty from error


class Transport(redis.Transport):
    """Hands messages to the consumers of their queues."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        if _is_message(message):
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]  # kombu is not typed
        else:
            log.error("Dropped something that is no message from queue %r", queue)


def _is_message(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    properties = found.get("properties")
    return (
        isinstance(properties, dict)
        and isinstance(properties.get("delivery_tag"), str)
        and isinstance(properties.get("delivery_info"), dict)
        and isinstance(found.get("headers"), dict)
        and isinstance(found.get("body"), str)
    )
