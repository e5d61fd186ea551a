"""Recorded exchanges as requests of ours, and the one table of differences in form that carry no meaning."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celeriac.platform.message import Message, ToolCall, ToolResult
from celeriac.platform.models.chat import ChatForm
from celeriac.platform.models.form import Asked, Form
from celeriac.platform.models.messages import MessagesForm
from celeriac.platform.models.model import ModelRequest, OutputSpec, ToolSpec
from celeriac.platform.models.responses import ResponsesForm

FOLDER = Path(__file__).parent / "recordings"

FORMS: dict[str, Form] = {"openai": ChatForm(), "openai_responses": ResponsesForm(), "anthropic": MessagesForm()}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where our body and a recorded one may differ, because it means the same."""

    key: str
    why: str
    #: the values that say nothing
    says_nothing: tuple[object, ...] = ()
    #: else: what is compared in place of the value
    meaning: Callable[[Any], Any] | None = None


def _unwrapped(content: Any) -> Any:
    try:
        return json.loads(content)["data"]
    except (ValueError, TypeError, KeyError):
        return content


#: Everything that is done to both bodies before they are compared; there is no other place.
DIFFERENCES = (
    Difference(key="stream", says_nothing=(False,), why="the default of all three forms"),
    Difference(key="n", says_nothing=(1,), why="the default"),
    Difference(key="is_error", says_nothing=(False,), why="the default"),
    Difference(key="strict", says_nothing=(False,), why="what is not said of a chat completion's tool is not strict"),
    Difference(key="description", says_nothing=("", None), why="a tool without one has none, however that is said"),
    Difference(key="instructions", says_nothing=("",), why="no system prompt, however that is said"),
    Difference(key="status", says_nothing=(None,), why="a null of an item that the recorder sent back"),
    Difference(key="content", says_nothing=("", None), why="a message of calls has no text, however that is said"),
    Difference(key="arguments", meaning=json.loads, why="JSON in a text: blanks in it mean nothing"),
    Difference(key="content", meaning=_unwrapped, why="we say a tool's result as {'data': …}, the recorder bare"),
    Difference(key="output", meaning=_unwrapped, why="the same, in the Responses API"),
)


def normalised(body: Any) -> Any:
    """Apply the table at every depth; a message in which nothing is left but its role is no message."""
    if isinstance(body, list):
        return [said for said in map(normalised, body) if said != {"role": "assistant"}]
    if not isinstance(body, dict):
        return body
    out = {key: normalised(value) for key, value in body.items()}
    for rule in DIFFERENCES:
        if rule.key not in out:
            continue
        if out[rule.key] in rule.says_nothing:
            del out[rule.key]
        elif rule.meaning is not None:
            out[rule.key] = rule.meaning(out[rule.key])
    return out


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request with its answer, both as the provider saw them."""

    form: str
    uri: str
    request: dict[str, Any]
    headers: dict[str, str]
    status: int
    content_type: str
    #: a JSON value, or the text of a stream
    answer: Any

    @property
    def provider(self) -> str:
        """Whose traffic it is."""
        return "gemini" if "googleapis" in self.uri else "anthropic" if self.form == "anthropic" else "openai"

    @property
    def path(self) -> str:
        """The path that was asked."""
        return urlsplit(self.uri).path

    @property
    def base_path(self) -> str:
        """The part of the path that belongs to the base URL."""
        ends = {"openai": "/chat/completions", "openai_responses": "/responses", "anthropic": "/v1/messages"}
        return self.path.removesuffix(ends[self.form])

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream."""
        return "event-stream" in self.content_type

    @property
    def is_reply(self) -> bool:
        """Whether the answer is a reply, and not an error or a greeting."""
        return self.status == 200 and (self.is_stream or (isinstance(self.answer, dict) and "model" in self.answer))

    @property
    def params(self) -> dict[str, Any]:
        """What the body says beside model, messages and tools."""
        ours = ("model", "messages", "input", "system", "instructions", "tools", "tool_choice", "stream", "n")
        return {key: value for key, value in self.request.items() if key not in (*ours, "response_format")}

    @property
    def asked(self) -> Asked:
        """The request in our words."""
        return Asked(provider=self.provider, model=self.request["model"], request=request_of(self), params=self.params)


