"""The app that the fleet's tests run: functions whose step bodies leave a trace outside of the database.

Imported by the worker processes as `fleet.apps:app`. What happens is noted in the append-only file that FLEET_NOTES
names, one line an O_APPEND write: bodies that begin and end, Celery's own signals, and reads of the steps table.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from typing import Any

from celery.signals import before_task_publish, task_prerun
from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event

from celeriac import Agent, App, Concurrency, Context, Network, StepError, tool
from celeriac.errors import NotDurableError
from celeriac.platform.message import ToolCall, Usage
from celeriac.platform.models.model import ModelReply, ModelRequest
from waiting import work_for

app = App("fleet")

_NOTES = os.open(os.environ.get("FLEET_NOTES", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(kind: str, **facts: Any) -> None:
    """Add a line to the notes."""
    os.write(_NOTES, (json.dumps({"kind": kind, "pid": os.getpid(), "time": time.time(), **facts}) + "\n").encode())


def work(run_id: str, path: str, value: int, seconds: float) -> int:
    """Be the body of a step: work for a while and return a value."""
    note("began", run=run_id, path=path)
    work_for(seconds)
    note("ended", run=run_id, path=path)
    return value


@app.function(on="fleet/counted")
async def count(ctx: Context, n: int, steps: int = 10, seconds: float = 0.02) -> int:
    """Add up what many small steps return."""
    total = 0
    for number in range(steps):
        path = f"s{number}"
        total += await ctx.step.run(path, work, ctx.run.id, path, n + number, seconds)
    return total


def die(run_id: str) -> None:
    """Be the body of a step that kills its process."""
    note("began", run=run_id, path="deadly")
    os.kill(os.getpid(), signal.SIGKILL)


@app.function(on="fleet/placed")
async def placed(ctx: Context, n: int, seconds: float = 0.0) -> int:
    """Let a process of the cpu queue do a step between two of its own."""
    before = await ctx.step.run("before", work, ctx.run.id, "before", n, 0)
    crunched = await ctx.step.run("crunch", work, ctx.run.id, "crunch", n, seconds, queue="cpu")
    return before + crunched


@app.function(on="fleet/placed-alone", concurrency=Concurrency(1))
async def placed_alone(ctx: Context, seconds: float) -> None:
    """Let a process of the cpu queue do a step, under a limit of one at a time."""
    await ctx.step.run("alone", work, ctx.run.id, "alone", 1, seconds, queue="cpu")


def ask_elsewhere() -> str:
    """Ask an agent from a process that is no run's."""
    try:
        return Agent("Elsewhere", model="openai:never-asked").run_sync("go").text
    except NotDurableError as error:
        return error.message


@app.function(on="fleet/asked-elsewhere")
async def asked_elsewhere(ctx: Context) -> str:
    """Let a process of the cpu queue ask an agent."""
    return await ctx.step.run("ask", ask_elsewhere, queue="cpu")


@app.function(on="fleet/deadly")
async def deadly(ctx: Context) -> str:
    """Place a step that no process survives."""
    try:
        await ctx.step.run("deadly", die, ctx.run.id, queue="cpu")
    except StepError as error:
        return error.error_name
    return "survived"


@app.function(on="fleet/poison", retries=0)
async def poison(ctx: Context) -> None:
    """Kill the worker that executes it."""
    await ctx.step.run("deadly", die, ctx.run.id)


@app.function(on="fleet/asked")
async def ask(ctx: Context, n: int) -> int:
    """Wait for an answer between two steps."""
    before = await ctx.step.run("before", work, ctx.run.id, "before", n, 0)
    answer = await ctx.step.wait_for_event("answer", "fleet/answered", match="data.n", timeout="1h")
    after = await ctx.step.run("after", work, ctx.run.id, "after", 1, 0)
    return before + after + (answer.data["plus"] if answer is not None else 0)


@app.function(on="fleet/interrupted")
async def interrupted(ctx: Context, n: int, delay: float) -> str:
    """Wait for an event that comes about when the run parks."""
    answer = {"n": n, "plus": 1}
    # Sent again at each replay, and taken once for its id.
    sending = threading.Timer(delay, _send, ("fleet/answered", answer, f"{ctx.run.id}:answer", ctx.run.tenant_id))
    sending.daemon = True
    sending.start()
    reply = await ctx.step.wait_for_event("answer", "fleet/answered", match="data.n", timeout="1h", since="1m")
    return "nothing came" if reply is None else f"{reply.data['n']} was answered"


def _send(name: str, data: dict[str, Any], id: str, tenant: str) -> None:
    from celeriac import Event

    app.send(Event(name, data, id=id), tenant=tenant)


