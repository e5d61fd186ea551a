"""Recorded streams replayed: the pieces make up the reply, no field is lost, and one that is cut is no reply."""

from __future__ import annotations

from typing import Any

import pytest
from conversations import HELLO, KEY
from recorded import FOLDER, FORMS, Exchange, events_of, exchanges, recordings
from reply_fields import unread_in_stream
from scripted_provider import Answer, ScriptedProvider
from test_model_recordings import model_for

from celeriac.errors import ModelError
from celeriac.platform.message import ToolCall
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.delta import CallDelta, ReasoningDelta, TextDelta, UsageDelta
from celeriac.platform.models.form import Asked
from celeriac.platform.models.model import Model, ModelReply, ModelRequest
from celeriac.platform.models.wire import to_json

pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")

STREAMS = [
    pytest.param(exchange, id=f"{path}-{number}")
    for path in recordings()
    for number, exchange in enumerate(exchanges(path))
    if exchange.is_stream
]
#: bodies alone, recorded by Anthropic's own SDK
BARE = sorted((FOLDER / "anthropic_sse").glob("*.txt"))

CLAUDE = Asked(provider="anthropic", model="claude-sonnet-4-5", request=HELLO)


async def pieces(model: Model, request: ModelRequest) -> tuple[list[Any], ModelReply]:
    """Stream a reply; return its pieces and the reply at the end."""
    items = [item async for item in model.stream(request)]
    assert isinstance(items[-1], ModelReply)
    return items[:-1], items[-1]


async def streamed(exchange: Exchange, text: str) -> tuple[list[Any], ModelReply]:
    """Ask again, and be answered with this stream."""
    async with ScriptedProvider(Answer(body=text, content_type="text/event-stream")) as provider:
        return await pieces(model_for(exchange, provider.url), exchange.asked.request)


async def streamed_bare(name: str) -> tuple[list[Any], ModelReply]:
    """Ask Anthropic's adapter, and answer with a bare stream."""
    body = (FOLDER / "anthropic_sse" / f"{name}.txt").read_text()
    async with ScriptedProvider(Answer(body=body, content_type="text/event-stream")) as provider:
        return await pieces(anthropic("claude-sonnet-4-5", api_key=KEY, base_url=provider.url), HELLO)


def joined(found: list[Any], kind: type[Any]) -> str:
    """The texts of all pieces of a kind."""
    part = "arguments" if kind is CallDelta else "text"
    return "".join(getattr(piece, part) for piece in found if type(piece) is kind)


@pytest.mark.parametrize("exchange", STREAMS)
async def test_the_pieces_of_a_recorded_stream_make_up_its_reply(exchange: Exchange) -> None:
    """Text, thoughts and arguments come piece by piece, usage once and last, then the reply."""
    found, reply = await streamed(exchange, exchange.answer)
    assert (joined(found, TextDelta), joined(found, ReasoningDelta)) == (reply.text, reply.reasoning)
    assert {(p.id, p.name) for p in found if type(p) is CallDelta} == {(c.id, c.name) for c in reply.tool_calls}
    assert joined(found, CallDelta) == "".join(to_json(call.input) for call in reply.tool_calls)
    assert found[-1] == UsageDelta(usage=reply.usage)
    assert len(found) > 5 and reply.usage.cost_usd > 0 and (reply.text or reply.tool_calls)


@pytest.mark.parametrize("file", BARE, ids=lambda file: file.stem)
async def test_the_pieces_of_a_bare_stream_make_up_its_reply(file: Any) -> None:
    """Against what stands in its events, read here by hand."""
    events = events_of(file.read_text())
    found, reply = await streamed_bare(file.stem)
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    began = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    said = "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")
    used = [event["usage"]["output_tokens"] for event in events if event["type"] == "message_delta"]
    assert (reply.text, joined(found, TextDelta)) == (said, said)
    assert [call.name for call in reply.tool_calls] == [one["name"] for one in began if one["type"] == "tool_use"]
    assert joined(found, CallDelta) == "".join(one.get("partial_json", "") for one in deltas)
    assert (reply.usage.output_tokens, found[-1]) == (used[-1], UsageDelta(usage=reply.usage))


@pytest.mark.parametrize("exchange", STREAMS)
def test_every_field_of_a_recorded_stream_is_read_or_ignored_with_a_reason(exchange: Exchange) -> None:
    """What a provider adds to an event is noticed."""
    events = events_of(exchange.answer)
    assert unread_in_stream(exchange.form, FORMS[exchange.form], exchange.asked, events) == []


@pytest.mark.parametrize("file", BARE, ids=lambda file: file.stem)
def test_every_field_of_a_bare_stream_is_read_or_ignored_with_a_reason(file: Any) -> None:
    """Blocks of kinds that we do not know are kept whole, so their fields count as read."""
    assert unread_in_stream("anthropic", FORMS["anthropic"], CLAUDE, events_of(file.read_text())) == []


def test_an_unknown_field_of_an_event_is_found() -> None:
    """The two tests above would be green for ever if it were not."""
    events = events_of(BARE[0].read_text())
    events[1] |= {"mood": "fine"}
    assert unread_in_stream("anthropic", FORMS["anthropic"], CLAUDE, events) == ["content_block_start: mood"]


@pytest.mark.parametrize("exchange", STREAMS)
async def test_a_recorded_stream_that_is_cut_anywhere_is_a_failure(exchange: Exchange) -> None:
    """Half a reply is none, wherever the cut is, and it may be tried again."""
    lines = exchange.answer.rstrip().splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if '"finish_reason":"' in line or "data:" in line]
    last = next((n for n, line in enumerate(lines) if '"finish_reason":"' in line), ends[-1])
    for cut in {1, last // 2, last}:
        with pytest.raises(ModelError) as caught:
            await streamed(exchange, "".join(lines[:cut]) + lines[cut][:15])
        assert (caught.value.kind, caught.value.is_retriable) == ("connection", True)


async def test_a_tool_call_of_a_stream_is_read() -> None:
    """Its input arrives as text, in pieces that are no JSON each."""
    found, reply = await streamed_bare("tool_use_response")
    assert reply.tool_calls == (
        ToolCall(id="toolu_01NRLabsLyVHZPKxbKvkfSMn", name="get_weather", input={"location": "Paris"}),
    )
    assert [p.arguments for p in found if type(p) is CallDelta] == ["", "", '{"locati', 'on": "P', "ar", 'is"}']
    assert (reply.finish_reason, reply.usage.input_tokens, reply.usage.output_tokens) == ("tool", 377, 65)


async def test_arguments_that_the_token_limit_cut_come_back_as_they_were() -> None:
    """The reply is whole, only its last call is not; the model can be told so."""
    _, reply = await streamed_bare("incomplete_partial_json_response")
    [call] = reply.tool_calls
    assert (reply.finish_reason, call.input) == ("length", {})
    assert call.broken_input and call.broken_input.startswith('{"filename": "taxes.txt", ')


async def test_blocks_of_other_kinds_go_back_where_they_stood() -> None:
    """A summary that the provider encrypted is worth nothing but to the provider."""
    _, reply = await streamed_bare("compaction_response")
    again = FORMS["anthropic"].write(
        Asked(
            provider="anthropic",
            model="claude-sonnet-4-5",
            request=ModelRequest(messages=(reply.message(), *HELLO.messages)),
        )
    )
    assert [block["type"] for block in again["messages"][0]["content"]] == ["compaction", "text"]
    assert again["messages"][0]["content"][0]["encrypted_content"].startswith("EpwB")
    assert reply.text == "Hello there!"
