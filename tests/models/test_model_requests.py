"""What a request may ask for beside words: a shape, a beginning, images and files, a key of its own."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import pytest
from conversations import HELLO, KEY, LOOK_UP, TWO_CALLS
from pydantic import BaseModel, Field
from scripted_provider import Answer, ScriptedProvider, anthropic_message, chat_completion

from celeriac.errors import ConfigError, ModelError
from celeriac.platform.message import Attachment, Message, ToolResult
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.delta import TextDelta
from celeriac.platform.models.form import Asked
from celeriac.platform.models.messages import MessagesForm
from celeriac.platform.models.model import Model, ModelReply, ModelRequest, OutputSpec, ToolSpec
from celeriac.platform.models.openai import openai
from celeriac.platform.models.responses import ResponsesForm
from celeriac.testing.model_server import ModelServer, WireCall, WireReply, WireRequest

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CITY = OutputSpec(schema=SCHEMA)

PIXEL = Attachment.of(b"pixel", "image/png")
PAPER = Attachment.of(b"paper", name="paper.pdf")

OLD, NEW = "claude-3-5-haiku-latest", "claude-haiku-4-5"

MAKERS: dict[str, Callable[..., Model]] = {
    "chat": lambda **o: openai("gpt-4.1", **o),
    "responses": lambda **o: openai("gpt-4.1", api="responses", **o),
    "anthropic": lambda **o: anthropic(NEW, **o),
}
ANSWERS: dict[str, Answer] = {
    "chat": chat_completion(),
    "responses": Answer(body={"output": [], "status": "completed"}),
    "anthropic": anthropic_message(),
}


async def body_of(form: str, request: ModelRequest, **params: Any) -> dict[str, Any]:
    """Return what arrives at the provider."""
    async with ScriptedProvider(ANSWERS[form]) as provider:
        await MAKERS[form](api_key=KEY, base_url=provider.url, **params).infer(request)
        return provider.last


def with_attachments(*given: Attachment) -> ModelRequest:
    """A user's message that brings these along."""
    return ModelRequest(messages=(Message.user("What is it?", attachments=given),))


# -- a shape ------------------------------------------------------------------------------------------------------


async def test_each_schema_mode_is_asked_in_its_own_words() -> None:
    """The user's own parameters in the same object stay."""
    request = replace(HELLO, output=CITY)
    named = {"name": "final_result", "schema": SCHEMA, "strict": False}
    chat = await body_of("chat", request)
    responses = await body_of("responses", request, text={"verbosity": "low"})
    claude = await body_of("anthropic", request, output_config={"effort": "low"})
    assert chat["response_format"] == {"type": "json_schema", "json_schema": named}
    assert responses["text"] == {"verbosity": "low", "format": {"type": "json_schema", **named}}
    closed = {**SCHEMA, "additionalProperties": False}
    assert claude["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": closed}}


