"""The desk model behind a real model server, and tickets to open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from celeriac.testing.model_server import ModelServer
from examples.bank_support.desk_model import respond


@pytest.fixture
def model_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A model server that both banks' models talk to, with a request log."""
    server = ModelServer(respond, log=tmp_path / "requests.jsonl")
    server.start()
    monkeypatch.setenv("OPENAI_BASE_URL", server.openai_base_url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.anthropic_base_url)
    for provider in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{provider}_API_KEY", "offline")
    yield server
    server.stop()
