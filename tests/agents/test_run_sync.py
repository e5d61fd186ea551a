"""`run_sync` in plain functions that a run calls: a plain tool may ask an agent, as a part of its run."""

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from celeriac import Agent, App, Context, Network, Prompt, Run, Tool, tool
from celeriac.errors import ContextError, ModelError
from celeriac.platform.message import ToolResult
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.testing import Harness, ScriptedModel, call, calls
from celeriac.types import not_durable
from crash_points import Play, play_with_a_death_at_each_point
from engine_stage import new_app, soon

helper = Agent("Helper")


def twice() -> str:
    """Ask the helper two times."""
    return f"{helper.run_sync('one?').text} {helper.run_sync('two?').text}"


def asker(*tools: Tool[..., Any]) -> Agent:
    """Return an agent that asks by these tools."""
    return Agent("Asker", tools=tools, max_iter=3)


async def outcome(one: Tool[..., Any], *helped: Any) -> ToolResult:
    """Return what one call of the tool comes to in a script, where the helper says these lines."""
    model = ScriptedModel({"Asker": [call(one.name), "done"], "Helper": list(helped)})
    return (await soon(asker(one).run("go", model=model))).tool_results[0]


def app_of(agent: Agent) -> App:
    """Return an app that runs the agent on `go`."""
    app = new_app()
    app.agent(agent, on="go")
    return app


def told(run: Run) -> dict[str, Any]:
    """Return what the model was told of its first tool call."""
    result: dict[str, Any] = run.output["results"][0]["messages"][1]["tool_result"]
    return result


def test_a_plain_tool_of_a_script_asks_an_agent_as_a_part_of_its_run() -> None:
    model = ScriptedModel({"Asker": [call("twice"), "done"], "Helper": ["a", "b"]})
    result = asker(tool(twice)).run_sync("go", model=model)
    assert (result.tool_results[0].data, result.usage.model_calls) == ("a b", 4)


async def test_in_a_durable_run_its_steps_are_the_runs() -> None:
    async with Harness(
        app_of(asker(tool(twice))), ScriptedModel({"Asker": [call("twice"), "done"], "Helper": ["a", "b"]})
    ) as h:
        [run] = await h.send("go", {"input": "?"})
        assert told(run)["data"] == "a b" and run.output["results"][0]["usage"]["model_calls"] == 4
        within = "agent:asker/turn:1/tool:1:twice/"
        paths = [memo.path.removeprefix(within) for memo in h.steps(run.id) if memo.path.startswith(within)]
    one, two = "agent:helper/turn:1", "agent:helper:1/turn:1"
    assert paths == [f"{one}/infer", one, f"{two}/infer", two]


@tool
async def nap(ctx: Context) -> None:
    """Sleep for an hour."""
    await ctx.step.sleep("nap", "1h")


sleeper = Agent("Sleeper", tools=[nap])


async def test_a_wait_inside_parks_the_run_and_ends_the_thread() -> None:
    ends: list[str] = []

    @tool
    def ask() -> str:
        """Ask the one that sleeps."""
        try:
            return sleeper.run_sync("go").text
        finally:
            ends.append(threading.current_thread().name)

    model = ScriptedModel({"Asker": [call("ask"), "done"], "Sleeper": [call("nap"), "rested"]})
    async with Harness(app_of(asker(ask)), model) as h:
        [run] = await h.send("go", {"input": "?"})
        await h.restart()
        await h.advance("2h")
        assert told(h.run(run.id))["data"] == "rested"
    assert len(model.requests) == 4  # neither the wait nor the crash repeated a model call
    assert len(ends) > 1 and all(name.startswith("harness-bodies") for name in ends)


async def test_a_wait_inside_a_time_limit_is_refused_as_anywhere() -> None:
    @tool(timeout="1m")
    def ask() -> Any:
        """Ask the one that sleeps."""
        return sleeper.run_sync("go").tool_results[0].content()

    model = ScriptedModel({"Asker": [call("ask"), "done"], "Sleeper": [call("nap"), "not rested"]})
    async with Harness(app_of(asker(ask)), model) as h:
        [run] = await h.send("go", {"input": "?"})
        assert "lost when the run parks" in told(run)["data"]["error"]["message"]