@pytest.mark.parametrize(
    ("tools", "params", "choice"),
    [
        ((), {}, {"type": "tool", "name": "final_result"}),
        ((LOOK_UP,), {}, {"type": "any"}),
        ((), {"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"type": "auto"}),
    ],
)
def test_a_model_without_a_schema_mode_must_call_a_tool(tools: Any, params: Any, choice: Any) -> None:
    """One that thinks cannot be forced, and one with other tools may call those first."""
    asked = Asked(provider="anthropic", model=OLD, request=replace(HELLO, tools=tools, output=CITY), params=params)
    body = MessagesForm().write(asked)
    assert [tool["name"] for tool in body["tools"]] == [tool.name for tool in tools] + ["final_result"]
    assert body["tools"][-1]["input_schema"] == SCHEMA
    assert (body["tool_choice"], "output_config" in body) == (choice, False)


class Flat(BaseModel):
    """What a schema mode takes, with constraints that it does not know."""

    number: Annotated[int, Field(ge=1)]
    city: str | None = None


class Open(BaseModel):
    """An object whose properties are not known before."""

    people: dict[str, int]


class Tree(BaseModel):
    """A type within itself."""

    leaves: list[Tree] = []


class Anything(BaseModel):
    """A value of no type."""

    value: Any


@pytest.mark.parametrize(("shape", "mode"), [(Flat, "schema"), (Open, "tool"), (Tree, "tool"), (Anything, "tool")])
def test_a_shape_that_the_schema_mode_would_refuse_is_asked_for_by_a_tool(shape: type[BaseModel], mode: str) -> None:
    """Anthropic's knows closed objects only, and no minimum; that becomes a word in the description."""
    request = replace(HELLO, output=OutputSpec(schema=shape.model_json_schema()))
    body = MessagesForm().write(Asked(provider="anthropic", model=NEW, request=request))
    assert ("output_config" in body, "tools" in body) == ((True, False) if mode == "schema" else (False, True))
    if mode == "schema":
        number = body["output_config"]["format"]["schema"]["properties"]["number"]
        assert ("minimum" in number, number["description"]) == (False, "{minimum: 1}")


async def test_the_forced_tools_call_is_the_text_of_the_reply() -> None:
    """Whole or as a stream: nobody sees by which means the shape was had."""

    def respond(request: WireRequest) -> WireReply:
        return WireReply(tool_calls=(WireCall(name=request.tools[-1].name, arguments={"city": "Oslo"}),))

    with ModelServer(respond) as server:
        model = anthropic(OLD, api_key=KEY, base_url=server.anthropic_base_url)
        reply = await model.infer(replace(HELLO, output=CITY))
        items = [item async for item in model.stream(replace(HELLO, output=CITY))]
    assert (reply.text, reply.tool_calls, reply.finish_reason) == ('{"city":"Oslo"}', (), "stop")
    streamed = items[-1]
    assert isinstance(streamed, ModelReply) and streamed.text == reply.text
    assert "".join(i.text for i in items if isinstance(i, TextDelta)).replace(" ", "") == reply.text


# -- a beginning --------------------------------------------------------------------------------------------------


async def test_a_prefill_begins_the_reply_where_the_provider_can_be_told() -> None:
    """A blank at its end would be refused."""
    body = await body_of("anthropic", replace(HELLO, prefill="The city is \n"))
    assert body["messages"][-1] == {"role": "assistant", "content": [{"type": "text", "text": "The city is"}]}


@pytest.mark.parametrize("form", ["chat", "responses"])
async def test_a_prefill_is_refused_where_it_would_be_ignored(form: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ModelError, match="prefill") as caught:
        await body_of(form, replace(HELLO, prefill="{"))
    assert caught.value.kind == "invalid"


# -- images and files ---------------------------------------------------------------------------------------------


def encoded(content: bytes) -> str:
    """Base64."""
    return base64.b64encode(content).decode()


async def test_images_and_files_stand_before_the_words() -> None:
    """Each form has words of its own for them."""
    request = with_attachments(PIXEL, PAPER)
    image, file = f"data:image/png;base64,{encoded(b'pixel')}", f"data:application/pdf;base64,{encoded(b'paper')}"
    [chat] = (await body_of("chat", request))["messages"]
    assert chat["content"] == [
        {"type": "image_url", "image_url": {"url": image}},
        {"type": "file", "file": {"filename": "paper.pdf", "file_data": file}},
        {"type": "text", "text": "What is it?"},
    ]
    [said] = (await body_of("responses", request))["input"]
    assert said["content"] == [
        {"type": "input_image", "image_url": image, "detail": "auto"},
        {"type": "input_file", "filename": "paper.pdf", "file_data": file},
        {"type": "input_text", "text": "What is it?"},
    ]


async def test_anthropic_takes_images_papers_and_texts() -> None:
    """By their bytes or by their address."""
    far = Attachment.of("https://example.com/cat.jpg?size=1")
    notes = Attachment.of("Grün".encode(), name="notes.txt")
    [said] = (await body_of("anthropic", with_attachments(PIXEL, PAPER, far, notes)))["messages"]
    sources = [block.get("source") for block in said["content"]]
    assert sources == [
        {"type": "base64", "media_type": "image/png", "data": encoded(b"pixel")},
        {"type": "base64", "media_type": "application/pdf", "data": encoded(b"paper")},
        {"type": "url", "url": "https://example.com/cat.jpg?size=1"},
        {"type": "text", "media_type": "text/plain", "data": "Grün"},
        None,
    ]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("anthropic:claude-haiku-4-5", Attachment.of(b"la", "audio/wav")),
        ("grok:grok-4", PAPER),
        ("gemini:gemini-2.5-flash", PAPER),
        ("openai:gpt-4.1", Attachment.of(b"la", "audio/flac")),
        ("openai:gpt-4.1", Attachment.of("https://example.com/a.pdf")),
    ],
)
async def test_what_a_provider_does_not_take_is_refused_by_its_type(
    name: str, given: Attachment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is sent, and no other try helps."""
    for variable in ("ANTHROPIC", "XAI", "GEMINI", "OPENAI"):
        monkeypatch.setenv(f"{variable}_API_KEY", KEY)
    with pytest.raises(ModelError, match=f"'{name}' does not take .*{given.media_type}") as caught:
        await resolve(name).infer(with_attachments(given))
    assert caught.value.kind == "invalid"


def test_an_attachment_travels_as_json_and_must_have_a_type() -> None:
    """It stands in memos and threads."""
    [message] = with_attachments(PIXEL, PAPER).messages
    assert Message.parse(message.export()) == message
    with pytest.raises(ConfigError, match="media_type="):
        Attachment.of(b"?", name="thing")


# -- thoughts -----------------------------------------------------------------------------------------------------


def test_thoughts_between_words_and_calls_go_back_in_their_places() -> None:
    """Bit by bit as they came, through a memo, hidden ones too."""
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s1"},
        {"type": "text", "text": "Let me see."},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "tool_use", "id": "a", "name": "look_up", "input": {"what": "tea"}},
        {"type": "thinking", "thinking": "And mud.", "signature": "s2"},
        {"type": "tool_use", "id": "b", "name": "look_up", "input": {"what": "mud"}},
    ]
    asked = Asked(provider="anthropic", model=NEW, request=TWO_CALLS)
    said = Message.parse(MessagesForm().read(asked, {"content": blocks}).message("Ann").export())
    told = tuple(Message.tool(ToolResult(call_id=id, name="look_up", data=1)) for id in "ab")
    body = MessagesForm().write(replace(asked, request=ModelRequest(messages=(*HELLO.messages, said, *told))))
    assert body["messages"][1]["content"] == blocks


def test_a_message_that_a_hook_changed_keeps_the_thoughts_before_it() -> None:
    """Their places are gone, their signatures hold."""
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s1"}
    asked = Asked(provider="anthropic", model=NEW, request=HELLO)
    reply = MessagesForm().read(asked, {"content": [thought, {"type": "text", "text": "Damn tea."}]})
    said = replace(reply.message(), text="Tea.")
    body = MessagesForm().write(replace(asked, request=ModelRequest(messages=(said, *HELLO.messages))))
    assert body["messages"][0]["content"] == [thought, {"type": "text", "text": "Tea."}]


@pytest.mark.parametrize(("store", "kept"), [(True, 1), (False, 0)])
def test_reasoning_goes_back_where_the_provider_can_know_it(store: bool, kept: int) -> None:
    """Neither stored nor encrypted, it would be refused."""
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "a", "name": "look_up", "arguments": "{}"},
    ]
    asked = Asked(provider="openai", model="o3", request=HELLO)
    reply = ResponsesForm().read(asked, {"output": items, "store": store})
    said = Message.parse(reply.message().export())
    body = ResponsesForm().write(replace(asked, request=ModelRequest(messages=(*HELLO.messages, said))))
    assert (body["input"][1:], reply.reasoning) == (items[1 - kept :], "Hm.")


def test_each_reasoning_goes_back_before_what_it_led_to() -> None:
    """The words stand before the calls, whatever their order was, and a thought that led to nothing is left out."""
    thoughts = [{"type": "reasoning", "id": f"rs_{n}", "summary": [], "encrypted_content": "x"} for n in range(3)]
    calls = [{"type": "function_call", "call_id": id, "name": "look_up", "arguments": "{}"} for id in "ab"]
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So."}]}
    asked = Asked(provider="openai", model="o3", request=HELLO)
    output = [thoughts[0], calls[0], thoughts[1], said, calls[1], thoughts[2]]
    message = ResponsesForm().read(asked, {"output": output, "store": False}).message()
    body = ResponsesForm().write(replace(asked, request=ModelRequest(messages=(message,))))
    again = {"role": "assistant", "content": "So."}
    assert body["input"] == [thoughts[1], again, thoughts[0], calls[0], calls[1]]


# -- a key --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "async", "of nothing"])
async def test_a_key_may_depend_on_the_context(kind: str) -> None:
    """Read at each call; a plain function may look into a database, so it runs beside the loop."""

    async def later(ctx: Any) -> str:
        return f"key-of-{ctx}"

    keys: dict[str, Any] = {"plain": lambda ctx: f"key-of-{ctx}", "async": later, "of nothing": lambda: "key-of-t1"}
    async with ScriptedProvider(chat_completion()) as provider:
        await openai("gpt-4.1", api_key=keys[kind], base_url=provider.url).infer(replace(HELLO, context="t1"))
        assert provider.asked[0].headers["authorization"] == "Bearer key-of-t1"


async def test_a_key_that_needs_a_context_is_missing_without_one() -> None:
    """Nothing is sent with nobody's key."""
    with pytest.raises(ModelError, match="context") as caught:
        await openai("gpt-4.1", api_key=lambda ctx: str(ctx)).infer(HELLO)
    assert caught.value.kind == "auth"


# -- strict tools -------------------------------------------------------------------------------------------------

LOOSE: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
}
LOOSE["required"] = ["city"]


