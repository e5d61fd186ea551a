"""Models by name, declared models, and what they cost."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from celeriac.errors import ConfigError
from celeriac.platform.message import Usage
from celeriac.platform.models import pricing
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.openai import openai


def test_a_name_stands_for_its_model() -> None:
    """A name may have colons of its own."""
    assert resolve("openai:gpt-4.1") == openai("gpt-4.1")
    assert resolve("anthropic:claude-haiku-4-5") == anthropic("claude-haiku-4-5")
    assert resolve("openai:llama3:8b").name == "llama3:8b"


def test_a_model_stands_for_itself() -> None:
    """Objects pass through."""
    model = openai("gpt-4.1")
    assert resolve(model) is model


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("opnai:gpt-4.1", "did you mean 'openai'?"),
        ("xyz:1", "there are 'anthropic', 'azure_openai', 'gemini', 'grok', 'openai'"),
        ("gpt-4.1", "write it as 'provider:model'"),
        ("openai:", "write it as 'provider:model'"),
    ],
)
def test_a_name_that_is_none_suggests_the_right_one(name: str, hint: str) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigError, match="model") as caught:
        resolve(name)
    assert hint in str(caught.value)


def test_declaring_a_model_needs_no_sdk_and_no_key() -> None:
    """User code declares models when it is imported."""
    code = (
        "import sys; from celeriac.platform.models.catalog import resolve;"
        "resolve('openai:a'), resolve('anthropic:b');"
        "print({'openai', 'anthropic', 'genai_prices', 'httpx2', 'aiohttp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_declared_model_is_a_value_that_shows_no_key() -> None:
    """Equal declarations are equal, and can be keys."""
    model = openai("gpt-4.1", api_key="sk-secret", timeout="1m", temperature=0)
    assert model == openai("gpt-4.1", api_key="sk-secret", timeout=60, temperature=0)
    assert len({model, openai("gpt-4.1", api_key="sk-secret", timeout=60, temperature=0)}) == 1
    assert (model.timeout, "sk-secret" in repr(model)) == (timedelta(minutes=1), False)


def test_what_cannot_work_is_refused_at_the_declaration() -> None:
    """Not at the first call, hours later."""
    with pytest.raises(ConfigError, match="http"):
        openai("gpt-4.1", base_url="localhost:8000")
    with pytest.raises(ConfigError, match="messages"):
        anthropic("claude-haiku-4-5", messages=[])
    with pytest.raises(ConfigError, match="duration"):
        openai("gpt-4.1", timeout="soon")


def test_a_known_model_has_a_price_and_an_unknown_one_costs_nothing() -> None:
    """Cached tokens are cheaper; odd figures raise nothing."""
    plain = Usage(input_tokens=1_000_000, output_tokens=0)
    cached = Usage(input_tokens=1_000_000, cached_tokens=1_000_000)
    assert pricing.cost("openai", "gpt-4.1", plain) == pytest.approx(2.0)
    assert pricing.cost("openai", "gpt-4.1", cached) == pytest.approx(0.5)
    assert pricing.cost("openai", "our-own-7b", plain) == 0.0
    assert pricing.cost("nobody", "gpt-4.1", plain) >= 0.0
    assert pricing.cost("openai", "gpt-4.1", Usage(input_tokens=1, cached_tokens=5)) >= 0.0