async def test_a_death_anywhere_changes_nothing() -> None:
    model = Lasting({"Asker": [call("consult"), "done"], "Oracle": ["yes"]})
    oracle = Agent("Oracle", model=model)

    @tool
    def consult() -> str:
        """Ask the oracle two times."""
        return f"{oracle.run_sync('one?').text} {oracle.run_sync('two?').text}"

    def asking(app: App, effects: list[Any]) -> None:
        app.agent(asker(consult).replace(model=model), on="go")

    async def drive(play: Play) -> Any:
        await play.send("go", {"input": "?"})
        return told(play.run_of("agent-asker"))["data"]

    outcomes = await play_with_a_death_at_each_point(asking, drive)
    assert len(outcomes) > 5 and set(outcomes) == {"yes yes"}


class Lasting:
    """A model that says by the number of messages what it says next, so that a call may be repeated."""

    provider, name = "lasting", "l"

    def __init__(self, lines: dict[str, list[Any]]) -> None:
        self._lines = lines

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer by what was said before."""
        said = sum(message.role == "assistant" for message in request.messages)
        return await ScriptedModel([self._lines[request.agent][said]]).infer(request)


class Never:
    """A model that never answers, and says when it is asked and when it is called off."""

    provider, name = "never", "n"

    def __init__(self) -> None:
        self.asked, self.called_off = asyncio.Event(), False

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Stand still."""
        self.asked.set()
        try:
            return await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.called_off = True
            raise


def asking_never(model: Never, left: threading.Event, **options: Any) -> Tool[..., Any]:
    """Return a tool that asks the model, and says when its thread is left."""

    @tool(**options)
    def ask() -> str:
        """Ask."""
        try:
            return helper.run_sync("go", model=model).text
        except Exception:  # noqa: BLE001  # an ending is none
            return "caught"
        finally:
            left.set()

    return ask


async def test_the_time_limit_of_the_tool_ends_what_it_asks_and_its_thread() -> None:
    model, left = Never(), threading.Event()
    error = (await outcome(asking_never(model, left, timeout="20ms"))).error
    assert error == {"name": "TimeoutError", "message": "ask took longer than 0.02 s"}
    assert model.called_off and left.wait(10)


async def test_a_run_that_is_cancelled_ends_the_thread() -> None:
    model, left = Never(), threading.Event()
    running = asyncio.ensure_future(outcome(asking_never(model, left)))
    await soon(model.asked.wait())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert model.called_off and left.wait(10)


class Breathless(asyncio.SelectorEventLoop):
    """A loop that calls a task off in the same breath in which it hears of something from a thread."""

    running: asyncio.Future[Any]
    calls_off = False

    def call_soon_threadsafe(self, callback: Any, *args: Any, **options: Any) -> asyncio.Handle:
        """Call the task off first, so that it has not come to know of it yet."""
        if not self.calls_off:
            return super().call_soon_threadsafe(callback, *args, **options)
        return super().call_soon_threadsafe(lambda: (self.running.cancel(), callback(*args)), **options)


def test_what_is_asked_at_the_moment_of_the_cancellation_ends_the_thread() -> None:
    loop, left = Breathless(), threading.Event()

    @tool
    def ask() -> str:
        """Ask at that moment."""
        loop.calls_off = True
        try:
            return helper.run_sync("go").text
        finally:
            left.set()

    async def run() -> bool:
        loop.running = asyncio.ensure_future(asker(ask).run("go", model=ScriptedModel([call("ask")])))
        with pytest.raises(asyncio.CancelledError):
            await loop.running
        return await asyncio.to_thread(left.wait, 10)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(run())


async def test_a_thread_that_was_left_behind_runs_nothing_more() -> None:
    is_over, ends = threading.Event(), []
    left = threading.Event()

    @tool(timeout="20ms")
    def late() -> None:
        """Ask too late."""
        is_over.wait(10)
        try:
            helper.run_sync("go")
        except BaseException as error:  # noqa: BLE001
            ends.append(type(error))
        left.set()

    assert (await outcome(late)).error is not None
    is_over.set()
    await soon(asyncio.to_thread(left.wait, 10))
    assert ends == [asyncio.CancelledError]