def exchanges(path: str) -> list[Exchange]:
    """Read a recording such as `openai/name`."""
    recording = json.loads((FOLDER / f"{path}.json").read_text())
    return [
        Exchange(
            form=path.partition("/")[0],
            uri=item["request"]["uri"],
            request=item["request"]["parsed_body"],
            headers=item["request"].get("headers", {}),
            status=item["response"]["status"]["code"],
            content_type=item["response"]["content_type"],
            answer=item["response"].get("parsed_body") or item["response"].get("text"),
        )
        for item in recording["interactions"]
    ]


def recordings() -> list[str]:
    """Name all recordings."""
    return sorted(file.relative_to(FOLDER).with_suffix("").as_posix() for file in FOLDER.glob("*/*.json"))


def events_of(stream: str) -> list[dict[str, Any]]:
    """Read the events of a recorded stream."""
    data = [line[5:].strip() for line in stream.splitlines() if line.startswith("data:")]
    return [{"type": "[DONE]"} if text == "[DONE]" else json.loads(text) for text in data]


def request_of(exchange: Exchange) -> ModelRequest:
    """Say a recorded request in our words."""
    body = exchange.request
    read = {"openai": _chat, "openai_responses": _item, "anthropic": _message}[exchange.form]
    output = body.get("response_format", {}).get("json_schema")
    return ModelRequest(
        system=body.get("system", body.get("instructions", "")),
        messages=tuple(message for said in body.get("messages", body.get("input", ())) for message in read(said)),
        tools=tuple(_tool(tool) for tool in body.get("tools", ())),
        tool_choice=_tool_choice(body.get("tool_choice", "auto")),
        output=output and OutputSpec(schema=output["schema"], name=output["name"], strict=output["strict"]),
    )


def _chat(said: dict[str, Any]) -> list[Message]:
    if said["role"] == "tool":
        return [Message.tool(ToolResult(call_id=said["tool_call_id"], name="?", data=said["content"]))]
    calls = [(call["id"], call["function"]) for call in said.get("tool_calls", ())]
    made = tuple(ToolCall(id=id, name=f["name"], input=json.loads(f["arguments"])) for id, f in calls)
    return [Message(said["role"], said.get("content") or "", tool_calls=made)]


def _item(said: dict[str, Any]) -> list[Message]:
    if said.get("type") == "function_call_output":
        return [Message.tool(ToolResult(call_id=said["call_id"], name="?", data=said["output"]))]
    if said.get("type") == "function_call":
        call = ToolCall(id=said["call_id"], name=said["name"], input=json.loads(said["arguments"]))
        return [Message.assistant("", tool_calls=(call,))]
    return [Message(said["role"], said["content"])]


def _message(said: dict[str, Any]) -> list[Message]:
    """Read an assistant's blocks as the adapter reads a reply, so that what it keeps verbatim is what it sends."""
    blocks = said["content"]
    if said["role"] == "assistant":
        asked = Asked(provider="anthropic", model="?", request=ModelRequest())
        return [MessagesForm().read(asked, {"content": blocks}).message()]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    results = [block for block in blocks if block["type"] == "tool_result"]
    told = [Message.tool(ToolResult(call_id=b["tool_use_id"], name="?", data=b["content"])) for b in results]
    return told + ([Message.user(text)] if text else [])


def _tool(tool: dict[str, Any]) -> ToolSpec:
    spec = tool.get("function", tool)
    schema = spec.get("parameters") or spec.get("input_schema")
    described = spec.get("description") or ""
    return ToolSpec(name=spec["name"], description=described, schema=schema, strict=spec.get("strict", False))


def _tool_choice(sent: Any) -> str:
    if isinstance(sent, str):
        return "any" if sent == "required" else sent
    if "function" in sent:
        return str(sent["function"]["name"])
    return str(sent["name"] if sent["type"] == "tool" else sent["type"])
