"""Recorded exchanges as requests of ours, and the one table of differences in form that carry no meaning."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celeriac.platform.message import Message, ToolCall, ToolResult
from celeriac.platform.models.model import ModelRequest, ToolSpec

FOLDER = Path(__file__).parent / "recordings"

#: What a recorded body says beside model, messages and tools only by habit; absent, it means the same.
#: Left of the `=`: where it stands. Right: the value that says nothing.
SAYS_NOTHING: dict[str, tuple[object, ...]] = {
    "stream": (False,),
    "n": (1,),
    "is_error": (False,),
    "strict": (True,),  # ours are not strict: optional parameters would be refused
    "description": ("",),
    "content": (None,),
}


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request with its answer, both as the provider saw them."""

    provider: str
    request: dict[str, Any]
    status: int
    reply: dict[str, Any]

    @property
    def params(self) -> dict[str, Any]:
        """What the body says beside model, messages and tools."""
        ours = ("model", "messages", "system", "tools", "tool_choice", "stream", "n")
        return {key: value for key, value in self.request.items() if key not in ours}


def exchanges(path: str) -> list[Exchange]:
    """Read a recording such as `openai/name`."""
    recording = json.loads((FOLDER / f"{path}.json").read_text())
    return [
        Exchange(
            provider=path.partition("/")[0],
            request=item["request"]["parsed_body"],
            status=item["response"]["status"]["code"],
            reply=item["response"]["parsed_body"],
        )
        for item in recording["interactions"]
    ]


def recordings() -> list[str]:
    """Name all recordings."""
    return sorted(file.relative_to(FOLDER).with_suffix("").as_posix() for file in FOLDER.glob("*/*.json"))


def normalised(body: Any) -> Any:
    """Strip what says nothing, at every depth, and the wrapping of our tool results."""
    if isinstance(body, list):
        return [normalised(item) for item in body]
    if not isinstance(body, dict):
        return body
    out = {key: normalised(value) for key, value in body.items() if value not in SAYS_NOTHING.get(key, ())}
    if out.get("role") == "tool" or out.get("type") == "tool_result":
        out["content"] = _unwrapped(out["content"])
    if "arguments" in out:
        out["arguments"] = json.loads(out["arguments"])
    return out


def request_of(exchange: Exchange) -> ModelRequest:
    """Say a recorded request in our words."""
    body = exchange.request
    read = _openai_message if exchange.provider == "openai" else _anthropic_message
    return ModelRequest(
        system=body.get("system", ""),
        messages=tuple(message for said in body["messages"] for message in read(said)),
        tools=tuple(_tool(tool) for tool in body.get("tools", ())),
        tool_choice=_tool_choice(body.get("tool_choice", "auto")),
    )


def _openai_message(said: dict[str, Any]) -> list[Message]:
    if said["role"] == "tool":
        return [Message.tool(ToolResult(call_id=said["tool_call_id"], name="?", data=said["content"]))]
    calls = [(call["id"], call["function"]) for call in said.get("tool_calls", ())]
    made = tuple(ToolCall(id=id, name=f["name"], input=json.loads(f["arguments"])) for id, f in calls)
    return [Message(said["role"], said.get("content") or "", tool_calls=made)]


def _anthropic_message(said: dict[str, Any]) -> list[Message]:
    blocks = said["content"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    made = tuple(ToolCall(id=b["id"], name=b["name"], input=b["input"]) for b in blocks if b["type"] == "tool_use")
    results = [block for block in blocks if block["type"] == "tool_result"]
    told = [Message.tool(ToolResult(call_id=b["tool_use_id"], name="?", data=b["content"])) for b in results]
    return told + ([Message(said["role"], text, tool_calls=made)] if text or made else [])


def _tool(tool: dict[str, Any]) -> ToolSpec:
    spec = tool.get("function", tool)
    schema = spec.get("parameters") or spec.get("input_schema")
    return ToolSpec(name=spec["name"], description=spec.get("description", ""), schema=schema)


def _tool_choice(sent: Any) -> str:
    if isinstance(sent, str):
        return "any" if sent == "required" else sent
    return str(sent["name"] if sent["type"] == "tool" else sent["type"])


def _unwrapped(content: str) -> Any:
    try:
        return json.loads(content)["data"]
    except (ValueError, TypeError, KeyError):
        return content