@app.function(on="fleet/whose")
async def whose(ctx: Context, seconds: float) -> int:
    """Return the pid of the process whose step was committed."""
    return await ctx.step.run("who", _who, ctx.run.id, seconds)


def _who(run_id: str, seconds: float) -> int:
    work(run_id, "who", 0, seconds)
    return os.getpid()


class Parrot:
    """A model that takes its time and repeats what it heard first."""

    provider = "parrot"
    name = "parrot"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer."""
        run_id, _, path = (request.origin or " ").partition(" ")
        await asyncio.to_thread(work, run_id, path, 0, 0.05)
        usage = Usage(model_calls=1, input_tokens=1, output_tokens=1)
        return ModelReply(model=self.name, text=request.messages[0].text, usage=usage)


polly = Agent("Polly", description="Repeats.", system="Repeat.", model=Parrot())


def _next_turn(ctx: Context) -> Agent | None:
    return polly if ctx.network.call_count < ctx.event.data.get("turns", 2) else None


talk_show = Network("Talk show", agents=[polly], router=_next_turn)


@app.function(on="fleet/talked")
async def talk(ctx: Context, turns: int, n: int) -> dict[str, Any]:
    """Take turns, wait for an answer, and take as many turns again."""
    first = await talk_show.run("hello", id="first")
    answer = await ctx.step.wait_for_event("answer", "fleet/answered", match="data.n", timeout="1h")
    second = await talk_show.run("hello again", id="second")
    plus = None if answer is None else answer.data["plus"]
    return {"turns": first.call_count + second.call_count, "plus": plus, "text": second.text}


class Cashier:
    """A model that asks for a refund, and repeats what became of it."""

    provider = "cashier"
    name = "cashier"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer."""
        result = request.messages[-1].tool_result
        if result is not None:
            return ModelReply(model=self.name, text=str(result.data or result.error))
        return ModelReply(model=self.name, tool_calls=(ToolCall(id="call_1", name="refund", input={"cents": 5}),))


@tool(approval=True)
async def refund(ctx: Context, cents: int) -> str:
    """Pay money back."""
    return f"paid {await ctx.step.run('pay', work, ctx.run.id, 'pay', cents, 0)}"


app.agent(Agent("Clerk", model=Cashier(), tools=[refund], max_iter=2), on="fleet/refunded")


@app.function(on="fleet/chatted")
async def chat(ctx: Context, turns: int) -> int:
    """Take turns, each a call of the model, and end."""
    return (await talk_show.run("hello")).call_count


@app.function(on="fleet/mixed")
async def mixed(ctx: Context, n: int) -> dict[str, Any]:
    """Do a little of everything: branches side by side, one of them asleep, turns, and an event for another run."""

    async def branch(name: str, value: int) -> int:
        first = await ctx.step.run(f"{name}1", work, ctx.run.id, f"{name}1", value, 0.02)
        if name == "b":
            await ctx.step.sleep("nap", 0.3)
        return first + await ctx.step.run(f"{name}2", work, ctx.run.id, f"{name}2", value, 0.02)

    a, b = await asyncio.gather(branch("a", n), branch("b", 10 * n))
    run = await talk_show.run("hello", id="talk")
    await ctx.step.send_event("tell", "fleet/told", {"n": a + b})
    return {"sum": a + b, "turns": run.call_count}


@app.function(on="fleet/told")
async def told(ctx: Context, n: int) -> int:
    """Run because another run has sent its event."""
    return await ctx.step.run("hear", work, ctx.run.id, "hear", n, 0.02)


@task_prerun.connect(weak=False)
def _note_task(task: Any, args: Any, **_: Any) -> None:
    request = task.request
    note("task", id=request.id, root=request.root_id, parent=request.parent_id, run=args[0])


@before_task_publish.connect(weak=False)
def _note_message(headers: Any, body: Any, **_: Any) -> None:
    note("sent", id=headers["id"], root=headers["root_id"], parent=headers["parent_id"], run=body[0][0])


@sqlalchemy_event.listens_for(Engine, "before_cursor_execute")
def _note_read(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
    if statement.startswith("SELECT steps."):
        note(
            "read",
            values=[str(value) for value in (parameters.values() if hasattr(parameters, "values") else parameters)],
        )


@app.function(on="fleet/left", retries=0)
async def leaves(ctx: Context, where: str) -> None:
    """End the process, or so it thinks."""
    if where == "step":
        await ctx.step.run("leave", sys.exit, 3)
    if where == "panic":
        raise Panic
    sys.exit(3)


class Panic(BaseException):
    """What no `except Exception` meets."""
