"""Agents from plain code: the way in for scripts without a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from celeriac.errors import ContextError
from celeriac.platform.scope import current_scope


def run_to_end(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine of ours from plain code; raise `ContextError` where a loop runs or a run's scope is entered."""
    if current_scope() is None and not _has_loop():
        return asyncio.run(coroutine)
    coroutine.close()
    raise ContextError("run_sync is for plain scripts; here await run(…) instead, in an `async def`")


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
