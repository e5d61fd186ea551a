"""What `celeriac dev` prints as the first event of an example comes to an end that is worth looking at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from celeriac import App
from celeriac.cli.sample import sample_event
from celeriac.testing import Harness
from celeriac.types import Model
from examples import durable_function, quick_start
from examples.assistant_memory.app import app as assistant_memory
from examples.coding.app import app as coding
from examples.deep_research.app import app as deep_research
from examples.insights_chat.app import app as insights_chat
from examples.support_desk.app import app as support_desk

APPS = [quick_start.app, coding, support_desk, assistant_memory, insights_chat, deep_research, durable_function.app]


def issue(folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """Make the repository that `coding` is about by its command, but in a folder of the test's own."""
    command = [sys.executable, "-m", "examples.coding.sample", str(folder / "shop")]
    data: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {**data, "repo": wanted["repo"]} == wanted
    return data


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
async def test_the_first_event_of_an_example_works(
    app: App, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODING_FOLDER", str(tmp_path))
    event = sample_event(app)
    assert event is not None
    data = issue(tmp_path, event["data"]) if app is coding else event["data"]
    async with Harness(app, model=model) as engine:
        [run] = await engine.send(event["name"], data)
        if app is durable_function.app:
            await engine.send("shop/order.paid", data)
        await engine.advance("8d")
        assert engine.run(run.id).status == "completed", engine.run(run.id).error
