"""Steps of a plain script: done in place; what needs a durable run says so."""

import asyncio
import subprocess
import sys
from typing import TypedDict

import pytest

from celeriac import Agent, Context, Network, tool
from celeriac.errors import ContextError, NotDurableError
from celeriac.platform.inline import local_context
from celeriac.testing import ScriptedModel, call


def context() -> Context:
    return local_context("script", {"n": 1})


async def test_steps_run_in_place_with_their_types() -> None:
    ctx = context()

    def load() -> set[int]:
        return {1}

    with ctx.step.scope("part"):
        assert await ctx.step.run("load", load) == {1}
    await ctx.step.sleep("nap", 0)
    assert (ctx.step.durable, ctx.suspending, ctx.run.tenant_id, ctx.event.data) == (False, False, "local", {"n": 1})


class Ticket(TypedDict):
    """A ticket, in the words of the standard library."""

    id: str


async def test_a_typed_dict_of_the_standard_library_is_a_dict_in_each_version_of_python() -> None:
    def load(id: str) -> Ticket | None:
        return {"id": id}

    assert await context().step.run("load", load, "t1") == {"id": "t1"}


async def test_own_code_is_run_once_and_its_error_comes_as_it_is() -> None:
    tries: list[int] = []

    def breaks() -> None:
        tries.append(1)
        raise KeyError("own")

    with pytest.raises(KeyError):
        await context().step.run("breaks", breaks, retries=4)
    assert len(tries) == 1


async def test_waiting_for_an_event_names_the_step_and_the_fix() -> None:
    with pytest.raises(NotDurableError, match=r"wait_for_event at 'answer'.*start it through an App"):
        await context().step.wait_for_event("answer", "answered", timeout="1h")


async def test_sending_an_event_names_the_step_and_the_fix() -> None:
    with pytest.raises(NotDurableError, match=r"send_event at 'tell'.*ctx\.step\.durable"):
        await context().step.send_event("tell", "told")


async def test_a_tool_that_needs_a_durable_run_tells_the_model() -> None:
    @tool
    async def ask(ctx: Context) -> str:
        """Ask a person, or guess where nobody can answer."""
        if ctx.step.durable:
            await ctx.step.sleep("person", "1h")
        return str(await ctx.step.wait_for_event("answer", "answered", timeout="1h"))

    result = await Agent("a", tools=[ask], model=ScriptedModel([call("ask"), "ok"])).run("go")
    error = result.tool_results[0].error
    assert error is not None and "turn:1/tool:1:ask/answer" in error["message"]


async def test_the_context_says_where_a_part_of_it_is_there() -> None:
    ctx = context()
    for name, words in {"network": "inside a network", "agent": "turn", "tool_call": "tool", "memory": "App"}.items():
        with pytest.raises(ContextError, match=words):
            getattr(ctx, name)


WORKER = """
import asyncio
from celeriac import Agent
from celeriac.errors import NotDurableError
from celeriac.platform.inline import forbid_inline
from celeriac.testing import ScriptedModel
from celeriac.types import not_durable

forbid_inline()
agent = Agent("helper", model=ScriptedModel(["meant"]))
try:
    asyncio.run(agent.run("go"))
except NotDurableError as error:
    print(error)
with not_durable():
    print(agent.run_sync("go").text)
"""


def test_in_a_worker_an_own_thread_must_say_that_nothing_is_to_be_remembered() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, timeout=60, check=True)
    refusal, answer = done.stdout.splitlines()
    assert "'helper'" in refusal and "not_durable()" in refusal and answer == "meant"


async def test_networks_run_side_by_side_in_a_script() -> None:
    model = ScriptedModel(["x", "x", "x"])
    network = Network("N", agents=[Agent("a")], router=lambda ctx: None if ctx.network.call_count else "a")
    runs = await asyncio.gather(*(network.run("go", model=model) for _ in range(3)))
    assert [run.text for run in runs] == ["x", "x", "x"]
