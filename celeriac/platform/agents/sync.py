"""Agents from plain code: the way in for scripts without a loop, and for plain functions that a run calls.

A plain tool or hook has a thread to itself. What it runs goes back to the task that called it (`way_back.py`), so
that its steps are the run's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from celeriac.errors import ContextError
from celeriac.platform.scope import current_scope
from celeriac.platform.way_back import way_back


def run_to_end(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine of ours from plain code; raise `ContextError` where that would hold up a loop, or leave a run."""
    if not _has_loop():
        if current_scope() is None:
            return asyncio.run(coroutine)
        if (way := way_back()) is not None:
            return way.run(coroutine)
        words = (
            "run_sync was called in a thread of your own, which has left the run; call it in the plain function that "
            "the run called, or `await agent.run(…)` in an `async def`"
        )
    else:
        words = "run_sync would stop the loop that runs here; `await agent.run(…)` in an `async def`"
    coroutine.close()
    raise ContextError(words)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
