"""The app of the play: functions that use every verb, and whose bodies tell the effect log what they do.

Workers run it as `celeriac.chaos.app:app`; an operator's staging app includes it. What each function returns is known
from its event (`load.py` says it), and no body changes anything outside of the play's own folder.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from celeriac import Agent, App, Context, Network, RetryAfterError, StepError, tool
from celeriac.chaos.effects import EffectLog, read_effects
from celeriac.chaos.skew import VARIABLE, turn_clocks
from celeriac.chaos.traps import Traps
from celeriac.platform.message import ToolCall, Usage
from celeriac.platform.models.delta import Delta
from celeriac.platform.models.model import ModelReply, ModelRequest

#: names the play's folder; without it no effects are kept and nobody dies
FOLDER = "CELERIAC_CHAOS_FOLDER"

EFFECTS_FILE = "effects.jsonl"

#: of all bodies that may fail, and how long the next attempt waits
_FAILING, _RETRY_SECONDS = 0.3, 0.2

#: how often a signal is given to nobody before its giver despairs
_RINGS = 400

app = App("chaos", retries=20)

_folder = Path(os.environ[FOLDER]) if FOLDER in os.environ else None
_effects = EffectLog(_folder / EFFECTS_FILE if _folder else None)
_traps = Traps(_folder)
if _folder is not None:
    _traps.lay()
if VARIABLE in os.environ:
    turn_clocks(Path(os.environ[VARIABLE]))


# -- what bodies do -----------------------------------------------------------------------------------------------


def work(run_id: str, path: str, value: Any, seconds: float) -> dict[str, Any]:
    """Be the body of a step: work for a while, and return the value with the name of this execution."""
    by = _effects.begin("began", run_id, path)
    _traps.spring("amid a body")
    time.sleep(seconds)
    _effects.note("ended", run_id, path, by)
    return {"value": value, "by": by}


def work_or_fail(run_id: str, path: str, value: Any, seconds: float) -> dict[str, Any]:
    """Do the same, and fail now and then."""
    if random.random() < _FAILING:
        by = _effects.begin("began", run_id, path)
        time.sleep(seconds)
        _effects.note("failed", run_id, path, by)
        raise RetryAfterError("bad luck", _RETRY_SECONDS)
    return work(run_id, path, value, seconds)


def work_unless_deadly(run_id: str, path: str, value: Any, deaths: int, number: int) -> dict[str, Any]:
    """Kill the process by this signal until so many executions have done so."""
    earlier = read_effects(_folder / EFFECTS_FILE) if _folder else []
    dead = sum(effect.kind == "began" and (effect.run, effect.path) == (run_id, path) for effect in earlier)
    if _folder is not None and dead < deaths:
        _effects.begin("began", run_id, path)
        os.kill(os.getpid(), number)
        time.sleep(1)  # the signal comes to some thread, and not always to this one first
    return work(run_id, path, value, 0.01)


async def work_deaf(run_id: str, path: str, value: Any, seconds: float) -> dict[str, Any]:
    """Do the same on the loop, and ignore whoever asks it to stop."""
    by = _effects.begin("began", run_id, path)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(asyncio.CancelledError):  # this is what it is there for
            await asyncio.sleep(0.05)
    _effects.note("ended", run_id, path, by)
    return {"value": value, "by": by}


@contextmanager
def link(ctx: Context) -> Iterator[None]:
    """Tell when the code of a run begins and ends in this process."""
    by = _effects.begin("link", ctx.run.id)
    _traps.spring("after the claim")
    try:
        yield
    finally:
        _effects.note("left", ctx.run.id, "", by)


async def done(ctx: Context, id: str, value: Any, seconds: float = 0.01, body: Any = work) -> Any:
    """Take a step, and tell which execution's result the run was given."""
    path = f"{ctx.step.path}/{id}" if ctx.step.path else id
    result = await ctx.step.run(id, body, ctx.run.id, path, value, seconds)
    _effects.note("saw", ctx.run.id, path, result["by"])
    return result["value"]


