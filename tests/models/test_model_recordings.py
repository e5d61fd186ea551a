"""Real exchanges replayed: our request says what the recorded one said, and nothing of the reply is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from conversations import KEY
from recorded import FORMS, Exchange, exchanges, normalised, recordings, request_of
from reply_fields import unread
from scripted_provider import Answer, ScriptedProvider

from celeriac.errors import ModelError
from celeriac.platform.message import FinishReason, Message
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.compatible import gemini
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


def those(**claims: bool) -> list[Any]:
    """The exchanges of which all this is true."""
    return [p for p in EXCHANGES if all(getattr(p.values[0], name) == is_so for name, is_so in claims.items())]


WHOLE = those(is_reply=True, is_stream=False)


def model_for(exchange: Exchange, url: str) -> Model:
    """Declare the recorded model with its recorded parameters."""
    options: dict[str, Any] = {"api_key": KEY, "base_url": url + exchange.base_path, "headers": exchange.headers}
    name, params = exchange.request["model"], exchange.params
    if exchange.provider == "openai":
        api: Any = "responses" if exchange.form == "openai_responses" else "chat"
        return openai(name, api=api, **options, **{k: v for k, v in params.items() if k != "stream_options"})
    return (gemini if exchange.provider == "gemini" else anthropic)(name, **options, **params)


def answer_of(exchange: Exchange) -> Answer:
    """The recorded answer."""
    return Answer(status=exchange.status, body=exchange.answer, content_type=exchange.content_type)


async def reply_to(exchange: Exchange, provider: ScriptedProvider) -> ModelReply:
    """Ask again what was asked, in the way it was asked."""
    model = model_for(exchange, provider.url)
    if not exchange.request.get("stream"):
        return await model.infer(request_of(exchange))
    items = [item async for item in model.stream(request_of(exchange))]
    assert isinstance(items[-1], ModelReply)
    return items[-1]


def said_in(exchange: Exchange) -> tuple[str, list[tuple[str, object]], str]:
    """Read text, tool calls and end of a recorded reply straight from its body."""
    if exchange.form == "openai":
        [choice] = exchange.answer["choices"]
        functions = [call["function"] for call in choice["message"].get("tool_calls") or ()]
        calls = [(function["name"], normalised(function)["arguments"]) for function in functions]
        return choice["message"].get("content") or "", calls, ENDS[choice["finish_reason"]]
    blocks = list(_flat(exchange.answer.get("content") or exchange.answer["output"]))
    uses = [normalised(block) for block in blocks if block["type"] in ("tool_use", "function_call")]
    calls = [(use["name"], use.get("input", use.get("arguments"))) for use in uses]
    text = "".join(block.get("text", "") for block in blocks)
    return text, calls, ENDS.get(exchange.answer.get("stop_reason", ""), "tool" if calls else "stop")


def _flat(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        yield from block["content"] if block["type"] == "message" else [block]


def test_there_are_recordings_of_all_forms() -> None:
    """Else the tests below would be green over nothing."""
    assert {parameter.values[0].form for parameter in EXCHANGES} == set(FORMS)
    assert (len(recordings()), len(EXCHANGES), len(WHOLE), len(those(is_stream=True))) == (38, 54, 44, 5)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_our_request_says_what_the_recorded_one_said(exchange: Exchange) -> None:
    """Same path, headers, model, system prompt, messages, tools, choice, output and parameters."""
    async with ScriptedProvider(answer_of(exchange)) as provider:
        try:
            await reply_to(exchange, provider)
        except ModelError:
            assert not exchange.is_reply
        [asked] = provider.asked
    assert normalised(asked.body) == normalised(exchange.request)
    assert asked.path == exchange.path
    assert exchange.headers.items() <= {name.lower(): value for name, value in asked.headers.items()}.items()


@pytest.mark.parametrize("exchange", WHOLE)
async def test_text_calls_and_end_of_a_recorded_reply_are_read(exchange: Exchange) -> None:
    """Every call has an id by which its result can be sent back."""
    async with ScriptedProvider(answer_of(exchange)) as provider:
        reply = await reply_to(exchange, provider)
    calls = [(call.name, call.input) for call in reply.tool_calls]
    assert (reply.text, calls, reply.finish_reason) == said_in(exchange)
    assert all(call.id and call.broken_input is None for call in reply.tool_calls)
    assert (reply.model, reply.raw) == (exchange.answer["model"], exchange.answer)


#: a reply, and the request in which it went back; the recorder gave Gemini's calls ids of its own
GOES_ON = [
    pytest.param(first, second, id=path)
    for path in recordings()
    for first, second in pairwise(exchanges(path))
    if first.is_reply and not first.is_stream and first.provider != "gemini"
]


@pytest.mark.parametrize(("first", "second"), GOES_ON)
def test_a_recorded_reply_goes_back_as_it_went_back_then(first: Exchange, second: Exchange) -> None:
    """What we read of it, through a memo, says all that the provider wants to hear again."""
    form, known = FORMS[first.form], first.asked.request.messages
    said = Message.parse(form.read(first.asked, first.answer).message().export())
    told = [message for message in second.asked.request.messages[len(known) :] if message.role != "assistant"]
    request = replace(second.asked.request, messages=(*known, said, *told))
    body = form.write(replace(second.asked, request=request))
    assert normalised(body) == normalised(second.request)


def test_there_are_replies_that_went_back() -> None:
    """With thoughts, with hidden ones, with several calls, in all forms."""
    assert {parameter.values[0].form for parameter in GOES_ON} == set(FORMS)
    assert len(GOES_ON) == 13


@pytest.mark.parametrize("exchange", WHOLE)
def test_every_field_of_a_recorded_reply_is_read_or_ignored_with_a_reason(exchange: Exchange) -> None:
    """What a provider adds is noticed."""
    assert unread(exchange.form, FORMS[exchange.form], exchange.asked, exchange.answer) == []


def test_a_field_that_nobody_knows_is_found() -> None:
    """The test above would be green for ever if it were not."""
    [exchange] = exchanges("openai/valid_response")
    odd = {**exchange.answer, "mood": "fine"}
    assert unread("openai", FORMS["openai"], exchange.asked, odd) == ["mood"]


@pytest.mark.parametrize("exchange", WHOLE)
async def test_usage_and_price_of_a_recorded_reply_are_read(exchange: Exchange) -> None:
    """All input and output is counted, that from the cache and that of thoughts too, and every model has a price."""
    usage = FORMS[exchange.form].read(exchange.asked, exchange.answer).usage
    sent = exchange.answer["usage"]
    cached = sent.get("cache_read_input_tokens", 0) + sent.get("cache_creation_input_tokens", 0)
    read = sent.get("prompt_tokens", sent.get("input_tokens")) + cached
    said = sent["total_tokens"] - read if "total_tokens" in sent else sent["output_tokens"]
    details = sent.get("completion_tokens_details", sent.get("output_tokens_details", {}))
    assert (usage.model_calls, usage.input_tokens, usage.output_tokens) == (1, read, said)
    assert usage.cached_tokens == sent.get("cache_read_input_tokens", 0)
    assert usage.reasoning_tokens >= details.get("reasoning_tokens", 0)
    assert usage.cost_usd > 0


async def test_recorded_failures_keep_the_providers_reason() -> None:
    """Which parameter the model does not know is the provider's to say; a greeting is no reply."""
    reasons = []
    for parameter in those(is_reply=False):
        async with ScriptedProvider(answer_of(parameter.values[0])) as provider:
            with pytest.raises(ModelError) as caught:
                await reply_to(parameter.values[0], provider)
        reasons.append((caught.value.kind, caught.value.status))
    assert sorted(reasons, key=str) == [("invalid", 400)] * 3 + [("server", None)] * 2
