"""Tools: what a model may call, what it sees of the outcome, and what stays a function."""

import asyncio
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from celeriac import Agent, AgentResult, Context, ToolError, tool
from celeriac.errors import ConfigError
from celeriac.platform.message import ToolCall, ToolResult
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.testing import ScriptedModel, call, calls


async def answers(one: Any, *lines: Any) -> AgentResult:
    """Run an agent with one tool over these lines and a last text."""
    return await Agent("a", tools=[one], model=ScriptedModel([*lines, "done"])).run("go")


async def outcome(one: Any, **arguments: Any) -> ToolResult:
    """Return what a single call of a tool came to."""
    return (await answers(one, call(one.name, **arguments))).tool_results[0]


@tool
def add(a: int, b: Annotated[int, Field(description="the other one", ge=0)] = 1) -> int:
    """Add two numbers."""
    return a + b


async def test_arguments_are_validated_and_coerced() -> None:
    assert (await outcome(add, a="3")).data == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({}, "a: Field required"), ({"a": "x"}, "a: "), ({"a": 1, "b": -1}, "b: "), ({"a": 1, "c": 2}, "c: ")],
)
async def test_arguments_that_do_not_fit_go_back_to_the_model(arguments: dict[str, Any], words: str) -> None:
    error = (await outcome(add, **arguments)).error
    assert error is not None and error["name"] == "InvalidArguments" and words in error["message"]


async def test_the_model_can_mend_a_bad_call() -> None:
    result = await answers(add, call("add", a="x"), call("add", a=1))
    assert [one.data for one in result.tool_results] == [None, 2] and result.text == "done"


async def test_an_unknown_tool_goes_back_to_the_model_with_a_suggestion() -> None:
    result = await answers(add, call("ad/d", a=1))
    error = result.tool_results[0].error
    assert error is not None and error["name"] == "UnknownTool" and "did you mean 'add'" in error["message"]


class Babbles:
    """A model whose arguments are no JSON."""

    provider, name = "babbles", "b"

    async def infer(self, request: ModelRequest) -> ModelReply:
        if len(request.messages) > 1:
            return ModelReply(model="b", text=str(request.messages[-1].tool_result))
        return ModelReply(model="b", tool_calls=(ToolCall(id="", name="add", broken_input="{a:"),))


async def test_arguments_that_are_no_json_go_back_to_the_model() -> None:
    result = await Agent("a", tools=[add], model=Babbles()).run("go")
    assert "no JSON object: {a:" in result.text


async def test_an_exception_goes_to_the_model_without_a_stack_trace() -> None:
    @tool
    def breaks() -> None:
        """Break."""
        raise KeyError("card")

    assert (await outcome(breaks)).error == {"name": "KeyError", "message": "'card'"}


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_tool_error_is_shown_as_it_stands(retries: int) -> None:
    @tool(retries=retries)
    def refuses() -> None:
        """Refuse."""
        raise ToolError("Ask for the card number first.")

    assert (await outcome(refuses)).error == {"name": "ToolError", "message": "Ask for the card number first."}


async def test_a_tool_with_retries_that_keeps_failing_fails_its_call_and_not_the_run() -> None:
    @tool(retries=1)
    def breaks() -> None:
        """Break."""
        raise ValueError("always")

    assert (await outcome(breaks)).error == {"name": "ValueError", "message": "always"}


async def test_a_value_without_a_json_form_fails_its_call_and_not_the_run() -> None:
    @tool
    def odd() -> Any:
        """Return what cannot be told."""
        return float("nan")

    error = (await outcome(odd)).error
    assert error is not None and "JSON" in error["message"]


async def test_none_is_told_as_success() -> None:
    @tool
    def notes() -> None:
        """Note."""

    assert (await outcome(notes)).content() == {"data": "notes successfully executed"}


class Card(BaseModel):
    number: str


async def test_models_go_in_and_come_out_as_json() -> None:
    @tool
    def block(card: Card) -> Card:
        """Block."""
        assert isinstance(card, Card)
        return card

    assert (await outcome(block, card={"number": "7"})).data == {"number": "7"}


async def test_a_coroutine_and_a_plain_function_with_a_context_are_tools() -> None:
    @tool
    async def later(ctx: Context, n: int) -> str:
        """Answer on the loop."""
        return f"{ctx.tool_call.name} {n} {asyncio.get_running_loop().is_running()}"

    @tool
    def now(ctx: Context, n: int) -> str:
        """Answer in a thread."""
        return f"{ctx.tool_call.name} {n} {ctx.agent.name}"

    assert (await outcome(later, n=1)).data == "later 1 True"
    assert (await outcome(now, n=2)).data == "now 2 a"


async def test_the_calls_of_one_reply_run_side_by_side() -> None:
    both = asyncio.Barrier(2)

    @tool
    async def meets() -> None:
        """Wait for the other one."""
        await asyncio.wait_for(both.wait(), 10)

    result = await answers(meets, calls(call("meets"), call("meets")))
    assert [one.error for one in result.tool_results] == [None, None]


async def test_a_tool_that_is_not_parallel_runs_alone() -> None:
    events: list[str] = []

    @tool(parallel=False)
    async def alone(n: int) -> None:
        """Run alone."""
        events.append(f"begin {n}")
        await asyncio.to_thread(int)
        events.append(f"end {n}")

    await answers(alone, calls(call("alone", n=1), call("alone", n=2)))
    assert events == ["begin 1", "end 1", "begin 2", "end 2"]


def test_a_tool_is_still_a_function() -> None:
    assert add(1, 2) == 3 and add(a=1) == 2


def test_texts_of_parameters_stand_in_the_schema() -> None:
    assert add.spec.schema["properties"]["b"]["description"] == "the other one"
    assert (add.name, add.description, add.spec.schema["required"]) == ("add", "Add two numbers.", ["a"])


def test_declarations_that_cannot_work_say_what_to_write() -> None:
    def bare() -> None: ...

    with pytest.raises(ConfigError, match="decorate it with @tool"):
        Agent("a", tools=[bare])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="two tools named 'add'"):
        Agent("a", tools=[add, add])
    with pytest.raises(ConfigError, match="did you mean 'add'"):
        Agent("a", tools=[add], tool_choice="ad")
    with pytest.raises(ConfigError, match="did you mean 'retries'"):
        tool(retires=1)(bare)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="Tool name"):
        tool(name="no spaces")(bare)