# -- plain steps, sleeps, waits -----------------------------------------------------------------------------------


@app.function(on="chaos/count")
async def count(ctx: Context, n: int, steps: int, seconds: float) -> int:
    """Add up what many small steps return."""
    with link(ctx):
        return sum([await done(ctx, f"s{number}", n + number, seconds) for number in range(steps)])


@app.function(on="chaos/flaky")
async def flaky(ctx: Context, n: int, steps: int) -> int:
    """Do the same with steps that fail now and then."""
    with link(ctx):
        return sum([await done(ctx, f"s{number}", n + number, 0.01, work_or_fail) for number in range(steps)])


@app.function(on="chaos/nap")
async def nap(ctx: Context, n: int, seconds: float) -> int:
    """Sleep between two steps."""
    with link(ctx):
        before = await done(ctx, "before", n)
        await ctx.step.sleep("nap", seconds)
        return int(before + await done(ctx, "after", n))


@app.function(on="chaos/until")
async def until(ctx: Context, n: int, at: str) -> int:
    """Sleep until a moment."""
    with link(ctx):
        before = await done(ctx, "before", n)
        await ctx.step.sleep_until("nap", datetime.fromisoformat(at))
        return int(before + await done(ctx, "after", n))


@app.function(on="chaos/ask")
async def ask(ctx: Context, n: int, seconds: float) -> int:
    """Wait for an answer, at most so long."""
    with link(ctx):
        before = await done(ctx, "before", n)
        answer = await ctx.step.wait_for_event("answer", "chaos/answer", match="data.n", timeout=seconds, since="10m")
        after = await done(ctx, "after", 0 if answer is None else answer.data["plus"])
        return int(before + after)


# -- branches, children -------------------------------------------------------------------------------------------


@app.function(on="chaos/branch")
async def branch(ctx: Context, n: int, seconds: float) -> int:
    """Do three things side by side, one of them mostly asleep."""

    async def walk(name: str, value: int) -> int:
        first = await done(ctx, f"{name}1", value, 0.02)
        if name == "b":
            await ctx.step.sleep("nap", seconds)
        with ctx.step.scope(name):
            return int(first + await done(ctx, "2", value, 0.02))

    with link(ctx):
        return sum(await asyncio.gather(walk("a", n), walk("b", 10 * n), walk("c", 100 * n)))


@app.function(on="chaos/parent")
async def parent(ctx: Context, n: int) -> int:
    """Start a child by an event, and wait until it tells its result."""
    with link(ctx):
        await done(ctx, "before", n)
        await ctx.step.send_event("start", "chaos/child", {"n": n, "parent": ctx.run.id})
        told = await ctx.step.wait_for_event("told", "chaos/told", match="data.n", timeout="10m", since="1m")
        return int(await done(ctx, "after", -1 if told is None else told.data["value"]))


@app.function(on="chaos/child")
async def child(ctx: Context, n: int, parent: str) -> int:
    """Be the child of a parent."""
    with link(ctx):
        value = await done(ctx, "hear", 2 * n, 0.02)
        await ctx.step.send_event("tell", "chaos/told", {"n": n, "value": value})
        return int(value)


@app.function()
async def double(ctx: Context, n: int, parent: str) -> int:
    """Be the child of a run that invokes or defers it."""
    with link(ctx):
        return int(await done(ctx, "double", 2 * n, 0.02))


@app.function(on="chaos/invoker")
async def invoker(ctx: Context, n: int) -> int:
    """Run a child and go on with what it returns."""
    with link(ctx):
        await done(ctx, "before", n)
        doubled = await ctx.step.invoke("child", double, {"n": n, "parent": ctx.run.id})
        return int(await done(ctx, "after", doubled))


@app.function(on="chaos/leaver")
async def leaver(ctx: Context, n: int) -> int:
    """Leave a child behind that starts when this run has ended."""
    with link(ctx):
        await ctx.step.defer("later", double, {"n": n, "parent": ctx.run.id})
        return int(await done(ctx, "last", n))


