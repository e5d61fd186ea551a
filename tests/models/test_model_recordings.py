"""Real exchanges replayed: our request says what the recorded one said, and nothing of the reply is lost."""

from __future__ import annotations

import pytest
from conversations import KEY
from recorded import Exchange, exchanges, normalised, recordings, request_of
from scripted_provider import Answer, ScriptedProvider

from celeriac.errors import ModelError
from celeriac.platform.message import FinishReason
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.model import Model, ModelReply
from celeriac.platform.models.openai import openai

#: recorded models grow old, and the SDK says so
pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")

#: why the provider stopped, in our words
ENDS: dict[str, FinishReason] = {"stop": "stop", "end_turn": "stop", "tool_calls": "tool", "tool_use": "tool"}

EXCHANGES = [
    pytest.param(exchange, id=f"{path}-{number}")
    for path in recordings()
    for number, exchange in enumerate(exchanges(path))
]
ANSWERED = [parameter for parameter in EXCHANGES if parameter.values[0].status == 200]  # type: ignore[union-attr]


def model_for(exchange: Exchange, url: str) -> Model:
    """Declare the recorded model with its recorded parameters."""
    make = openai if exchange.provider == "openai" else anthropic
    return make(exchange.request["model"], api_key=KEY, base_url=url, **exchange.params)


async def reply_to(exchange: Exchange) -> ModelReply:
    """Ask again what was asked, and be answered what was answered."""
    async with ScriptedProvider(Answer(status=exchange.status, body=exchange.reply)) as provider:
        return await model_for(exchange, provider.url).infer(request_of(exchange))


def said_in(exchange: Exchange) -> tuple[str, list[tuple[str, object]], str]:
    """Read text, tool calls and end of a recorded reply straight from its body."""
    if exchange.provider == "openai":
        [choice] = exchange.reply["choices"]
        functions = [call["function"] for call in choice["message"].get("tool_calls") or ()]
        calls = [(function["name"], normalised(function)["arguments"]) for function in functions]
        return choice["message"].get("content") or "", calls, choice["finish_reason"]
    blocks = exchange.reply["content"]
    calls = [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    return "".join(block.get("text", "") for block in blocks), calls, exchange.reply["stop_reason"]


def test_there_are_recordings_of_both_providers() -> None:
    """Else the tests below would be green over nothing."""
    assert len(EXCHANGES) >= 15
    assert len(ANSWERED) < len(EXCHANGES)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_our_request_says_what_the_recorded_one_said(exchange: Exchange) -> None:
    """Same model, system prompt, messages, tools, choice and parameters."""
    async with ScriptedProvider(Answer(status=exchange.status, body=exchange.reply)) as provider:
        try:
            await model_for(exchange, provider.url).infer(request_of(exchange))
        except ModelError:
            assert exchange.status != 200
        assert normalised(provider.last) == normalised(exchange.request)


@pytest.mark.parametrize("exchange", ANSWERED)
async def test_text_calls_and_end_of_a_recorded_reply_are_read(exchange: Exchange) -> None:
    """Every call has an id by which its result can be sent back."""
    reply = await reply_to(exchange)
    text, calls, end = said_in(exchange)
    assert reply.text == text
    assert [(call.name, call.input) for call in reply.tool_calls] == calls
    assert all(call.id and call.broken_input is None for call in reply.tool_calls)
    assert reply.finish_reason == ENDS[end]
    assert (reply.model, reply.raw) == (exchange.reply["model"], exchange.reply)


@pytest.mark.parametrize("exchange", ANSWERED)
async def test_usage_of_a_recorded_reply_is_read(exchange: Exchange) -> None:
    """No recorded call used the cache, so the provider's own figures are the sums."""
    usage = (await reply_to(exchange)).usage
    sent = exchange.reply["usage"]
    assert usage.input_tokens == sent.get("prompt_tokens", sent.get("input_tokens"))
    assert usage.output_tokens == sent.get("completion_tokens", sent.get("output_tokens"))
    assert usage.reasoning_tokens == sent.get("completion_tokens_details", {}).get("reasoning_tokens", 0)
    assert usage.model_calls == 1


async def test_recorded_errors_keep_the_providers_reason() -> None:
    """Which parameter the model does not know is the provider's to say."""
    errors = [parameter.values[0] for parameter in EXCHANGES if parameter not in ANSWERED]
    for exchange in errors:
        assert isinstance(exchange, Exchange)
        with pytest.raises(ModelError, match="not support") as caught:
            await reply_to(exchange)
        assert (caught.value.kind, caught.value.status) == ("invalid", 400)
