"""Content: what a tool of a server answers, as a model may see it. Pure.

Text comes through as text. Of what no conversation can carry (images, sounds, files) its kind and size are told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celeriac.platform.codec import storable

if TYPE_CHECKING:
    from mcp_types import CallToolResult


def data_of(result: CallToolResult) -> Any:
    """Return the text of the answer; a list where it has several parts; its structure where it has no part."""
    parts = [_part(block.model_dump(by_alias=True, mode="json", exclude_none=True)) for block in result.content]
    if not parts:
        return storable(result.structured_content)
    return storable(parts[0] if len(parts) == 1 else parts)


def error_of(result: CallToolResult) -> str:
    """Return the text of an answer that is an error."""
    texts = [block.text for block in result.content if block.type == "text"]
    return str(storable("\n".join(texts))) or "The tool failed and says no more"


def _part(block: dict[str, Any]) -> Any:
    resource = block.get("resource", {})
    match block["type"]:
        case "text":
            return block["text"]
        case "resource_link":
            return {key: block[key] for key in ("type", "uri", "name", "description", "mimeType") if key in block}
        case "resource" if "text" in resource:
            return {"type": "resource", "uri": resource.get("uri"), "text": resource["text"]}
        case kind:
            told = block | resource
            size = len(told.get("data") or told.get("blob") or "") * 3 // 4
            return {"type": kind, "mimeType": told.get("mimeType"), "left_out": f"{size} bytes"}