@pytest.mark.parametrize(
    ("form", "strict", "says"),
    [
        ("chat", None, None),
        ("chat", True, True),
        ("responses", None, True),
        ("responses", False, False),
        ("anthropic", None, None),
        ("anthropic", True, True),
    ],
)
async def test_a_tool_is_strict_where_it_says_so_or_the_provider_does_by_default(
    form: str, strict: bool | None, says: bool | None
) -> None:
    """What is strict requires everything, and takes null for what may be left out."""
    sent = ToolSpec(name="weather", description="", schema=LOOSE, strict=strict)
    body = await body_of(form, ModelRequest(messages=(Message.user("Turin?"),), tools=(sent,)))
    tool = body["tools"][0].get("function", body["tools"][0])
    schema = tool.get("parameters", tool.get("input_schema"))
    assert tool.get("strict") == says
    assert schema["required"] == (["city", "days"] if says else ["city"])
    assert ("null" in str(schema["properties"]["days"])) == bool(says)


async def test_a_schema_that_cannot_be_strict_is_sent_as_it_is_where_strict_is_the_default() -> None:
    anything = {"type": "object", "properties": {"data": {}}}
    sent = ToolSpec(name="keep", description="", schema=anything)
    body = await body_of("responses", ModelRequest(messages=(Message.user("Keep it"),), tools=(sent,)))
    assert (body["tools"][0]["strict"], body["tools"][0]["parameters"]) == (False, anything)