# -- signals, races -----------------------------------------------------------------------------------------------


@app.function(on="chaos/ring")
async def ring(ctx: Context, n: int) -> int:
    """Wait for a signal."""
    with link(ctx):
        given = await ctx.step.wait_for_signal("bell", f"bell-{n}", timeout="10m")
        return int(await done(ctx, "after", -1 if given is None else n + given["plus"]))


@app.function(on="chaos/ringer")
async def ringer(ctx: Context, n: int, plus: int) -> str:
    """Give the signal until somebody hears it."""
    with link(ctx):
        for attempt in range(_RINGS):
            if await ctx.step.send_signal(f"ring-{attempt}", f"bell-{n}", {"plus": plus}):
                return "heard"
            await ctx.step.sleep(f"nap-{attempt}", 0.5)
        return "nobody heard it"


@app.function(on="chaos/race")
async def race(ctx: Context, n: int) -> int:
    """Let a short step win against a long one and a sleep."""
    with link(ctx):
        _, value = await ctx.step.race(
            quick=done(ctx, "quick", n, 0.01), slow=done(ctx, "slow", -1, 2.0), asleep=_asleep(ctx)
        )
        return int(value)


async def _asleep(ctx: Context) -> int:
    await ctx.step.sleep("asleep", 60)
    return -2


# -- a network ----------------------------------------------------------------------------------------------------


class Parrot:
    """A model without a provider: it calls its tool in one turn and says that it is done in the next."""

    provider = "chaos"
    name = "parrot"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer."""
        run_id, _, path = (request.origin or " ").partition(" ")
        await asyncio.to_thread(work, run_id, path, 0, 0.02)
        usage = Usage(model_calls=1, input_tokens=1, output_tokens=1)
        last = request.messages[-1]
        if last.role == "tool":
            return ModelReply(model=self.name, text="done", usage=usage)
        call = ToolCall(id="call", name="add", input={"number": 1})
        return ModelReply(model=self.name, tool_calls=(call,), finish_reason="tool", usage=usage)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Answer at once."""
        yield await self.infer(request)


@tool
async def add(ctx: Context, number: int) -> int:
    """Add a number to the sum in the network's state."""
    value = await done(ctx, "write", number)
    ctx.state.data["sum"] = ctx.state.data.get("sum", 0) + value
    return int(ctx.state.data["sum"])


polly = Agent("Polly", description="Adds.", system="Add.", model=Parrot(), tools=[add])


def _next_turn(ctx: Context) -> Agent | None:
    return polly if ctx.network.call_count < ctx.event.data["turns"] else None


talk_show = Network("Talk show", agents=[polly], router=_next_turn)


@app.function(on="chaos/talk")
async def talk(ctx: Context, n: int, turns: int) -> dict[str, int]:
    """Let a network take turns; its tool keeps a sum in the state."""
    with link(ctx):
        run = await talk_show.run("go on")
        return {"turns": run.call_count, "sum": run.state.data["sum"]}


# -- what is bad for a worker -------------------------------------------------------------------------------------


@app.function(on="chaos/stubborn")
async def stubborn(ctx: Context, n: int, seconds: float, how: str) -> str:
    """Take a step that is given half the time that it needs, and go on without it.

    `how` it resists: a thread that cannot be stopped, or a coroutine that will not be.
    """
    with link(ctx):
        body = work if how == "thread" else work_deaf
        try:
            await ctx.step.run("long", body, ctx.run.id, "long", n, seconds, retries=0, timeout=seconds / 2)
        except StepError:
            return "given up"
        return "waited for"


@app.function(on="chaos/deadly")
async def deadly(ctx: Context, n: int, deaths: int, number: int = signal.SIGKILL) -> int:
    """Kill the worker as often as the event says, and then work."""

    def body(run_id: str, path: str, value: int, _: float) -> dict[str, Any]:
        return work_unless_deadly(run_id, path, value, deaths, number)

    with link(ctx):
        return int(await done(ctx, "die", n, 0, body))
