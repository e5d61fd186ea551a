"""Several models as one: when the next is asked, and what is told when none answers."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator
from typing import Any, get_args

import pytest
from conversations import HELLO, KEY

from celeriac import Agent
from celeriac.errors import ConfigError, ModelError, ModelErrorKind
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.delta import Delta, Restarted, TextDelta
from celeriac.platform.models.fallback import Fallback
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.platform.models.openai import openai
from celeriac.testing import ScriptedModel
from celeriac.testing.model_server import Faults, ModelServer, WireReply

OUTAGES = {"rate_limit", "overloaded", "server", "timeout", "connection", "auth", "quota"}


class Broken:
    """A model that says a word, and fails."""

    provider = "broken"
    name = "b"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Fail."""
        raise ModelError("The model broke", kind="server")

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Fail in the middle."""
        yield TextDelta(text="Let me")
        raise ModelError("The model broke", kind="connection")


@pytest.mark.parametrize("kind", get_args(ModelErrorKind))
async def test_the_next_model_is_asked_when_the_first_is_out(kind: Any) -> None:
    """A request that is wrong is wrong everywhere, and is not sent twice."""
    first, second = ScriptedModel([ModelError("No.", kind=kind)]), ScriptedModel(["Hi"])
    model = resolve([first, second])
    if kind in OUTAGES:
        assert (await model.infer(HELLO)).text == "Hi"
    else:
        with pytest.raises(ModelError, match=r"^No\.$"):
            await model.infer(HELLO)
        assert second.requests == []


async def test_a_chain_of_which_all_are_out_is_tried_again_when_the_first_may_be_back() -> None:
    """The text names all failures; the shortest wish of those that may come back counts."""
    errors = [
        ModelError("a is full", kind="rate_limit", status=429, retry_after=60.0, request_id="r1"),
        ModelError("b is busy", kind="overloaded", status=529, retry_after=5.0, request_id="r2"),
        ModelError("c has no key", kind="auth", status=401),
    ]
    with pytest.raises(ModelError) as caught:
        await Fallback(tuple(ScriptedModel([error]) for error in errors)).infer(HELLO)
    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error) == "All models failed: a is full; b is busy; c has no key"
    assert (error.kind, error.status, error.retry_after, error.request_id) == ("overloaded", 529, 5.0, "r2")


async def test_a_stream_that_breaks_is_begun_anew_by_the_next_model() -> None:
    """What was shown is void, and the reader is told so."""
    items = [item async for item in resolve([Broken(), ScriptedModel(["Hi"])]).stream(HELLO)]
    assert items[:3] == [TextDelta(text="Let me"), Restarted(model="scripted:script"), TextDelta(text="Hi")]
    assert isinstance(items[-1], ModelReply) and items[-1].text == "Hi"


async def test_a_reply_says_which_model_it_is_from() -> None:
    """Over real HTTP: OpenAI is overloaded, Anthropic answers."""
    with ModelServer(lambda request: WireReply(text=request.provider), faults=Faults(script=(503,))) as server:
        first = openai("gpt-4.1", api_key=KEY, base_url=server.openai_base_url)
        second = anthropic("claude-haiku-4-5", api_key=KEY, base_url=server.anthropic_base_url)
        result = await Agent("Ann", system="Be kind.", model=[first, second]).run("Hello")
        assert server.requests == 2
    assert (result.text, result.model) == ("anthropic", "anthropic:claude-haiku-4-5")


def test_names_and_models_make_a_chain() -> None:
    """One alone is itself; none is a mistake."""
    assert resolve(["openai:gpt-4.1", "gemini:g"]) == Fallback((resolve("openai:gpt-4.1"), resolve("gemini:g")))
    assert resolve(["openai:gpt-4.1"]) == openai("gpt-4.1")
    with pytest.raises(ConfigError, match="at least one"):
        resolve([])
