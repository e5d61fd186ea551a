"""Programs: what a generated run does, as plain JSON in its event; how it is done, and what has to come of it.

`perform` does it through the verbs of a step, as user code would; `outcome` reads the same result from the memos
alone. What happens inside a body is not its business: it asks `Bodies`, which the test is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any, Protocol, cast

from hypothesis import strategies as st

from celeriac import Agent, Context, Network, StepError, tool
from celeriac.platform.durable.kernel import DurableKernel
from celeriac.platform.durable.memo import Memo
from celeriac.testing import ScriptedModel, call, calls

#: `["step", held, fails]`, `["sleep", hours]`, `["event" | "signal", number, hours]`, `["give", number]`, `["send"]`,
#: `["stumble", times]`, `["order", branches]`, `["state"]`, `["row" | "all" | "race", children]`,
#: `["scope", fails, child]`, `["guard" | "invoke", child]`
Program = list[Any]

_HOURS = st.sampled_from([1, 5, 40])

_LEAVES = st.one_of(
    st.tuples(st.just("step"), st.just(True), st.sampled_from([0, 0, 0, 1, 3])),
    st.tuples(st.just("step"), st.booleans(), st.just(0)),
    st.tuples(st.just("sleep"), _HOURS),
    st.tuples(st.just("event"), st.integers(0, 1), _HOURS),
    st.tuples(st.just("event"), st.integers(0, 1), _HOURS),
    st.tuples(st.just("signal"), st.integers(0, 1), _HOURS),
    st.tuples(st.just("give"), st.integers(0, 1)),
    st.tuples(st.just("send")),
    st.tuples(st.just("stumble"), st.integers(1, 3)),
    st.tuples(st.just("order"), st.integers(2, 3)),
    st.tuples(st.just("state")),
)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    children = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        st.tuples(st.sampled_from(["row", "all", "all", "race"]), children),
        st.tuples(st.just("scope"), st.sampled_from([0, 0, 1]), inner),
        st.tuples(st.sampled_from(["guard", "invoke"]), inner),
    )


#: programs of up to eight leaves
PROGRAMS: st.SearchStrategy[Program] = st.recursive(_LEAVES, _larger, max_leaves=8).map(
    lambda program: json.loads(json.dumps(program))
)


class Bodies(Protocol):
    """What happens inside of bodies."""

    #: the function that does what a program says, for those that invoke it
    target: str

    async def body(self, ctx: Context, *, held: bool, fails: int) -> str:
        """Be the body of the step that is entered: return its value, or raise the first `fails` times."""
        ...

    def wrong(self, text: str) -> None:
        """Note what must never happen."""
        ...

    def stumble(self, ctx: Context, name: str, times: int) -> None:
        """Be code beside the steps that raises the first `times` times."""
        ...


async def perform(ctx: Context, bodies: Bodies, program: Program, name: str = "p") -> Any:
    """Do what the program says; a step that failed for good is a part of the result."""
    match program:
        case ["step", held, fails]:
            return await _tried(name, ctx.step.run(name, partial(_body, ctx, bodies, held, fails), retries=2))
        case ["sleep", hours]:
            await ctx.step.sleep(name, f"{hours}h")
        case ["event", number, hours]:
            event = await ctx.step.wait_for_event(name, f"answer-{number}", timeout=f"{hours}h")
            return None if event is None else event.data
        case ["signal", number, hours]:
            return await _tried(name, ctx.step.wait_for_signal(name, f"signal-{number}", timeout=f"{hours}h"))
        case ["give", number]:
            return await ctx.step.send_signal(name, f"signal-{number}", ctx.run.id)
        case ["send"]:
            return len(await ctx.step.send_event(name, "told", {"by": ctx.run.id}))
        case ["stumble", times]:
            bodies.stumble(ctx, name, times)
        case ["order", branches]:
            return await _ordered(ctx, bodies, name, branches)
        case ["guard", child]:
            return await _guarded(ctx, bodies, name, child)
        case ["state"]:
            with ctx.step.scope(name):
                return (await _adding(bodies).run("Add", model=_model())).state.data
        case ["row", children]:
            return [await perform(ctx, bodies, child, f"{name}{n}") for n, child in enumerate(children)]
        case ["race", children]:
            with ctx.step.scope(name):
                return list(await ctx.step.race(**_racers(ctx, bodies, children)))
        case ["invoke", child]:
            invoked = ctx.step.invoke(name, bodies.target, {"program": child}, timeout="100h")
            return await _tried(name, invoked)
        case ["all", children]:
            branches = [_branch(ctx, bodies, child, f"{name}{n}") for n, child in enumerate(children)]
            return list(await asyncio.gather(*branches))
        case ["scope", fails, child]:
            return await _tried(name, ctx.step.run(name, partial(_scope, ctx, bodies, fails, child), retries=2))
    return None


def outcome(program: Program, memos: Mapping[str, Memo], path: str = "p") -> Any:
    """Return what `perform` has to have returned by what is remembered; raises `KeyError` for a missing memo."""
    match program:
        case ["row", children]:
            return [outcome(child, memos, f"{path}{n}") for n, child in enumerate(children)]
        case ["all", children]:
            return [outcome(child, memos, f"{path}{n}/p") for n, child in enumerate(children)]
        case ["race", children]:
            winner = json.loads(memos[f"{path}/race"].value or "{}")["winner"]
            return [winner, outcome(children[int(winner[1:])], memos, f"{path}/race/{winner}/p")]
        case ["state"]:
            return {"sum": 11, "order": [20, 10]}
        case ["sleep" | "stumble", _]:
            return None
    memo = memos[path]
    if memo.error is not None:
        return f"{path.rpartition('/')[2]} failed"
    value = json.loads(memo.value or "null")
    match program:
        case ["guard", child]:
            return outcome(child, memos, f"{path}0")
        case ["scope", _, child]:
            return outcome(child, memos, f"{path}/p")
        case ["send"]:
            return len(value)
        case ["event", *_]:
            return None if value is None else value["data"]
    return value


async def _tried(name: str, step: Awaitable[Any]) -> Any:
    try:
        return await step
    except StepError:
        return f"{name} failed"


def _racers(ctx: Context, bodies: Bodies, children: list[Program]) -> dict[str, Awaitable[Any]]:
    return {f"b{n}": perform(ctx, bodies, child) for n, child in enumerate(children)}


async def _branch(ctx: Context, bodies: Bodies, program: Program, name: str) -> Any:
    with ctx.step.scope(name):
        return await perform(ctx, bodies, program)


async def _ordered(ctx: Context, bodies: Bodies, name: str, branches: int) -> Any:
    """Let branches end in whatever order; the order that is remembered has to be that of each replay."""
    order: list[int] = []

    async def branch(number: int) -> None:
        await ctx.step.run(f"{name}{number}", partial(_body, ctx, bodies, True, 0), retries=20)
        order.append(number)

    await asyncio.gather(*map(branch, range(branches)))
    seen = await ctx.step.run(name, lambda: list(order))
    if seen != order:
        bodies.wrong(f"{ctx.run.id} replayed {name} in the order {order}, and remembers {seen}")
    return seen


async def _guarded(ctx: Context, bodies: Bodies, name: str, child: Program) -> Any:
    """Clean up by a step behind the child, which must not run before the child has really ended."""
    has_ended = False

    async def clean_up() -> None:
        if not has_ended:
            bodies.wrong(f"{ctx.run.id} cleaned up {name} before its end")

    try:
        value = await perform(ctx, bodies, child, f"{name}0")
        has_ended = True
    except RuntimeError:
        has_ended = True
        raise
    except asyncio.CancelledError:
        has_ended = not cast(DurableKernel, ctx.step.kernel).parking.is_over  # it has lost a race
        raise
    finally:
        await ctx.step.run(name, clean_up)
    return value


async def _body(ctx: Context, bodies: Bodies, held: bool, fails: int) -> str:
    return await bodies.body(ctx, held=held, fails=fails)


async def _scope(ctx: Context, bodies: Bodies, fails: int, child: Program) -> Any:
    value = await perform(ctx, bodies, child)
    bodies.stumble(ctx, "own", fails)
    return value


def _adding(bodies: Bodies) -> Network[Any]:
    """Return a network whose one turn adds 20 and 10 side by side to a sum that is 1; the later call wins."""

    @tool
    async def add(ctx: Context, n: int) -> None:
        """Add."""
        ctx.state.data["sum"] += n
        ctx.state.data["order"].append(n)
        await ctx.step.run("pace", partial(_body, ctx, bodies, True, 0), retries=20)

    return Network("N", agents=[Agent("a", tools=[add])], state=_fresh, router=_once)


def _model() -> ScriptedModel:
    return ScriptedModel([calls(call("add", n=20), call("add", n=10))])


def _fresh() -> dict[str, Any]:
    return {"sum": 1, "order": []}


def _once(ctx: Context) -> str | None:
    return None if ctx.network.call_count else "a"
