"""Mem0 as we use it: nothing outside of our database, nothing left of what is deleted, nothing loaded too early."""

from __future__ import annotations

import inspect
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from celeriac.database import connect, reading
from celeriac.errors import ConfigError
from celeriac.platform.memory.embedder import HashingEmbedder
from celeriac.platform.memory.mem0 import Mem0Memories, mem0_memories
from celeriac.platform.memory.sql_vectors import SqlVectors

#: Adds, searches, changes and deletes while noting each address that the process asks for.
WATCHED = """
import json, sys
asked = []
calls = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
sys.addaudithook(lambda event, args: asked.append(event) if event in calls else None)
from celeriac.database import connect, migrate
from celeriac.platform.memory.mem0 import mem0_memories
migrate(sys.argv[1])
memories = mem0_memories(connect(sys.argv[1]), "hashing")
[memory] = memories.add("ten_a", "ann", "Ann lives in 'Lisbon' with John Smith")
memories.search("ten_a", "ann", "where does John Smith live", 5)
memories.update("ten_a", memory.id, "Ann lives in Porto")
memories.delete("ten_a", memory.id)
memories.all("ten_a", "ann")
import mem0.memory.telemetry
print(json.dumps({"asked": asked, "telemetry": mem0.memory.telemetry.MEM0_TELEMETRY}))
"""


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Empty folders for a process of its own: its home, its temporary one, and where it stands."""
    made = {name: tmp_path / name for name in ("home", "tmp", "here")}
    for folder in made.values():
        folder.mkdir()
    return made


def run_watched(folders: dict[str, Path], url: str) -> dict[str, object]:
    """Use the memories in a fresh process, with the telemetry setting of somebody who never heard of it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MEM0_")}
    environment |= {"HOME": str(folders["home"]), "TMPDIR": str(folders["tmp"]), "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-W", "error", "-c", WATCHED, url]
    done = subprocess.run(command, env=environment, cwd=folders["here"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_nothing_is_written_outside_the_database_and_nobody_is_called(
    folders: dict[str, Path], sqlite_url: str
) -> None:
    assert run_watched(folders, sqlite_url) == {"asked": [], "telemetry": False}
    assert {name: list(folder.iterdir()) for name, folder in folders.items()} == {"home": [], "tmp": [], "here": []}


def test_nothing_is_left_of_a_deleted_memory(sqlite_memories: Mem0Memories, sqlite_url: str, tmp_path: Path) -> None:
    [memory] = sqlite_memories.add("ten_a", "ann", "SECRET-123 is the first text")
    sqlite_memories.update("ten_a", memory.id, "SECRET-456 is the second text")
    sqlite_memories.delete("ten_a", memory.id)
    engine = connect(sqlite_url)
    with reading(engine) as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        rows = [str(row) for table in tables for row in connection.execute(text(f"SELECT * FROM {table}"))]
    assert [row for row in rows if "SECRET" in row] == []


def test_the_vector_store_has_everything_that_mem0_asks_of_one(sqlite_memories: Mem0Memories) -> None:
    sqlite_memories.all("ten_a", "ann")  # Mem0 is imported by the first call, with its telemetry off
    from mem0.vector_stores.base import VectorStoreBase

    for name in {*VectorStoreBase.__abstractmethods__, "keyword_search"}:
        ours, theirs = getattr(SqlVectors, name), getattr(VectorStoreBase, name)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), name


def test_mem0_is_loaded_by_the_first_call_only(sqlite_url: str) -> None:
    code = (
        "import sys; from celeriac.database import connect; from celeriac.platform.memory.mem0 import mem0_memories; "
        f"mem0_memories(connect({sqlite_url!r}), 'openai:some-model'); "
        "print({'mem0', 'openai', 'numpy', 'qdrant_client'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_declaration_is_imported_without_database_and_mem0() -> None:
    code = (
        "import sys, celeriac.platform.memory.memory, celeriac.platform.memory.functions; "
        "print({'mem0', 'sqlalchemy', 'openai', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_texts_of_memories_stay_out_of_the_log(sqlite_memories: Mem0Memories, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        [memory] = sqlite_memories.add("ten_a", "ann", "SECRET-123")
        sqlite_memories.update("ten_a", memory.id, "SECRET-456")
        sqlite_memories.search("ten_a", "ann", "SECRET", 5)
        sqlite_memories.delete("ten_a", memory.id)
    assert [line for line in caplog.messages if "SECRET" in line] == []
    assert [record for record in caplog.records if record.name.startswith("mem0")] == []


def test_no_model_is_ever_asked(sqlite_memories: Mem0Memories) -> None:
    """Mem0's own way of adding calls a model for each text; ours has none to call."""
    with pytest.raises(ConfigError, match="no model"):
        sqlite_memories._mem0("ten_a").llm.generate_response([])


def test_memories_of_another_embedder_are_listed_not_compared(sqlite_memories: Mem0Memories, sqlite_url: str) -> None:
    class OtherEmbedder(HashingEmbedder):
        name = "another"

    other = Mem0Memories(connect(sqlite_url), OtherEmbedder())
    sqlite_memories.add("ten_a", "ann", "Ann lost her card")
    other.add("ten_a", "ann", "Ann found her card")
    assert [memory.text for memory in other.search("ten_a", "ann", "card", 5)] == ["Ann found her card"]
    assert len(other.all("ten_a", "ann")) == 2


def test_an_embedder_that_does_not_exist_is_refused_at_once(sqlite_url: str) -> None:
    with pytest.raises(ConfigError, match="did you mean 'hashing'"):
        mem0_memories(connect(sqlite_url), "hashin")
