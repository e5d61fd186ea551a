"""Threads that begin together, as the senders of a recipe do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


def all_at_once(calls: Sequence[Callable[[], None]]) -> None:
    """Make each call in a thread of its own, and raise the first error when all have ended."""
    errors: list[Exception] = []
    start = threading.Barrier(len(calls))

    def call(one: Callable[[], None]) -> None:
        try:
            start.wait()
            one()
        except Exception as error:  # noqa: BLE001  # raised below
            errors.append(error)

    threads = [threading.Thread(target=call, args=(one,), daemon=True) for one in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
