"""Several processes write memories into one SQLite file at once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from celeriac.platform.memory.mem0 import Mem0Memories

WRITER = """
import sys
from celeriac.database import connect
from celeriac.platform.memory.mem0 import mem0_memories
url, writer = sys.argv[1:]
memories = mem0_memories(connect(url), "hashing")
memories.all("ten_a", "ann")
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    memories.add("ten_a", "ann", f"statement {number} of {writer}", idempotency_key="run_1")
"""


def write_at_once(url: str, writers: list[str]) -> None:
    """Let the processes load everything, start them together, and see that none failed."""
    command = [sys.executable, "-c", WRITER, url]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    processes = [subprocess.Popen([*command, name], env=environment, text=True, **pipes) for name in writers]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * len(processes)
    assert [process.returncode for process in processes] == [0] * len(processes)


def test_four_processes_that_write_at_once_lose_nothing(sqlite_memories: Mem0Memories, sqlite_url: str) -> None:
    write_at_once(sqlite_url, ["w1", "w2", "w3", "w4"])
    texts = {memory.text for memory in sqlite_memories.all("ten_a", "ann")}
    assert texts == {f"statement {number} of w{writer}" for number in range(40) for writer in (1, 2, 3, 4)}


def test_two_processes_that_do_the_same_step_write_it_once(sqlite_memories: Mem0Memories, sqlite_url: str) -> None:
    """As after a worker that was taken for dead."""
    write_at_once(sqlite_url, ["twin", "twin"])
    assert len(sqlite_memories.all("ten_a", "ann")) == 40
