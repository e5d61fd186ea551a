"""The options of a tool: parameters as a whole, limits of an attempt, and hooks around it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from celeriac import Agent, App, Context, Tool, ToolError, tool
from celeriac.errors import ConfigError
from celeriac.platform.message import ToolResult
from celeriac.testing import Harness, ScriptedModel, call


async def outcome(one: Tool[..., Any], **arguments: Any) -> ToolResult:
    """Return what a single call of a tool came to."""
    model = ScriptedModel([call(one.name, **arguments), "done"])
    return (await Agent("a", tools=[one], model=model).run("go")).tool_results[0]


# -- parameters ---------------------------------------------------------------------------------------------------


class Search(BaseModel):
    """A search."""

    words: str
    limit: int = 10


def find(ctx: Context, input: Search) -> str:
    """Find."""
    return f"{input.words}/{input.limit}/{ctx.tool_call.name}"


async def test_a_model_may_be_the_parameters_as_a_whole() -> None:
    whole = Tool(find, parameters=Search, name="look", description="Look up")
    assert (whole.spec.name, whole.spec.description, whole.spec.schema["required"]) == ("look", "Look up", ["words"])
    assert (await outcome(whole, words="tea")).data == "tea/10/look"
    assert (await outcome(whole, words="tea", limit=None)).data == "tea/10/look"
    error = (await outcome(whole, limit=1)).error
    assert error == {"name": "InvalidArguments", "message": "words: Field required"}


async def test_one_parameter_that_is_a_model_stays_a_parameter() -> None:
    assert (await outcome(tool(find), input={"words": "tea"})).data == "tea/10/find"


async def test_a_list_at_the_top_is_wrapped_for_the_provider_and_unwrapped_for_the_function() -> None:
    @tool(parameters=list[Search], strict=True)
    async def each(searches: list[Search]) -> list[str]:
        """Find each."""
        return [one.words for one in searches]

    assert each.spec.schema["type"] == "object" and list(each.spec.schema["properties"]) == ["value"]
    assert (await outcome(each, value=[{"words": "tea", "limit": None}])).data == ["tea"]
    assert "value: " in str((await outcome(each, value="tea")).error)


def test_parameters_that_cannot_work_say_why() -> None:
    with pytest.raises(ConfigError, match="one parameter beside ctx"):
        Tool(lambda a, b: None, parameters=Search, name="two")
    with pytest.raises(ConfigError, match="no JSON schema"):
        Tool(lambda a: None, parameters=threading.Lock, name="odd")
    with pytest.raises(ConfigError, match="Tool 'hold': its parameters have no JSON schema"):
        tool(hold)
    with pytest.raises(ConfigError, match="cannot be strict: 'data' may be anything"):
        tool(strict=True)(keep)
    with pytest.raises(ConfigError, match="timeout= more than 0"):
        tool(timeout=0)(keep)


def keep(data: Any) -> None:
    """Keep."""


class Held:
    """What Pydantic knows nothing of."""


def hold(what: Held) -> None:
    """Hold."""


@pytest.mark.parametrize(("length", "fits"), [(1, True), (64, True), (65, False), (0, False)])
def test_a_name_has_as_many_letters_as_providers_take(length: int, fits: bool) -> None:
    def make() -> Tool[..., Any]:
        keep.__name__ = "x" * length
        return tool(keep)

    if fits:
        assert len(make().name) == length
    else:
        with pytest.raises(ConfigError, match="1 to 64"):
            make()


# -- limits -------------------------------------------------------------------------------------------------------


async def test_a_tool_that_takes_too_long_is_told_as_that() -> None:
    never, waiting = asyncio.get_running_loop().create_future(), threading.Event()

    @tool(timeout="20ms")
    async def slow() -> None:
        """Never end."""
        await never

    @tool(timeout="20ms")
    def slow_in_a_thread() -> None:
        """Never end."""
        waiting.wait(10)

    for one in (slow, slow_in_a_thread):
        assert (await outcome(one)).error == {"name": "TimeoutError", "message": f"{one.name} took longer than 0.02 s"}
    waiting.set()


async def test_a_time_that_the_function_itself_runs_out_of_is_told_in_its_words() -> None:
    @tool(timeout="1m")
    async def asks() -> None:
        """Ask."""
        raise TimeoutError("the shop did not answer")

    assert (await outcome(asks)).error == {"name": "TimeoutError", "message": "the shop did not answer"}


# -- hooks --------------------------------------------------------------------------------------------------------


def double(n: int) -> int:
    """Double."""
    return 2 * n


async def shift(ctx: Context, input: Any) -> Any:
    return {"n": str(input["n"] + 1)}  # validated as the model's own


def mark(ctx: Context, result: Any) -> Any:
    return f"{ctx.agent.name}: {result}"


def say_nothing(ctx: Context, given: Any) -> None:
    """Look, and leave it."""


def refuse(ctx: Context, input: Any) -> None:
    raise ToolError("Not on Sundays.")


async def test_hooks_change_the_input_and_the_result() -> None:
    assert (await outcome(tool(on_start=shift, on_finish=mark)(double), n=1)).data == "a: 4"


async def test_hooks_that_answer_nothing_leave_things_as_they_are() -> None:
    assert (await outcome(tool(on_start=say_nothing, on_finish=say_nothing)(double), n=1)).data == 2


async def test_a_hook_refuses_a_call_before_the_tool_runs() -> None:
    ran: list[int] = []
    result = await outcome(tool(on_start=refuse)(lambda_of(ran.append)), n=1)
    assert result.error == {"name": "ToolError", "message": "Not on Sundays."} and ran == []


def lambda_of(seen: Callable[[int], None]) -> Callable[[int], Awaitable[None]]:
    async def run(n: int) -> None:
        """Run."""
        seen(n)

    return run


async def test_what_a_hook_returns_has_to_be_an_input() -> None:
    error = (await outcome(tool(on_start=lambda ctx, input: {"m": 1})(double), n=1)).error
    assert error is not None and "on_start of tool 'double' returned no input: n: Field required" in error["message"]


# -- what a tool may know -----------------------------------------------------------------------------------------


async def test_the_context_of_a_tool_has_everything_that_it_may_need() -> None:
    @tool
    async def look(ctx: Context) -> dict[str, Any]:
        """Look around."""
        ctx.log.info("looking")
        ctx.network.state.data["seen"] = True
        event, tenant = ctx.event.data["input"], ctx.run.tenant_id
        return {"agent": ctx.agent.name, "event": event, "tenant": tenant, "path": ctx.step.path}

    data = (await outcome(look)).data
    assert data == {"agent": "a", "event": "go", "tenant": "local", "path": "agent:a/turn:1/tool:1:look"}


async def test_no_error_tells_where_it_happened() -> None:
    @tool
    def breaks() -> None:
        """Break."""
        raise RuntimeError("out of tea")

    result = await outcome(breaks)
    assert "Traceback" not in str(result.content()) and ".py" not in str(result.content())
    assert result.error == {"name": "RuntimeError", "message": "out of tea"}


# -- in a durable run ---------------------------------------------------------------------------------------------


async def in_a_run(one: Tool[..., Any], **arguments: Any) -> ToolResult:
    """Return what a call came to in a durable run, a day later."""
    app = App("options", default_model="openai:gpt-4.1-mini")
    app.agent(Agent("a", tools=[one], max_iter=2), on="asked")
    async with Harness(app, ScriptedModel([call(one.name, **arguments), "done"])) as h:
        [run] = await h.send("asked", {"input": "go"})
        await h.advance("1d")
        [message] = [m for m in h.run(run.id).output["results"][0]["messages"] if "tool_result" in m]
        return ToolResult(**message["tool_result"])


async def test_each_attempt_has_its_own_time() -> None:
    never, tries = asyncio.get_running_loop().create_future(), []

    @tool(timeout="20ms", retries=2)
    async def slow() -> str:
        """Be slow at first."""
        tries.append(1)
        return "at last" if len(tries) == 3 else await asyncio.shield(never)

    assert (await in_a_run(slow)).data == "at last" and len(tries) == 3


async def test_no_step_stands_still_inside_a_time_limit() -> None:
    @tool(timeout="1m")
    async def naps(ctx: Context) -> None:
        """Nap."""
        await ctx.step.sleep("nap", "1h")

    error = (await in_a_run(naps)).error
    assert error is not None and "lost when the run parks" in error["message"]


async def test_hooks_run_around_work_on_another_queue() -> None:
    one = tool(on_start=shift, on_finish=mark, queue="cpu", timeout="5s")(double)
    assert (await in_a_run(one, n=1)).data == "a: 4"


async def test_work_on_another_queue_that_keeps_failing_is_told_by_its_own_error() -> None:
    one = tool(queue="cpu", retries=1)(int_of)
    assert (await in_a_run(one, text="x")).error == {
        "name": "ValueError",
        "message": "invalid literal for int() with base 10: 'x'",
    }


def int_of(text: str) -> int:
    """Read a number."""
    return int(text)
