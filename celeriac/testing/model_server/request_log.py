"""The append-only log of answered model requests: one JSON line each.

The server writes it before an answer leaves; a check reads it later and holds it against the commit times in SQL. It
must never hold a line for a request that nobody was answered, and never the text of a conversation.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Self

from celeriac.testing.model_server.wire import Provider


class RequestLog:
    """An open log; several processes may append to one file."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending, and make its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def append(self, *, started: float, provider: Provider, model: str, key: str | None, status: int) -> None:
        """Write one line in one write, so lines of several writers never mix; `at` is now."""
        line = {
            "at": time.time(),
            "started": started,
            "provider": provider,
            "model": model,
            "key": key,
            "status": status,
        }
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        """Use it as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()
