"""The loop watch notices a loop that does not answer, and says which runs it executes."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from celeriac.tasks.loop_watch import LoopWatch


def test_a_blocked_loop_is_told_of_with_its_runs(caplog: pytest.LogCaptureFixture) -> None:
    loop, let_go, blocked = asyncio.new_event_loop(), threading.Event(), threading.Event()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    engine: Any = SimpleNamespace(executing=lambda: [SimpleNamespace(run_id="run_1")])
    watch = LoopWatch(loop, engine, patience=0.05)
    assert LoopWatch(loop, engine).run_once() == 0
    loop.call_soon_threadsafe(lambda: (blocked.set(), let_go.wait(10)))
    assert blocked.wait(10)
    assert (watch.run_once(), "run_1" in caplog.text) == (1, True)
    let_go.set()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
