"""What a server offers, and how strange that may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from mcp.server import Server
from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool, ToolAnnotations
from tool_servers import ServedTools

from celeriac.errors import McpError
from celeriac.platform.mcp.arguments import misfit
from celeriac.platform.mcp.content import data_of, error_of
from celeriac.platform.mcp.endpoint import Endpoint, McpLimits
from celeriac.platform.mcp.listing import listed
from celeriac.platform.mcp.sessions import ask

OBJECT = {"type": "object"}


def tool(name: str, schema: dict[str, Any] = OBJECT, **more: Any) -> Tool:
    return Tool(name=name, input_schema=schema, **more)


def offered(tools: list[Tool], **options: Any) -> list[str]:
    kept = listed("s", tools, McpLimits(), **{"include": None, "exclude": (), **options})
    return [one["name"] for one in kept]


def paged(page_of: Callable[[str | None], tuple[str, str | None]]) -> Any:
    """Return a server that has one tool a page."""

    async def pages(_: Any, params: Any) -> ListToolsResult:
        name, onward = page_of(params.cursor if params else None)
        return ListToolsResult(tools=[tool(name)], next_cursor=onward)

    return Server("paged", on_list_tools=pages).streamable_http_app()


async def names_of(app: Any, limits: McpLimits) -> list[str]:
    with ServedTools(app=app) as served:
        end = Endpoint(name="s", transport="streamable-http", url=served.url)
        return [one.name for one in await ask(end, limits, lambda asked: asked.tools(), is_repeatable=True)]


@pytest.mark.usefixtures("sessions")
async def test_all_pages_of_a_list_are_read(open_limits: McpLimits) -> None:
    app = paged(lambda cursor: (f"t{cursor or 0}", str(int(cursor or 0) + 1) if cursor != "4" else None))
    assert await names_of(app, open_limits) == ["t0", "t1", "t2", "t3", "t4"]


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("onward", [lambda cursor: "again", lambda cursor: f"{cursor}x"])
async def test_a_list_without_end_is_refused(open_limits: McpLimits, onward: Callable[[str | None], str]) -> None:
    with pytest.raises(McpError, match=r"'s' lists tools without end; the limit is 8"):
        await names_of(paged(lambda cursor: ("t", onward(cursor))), replace(open_limits, max_tools=8))


def test_tools_are_chosen_by_names_and_patterns() -> None:
    tools = [tool("list_a"), tool("list_b"), tool("run_sql"), tool("drop")]
    assert offered(tools, include=["list_*", "run_sql"], exclude=["list_b"]) == ["s-list_a", "s-run_sql"]


def test_names_are_made_such_that_providers_take_them() -> None:
    assert offered([tool("files/read.all")]) == ["s-files_read_all"]


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([tool("a.b"), tool("a/b")], r"names two tools 's-a_b'; leave it out with exclude=\['a/b'\]"),
        ([tool("x" * 64)], "longer than 64 characters"),
        ([tool("big", {"type": "object", "title": "x" * 70_000})], r"'big' with 7\d{4} bytes; the limit is 65536"),
        ([tool(f"t{n}") for n in range(257)], "offers 257 tools .* choose some with include="),
    ],
)
def test_what_cannot_be_offered_is_refused_by_name(tools: list[Tool], message: str) -> None:
    with pytest.raises(McpError, match=message) as refused:
        offered(tools)
    assert not refused.value.is_retriable


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(40):
        schema = {"type": "object", "properties": {"x": schema}}
    with pytest.raises(McpError, match="'deep' deeper than 32 levels"):
        offered([tool("deep", schema)])


def test_what_is_left_out_is_not_refused() -> None:
    assert offered([tool("x" * 64), tool("y")], exclude=["x*"]) == ["s-y"]


def test_a_listing_tells_what_may_be_called_twice() -> None:
    hints = [ToolAnnotations(read_only_hint=True), ToolAnnotations(idempotent_hint=True), ToolAnnotations(), None]
    tools = [tool(f"t{n}", annotations=one) for n, one in enumerate(hints)]
    kept = listed("s", tools, McpLimits(), include=None, exclude=())
    assert [one["is_repeatable"] for one in kept] == [True, True, False, False]


@pytest.mark.parametrize(
    ("schema", "arguments", "told"),
    [
        ({"properties": {"n": {"type": "integer"}}}, {"n": "x"}, "n: does not fit 'type': integer"),
        ({"required": ["a", "b"]}, {"a": 1}, "arguments: 'b' is missing"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, "arguments: unknown names ['b']"),
        ({"properties": {"pattern": {"type": "string"}}}, {"pattern": 1}, "pattern: does not fit 'type': string"),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"required": ["a"]}}}, {}, "arguments: 'a' is missing"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}, {"a": 1}, "the server's schema of this tool cannot"),
        ({"type": 7}, {}, "the server's schema of this tool cannot"),
    ],
)
def test_arguments_that_do_not_fit_are_told_in_one_line(schema: Any, arguments: Any, told: str) -> None:
    assert (misfit(schema, arguments) or "").startswith(told)


def test_expressions_of_a_stranger_are_not_evaluated() -> None:
    """This one would take longer than the universe has."""
    evil = {"pattern": "^(a+)+$", "type": "string"}
    schema = {"properties": {"s": evil}, "patternProperties": {"^(a+)+$": evil}, "additionalProperties": False}
    assert misfit(schema, {"s": "a" * 40 + "!", "a" * 40 + "!": "x"}) is None


def test_a_result_comes_as_its_text_and_without_what_no_conversation_carries() -> None:
    text = {"type": "text", "text": "hi"}
    image = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
    link = {"type": "resource_link", "uri": "file:///a", "name": "a"}
    file = {"type": "resource", "resource": {"uri": "file:///b", "text": "inside"}}
    whole = CallToolResult.model_validate({"content": [text, image, link, file]})
    assert data_of(CallToolResult.model_validate({"content": [text]})) == "hi"
    assert data_of(whole) == [
        "hi",
        {"type": "image", "mimeType": "image/png", "left_out": "3 bytes"},
        link,
        {"type": "resource", "uri": "file:///b", "text": "inside"},
    ]


def test_a_result_without_parts_comes_as_its_structure() -> None:
    assert data_of(CallToolResult(content=[], structured_content={"n": 1})) == {"n": 1}


def test_an_error_without_text_says_so() -> None:
    assert error_of(CallToolResult(content=[], is_error=True)) == "The tool failed and says no more"
    assert error_of(CallToolResult(content=[TextContent(text="no\0")], is_error=True)) == "no\ufffd"
