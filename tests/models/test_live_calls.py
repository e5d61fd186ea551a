"""Calls of models in tests: none leaves for a public address unless somebody says that it is meant."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conversations import HELLO, KEY

from celeriac import Agent, App
from celeriac.errors import ConfigError, ModelError
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.compatible import azure_openai, gemini, grok
from celeriac.platform.models.live_calls import check_live_call
from celeriac.platform.models.model import Model
from celeriac.platform.models.openai import openai
from celeriac.settings import load_settings
from celeriac.testing import Harness, allow_model_calls

#: an address that looks public, and that no server of names knows
NOWHERE = "https://models.invalid/v1"

PUBLIC: list[Model] = [
    openai("gpt-4.1", api_key=KEY),
    openai("gpt-4.1", api="responses", api_key=KEY),
    openai("qwen3", api_key=KEY, base_url=NOWHERE),
    anthropic("claude-haiku-4-5", api_key=KEY),
    gemini("gemini-2.5-flash", api_key=KEY),
    grok("grok-4", api_key=KEY),
    azure_openai("mine", api_key=KEY, endpoint="https://me.openai.azure.com"),
]


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the settings anew, and hide the addresses of whoever runs the tests."""
    load_settings.cache_clear()
    for name in [name for name in os.environ if name.endswith("_BASE_URL")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("model", PUBLIC, ids=lambda model: f"{model.provider}-{getattr(model, 'api', '')}")
async def test_a_test_does_not_call_a_provider(model: Model) -> None:
    """Neither for a whole reply nor for a stream."""
    with pytest.raises(ConfigError, match=f"{model.provider}.* at its public address.*ScriptedModel"):
        await model.infer(HELLO)
    with pytest.raises(ConfigError, match="public address"):
        _ = [item async for item in model.stream(HELLO)]


async def test_a_block_may_allow_it() -> None:
    """The name is looked up then, in vain."""
    model = openai("m", api_key=KEY, base_url=NOWHERE)
    with allow_model_calls(), pytest.raises(ModelError) as caught:
        await model.infer(HELLO)
    assert caught.value.kind == "connection"
    with pytest.raises(ConfigError):
        await model.infer(HELLO)


async def test_a_setting_may_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERIAC_ALLOW_MODEL_CALLS", "true")
    with pytest.raises(ModelError) as caught:
        await openai("m", api_key=KEY, base_url=NOWHERE).infer(HELLO)
    assert caught.value.kind == "connection"
    load_settings.cache_clear()


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [
        (None, True),
        ("https://openrouter.ai/api/v1", True),
        ("http://8.8.8.8/v1", True),
        ("http://localhost:8000/v1", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("http://10.1.2.3/v1", False),
        ("http://model-server:8000/v1", False),
        ("http://ollama.internal/v1", False),
    ],
)
def test_what_is_near_can_be_called(address: str | None, is_refused: bool) -> None:
    """Model servers are what tests are for."""
    if not is_refused:
        check_live_call("openai", address)
        return
    with pytest.raises(ConfigError):
        check_live_call("openai", address)


async def test_a_run_that_would_call_a_provider_fails_at_once() -> None:
    """No attempt could go better."""
    app = App("live")
    app.agent(Agent("a", model=openai("gpt-4.1", api_key=KEY)), on="go")
    async with Harness(app) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert (run.status, h.attempts(run.id)) == ("failed", [])
        assert "at its public address" in str(run.error)


PROGRAM = f"""
import asyncio
from celeriac import App, Message, openai
from celeriac.errors import CeleriacError
from celeriac.testing import Harness
from celeriac.types import ModelRequest

async def ask():
    try:
        await openai("m", api_key="k", base_url="{NOWHERE}").infer(ModelRequest(messages=(Message.user("Hi"),)))
    except CeleriacError as error:
        print(error.code, end=" ")

async def main():
    await ask()
    async with Harness(App("x")):
        await ask()
    await ask()

asyncio.run(main())
"""


@pytest.mark.parametrize(("is_pytest", "said"), [(True, "config config config"), (False, "model config model")])
def test_a_program_may_call_whom_it_likes_unless_it_is_part_of_a_test(is_pytest: bool, said: str) -> None:
    """What pytest starts is a test, and what is in a harness; a plain script is none."""
    env = {name: value for name, value in os.environ.items() if is_pytest or not name.startswith("PYTEST_")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == (said.split(), "")