async def test_the_error_of_an_agent_is_the_functions_to_catch() -> None:
    @tool
    def ask() -> str:
        """Ask, and make the best of it."""
        try:
            return helper.run_sync("go").text
        except ModelError as error:
            return f"nobody is there: {error.kind}"

    assert (await outcome(ask, ModelError("no key", kind="auth"))).data == "nobody is there: auth"


colour: ContextVar[str] = ContextVar("colour", default="none")


async def test_what_runs_sees_the_variables_of_the_function_and_leaves_those_of_the_run() -> None:
    seen: list[str] = []

    def look(ctx: Context) -> str:
        seen.append(colour.get())
        return "look"

    looker = Agent("Helper", system=look)

    @tool
    def ask() -> str:
        """Ask in red."""
        colour.set("red")
        return looker.run_sync("go").text

    assert (await outcome(ask, "ok")).data == "ok"
    assert (seen, colour.get()) == (["red"], "none")


async def test_hooks_routers_and_prompts_may_ask_as_well() -> None:
    def ask(ctx: Context) -> str:
        return helper.run_sync("who?").text

    def route(ctx: Context) -> str | None:
        return None if ctx.network.call_count else ask(ctx)

    def on_start(ctx: Context, prompt: Prompt) -> None:
        prompt.system += f" {ask(ctx)}"

    network = Network("N", agents=[Agent("a", system=ask, on_start=on_start)], router=route)
    model = ScriptedModel({"a": ["ok"], "Helper": ["a", "b", "c"]})
    run = await soon(network.run("go", model=model))
    assert (model.requests[-1].system, run.usage.model_calls) == ("b c", 4)


class Looks:
    """A model that has many asked at once, each of whom has to look it up."""

    provider, name = "looks", "l"
    many = 70  # more than any pool here has threads

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Call the tools first."""
        lines = {"Asker": calls(*[call("ask")] * self.many), "Learned": call("word")}
        line = "done" if request.messages[-1].role == "tool" else lines[request.agent]
        return await ScriptedModel([line]).infer(request)


async def test_as_many_as_there_are_may_wait_for_one_another() -> None:
    @tool
    def word() -> str:
        """Say a word."""
        return "word"

    learned = Agent("Learned", tools=[word])

    @tool
    def ask() -> Any:
        """Ask one who has to look it up."""
        return learned.run_sync("go").tool_results[0].data

    result = await soon(asker(ask).run("go", model=Looks()))
    assert [one.data for one in result.tool_results] == ["word"] * Looks.many


async def test_on_the_loop_it_says_what_to_do() -> None:
    @tool
    async def ask() -> str:
        """Ask on the loop."""
        return helper.run_sync("go").text

    error = (await outcome(ask)).error
    assert error is not None and error["name"] == "context" and "`await agent.run(…)`" in error["message"]


async def test_in_a_thread_of_ones_own_it_says_what_to_do() -> None:
    @tool
    async def ask() -> str:
        """Ask in a thread of its own."""
        return await asyncio.to_thread(twice)

    error = (await outcome(ask)).error
    assert error is not None and "thread of your own" in error["message"]


async def test_another_loop_does_not_take_steps_of_the_run() -> None:
    @tool
    def ask() -> str:
        """Ask on a loop of its own."""
        return asyncio.run(helper.run("go")).text

    async with Harness(app_of(asker(ask)), ScriptedModel({"Asker": [call("ask"), "done"], "Helper": ["a"]})) as h:
        [run] = await h.send("go", {"input": "?"})
        error = told(run)["error"]
    assert error["name"] == "context" and "agent.run_sync" in error["message"]


def test_outside_of_any_run_it_is_a_script() -> None:
    with not_durable(), pytest.raises(ContextError, match="stop the loop"):
        asyncio.run(_on_a_loop())


async def _on_a_loop() -> None:
    helper.run_sync("go", model=ScriptedModel(["never"]))


FORKED = """
import os
from celeriac import Agent, tool
from celeriac.testing import ScriptedModel, call

@tool
def word() -> str:
    "Say a word."
    return "word"

def ask():
    model = ScriptedModel([call("word"), "done"])
    print(Agent("a", tools=[word]).run_sync("go", model=model).tool_results[0].data, flush=True)

ask()
pid = os.fork()
if not pid:
    ask()
    os._exit(0)
os.waitpid(pid, 0)
"""


def test_a_fork_of_a_script_has_threads_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["word", "word"]
