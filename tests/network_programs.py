"""Random programs of networks: who takes a turn, what its model asks for, and what its tools do.

The model answers by the place of the call in the program, so that a call that is made again after a crash gets the
same answer, as a patient provider's would.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from celeriac import Agent, App, Chunk, Context, Network, Parallel, tool
from celeriac.platform.message import ToolCall, Usage
from celeriac.platform.models.delta import Delta, TextDelta, deltas_of
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.testing import Harness

AGENTS = ("ann", "bob", "cy")

#: how long a nap takes: on a clock that a test moves, or on one that nobody does
NAP = os.environ.get("PROGRAM_NAP", "1h")


@tool
def note(ctx: Context, word: str) -> int:
    """Keep a word; return how many there are."""
    ctx.state.data.setdefault("words", []).append(f"{ctx.agent.name} {word}")
    return len(ctx.state.data["words"])


@tool
async def nap(ctx: Context, word: str) -> str:
    """Sleep, then count."""
    await ctx.step.sleep("nap", NAP)
    ctx.state.data["naps"] = ctx.state.data.get("naps", 0) + 1
    return word


@tool
async def work(ctx: Context, word: str) -> str:
    """Do something in two steps and keep a note in between."""
    first = await ctx.step.run("first", str.upper, word)
    ctx.state.data.setdefault("done", {})[word] = first
    return await ctx.step.run("second", lambda: first + word)


@tool
def fail(word: str) -> None:
    """Fail."""
    raise ValueError(word)


@tool(parallel=False)
def hand_over(ctx: Context, word: str) -> None:
    """Let somebody else go on."""
    ctx.network.schedule(AGENTS[len(word) % len(AGENTS)])


TOOLS = [note, nap, work, fail, hand_over]


@dataclass(frozen=True)
class TurnPlan:
    """What the agents of a turn ask for, call by call; several agents take it at once."""

    agents: tuple[str, ...]
    calls: tuple[tuple[tuple[str, str], ...], ...]


@dataclass
class Programmed:
    """A model that answers by the place of the call."""

    plans: list[TurnPlan]
    provider: str = "scripted"
    name: str = "program"
    asked: list[str] = field(default_factory=list)

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer with what the program has for this turn and call."""
        place = re.search(r"turn:(\d+)/infer(?::(\d+))?$", request.origin or "")
        assert place is not None
        self.asked.append(request.origin or "")
        turn, number = int(place[1]), int(place[2] or 0)
        calls = self.plans[turn - 1].calls[number] if turn <= len(self.plans) else ()
        made = tuple(
            ToolCall(id=f"{turn}.{number}.{n}", name=name, input={"word": word}) for n, (name, word) in enumerate(calls)
        )
        return ModelReply(
            model=self.name,
            text=f"{request.agent} {turn}.{number}, of {len(request.messages)}",
            tool_calls=made,
            finish_reason="tool" if made else "stop",
            usage=Usage(model_calls=1, input_tokens=len(request.messages), output_tokens=1),
        )

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Answer in pieces."""
        reply = await self.infer(request)
        for delta in deltas_of(reply):
            if isinstance(delta, TextDelta):
                for word in re.findall(r"\S+\s*", delta.text):
                    yield TextDelta(text=word)
            else:
                yield delta
        yield reply


def network_of(plans: list[TurnPlan]) -> Network[Any]:
    """Return the network that the program is for."""

    def router(ctx: Context) -> Any:
        at = ctx.network.call_count
        if at >= len(plans) or ctx.network.stack:
            return None
        agents = plans[at].agents
        return agents[0] if len(agents) == 1 else Parallel(*agents)

    agents = [Agent(name, tools=TOOLS, max_iter=2) for name in AGENTS]
    return Network("Program", agents=agents, router=router, max_iter=8)


def app_of(plans: list[TurnPlan], name: str = "program") -> App:
    """Return an app that runs the program at the event `go`."""
    app = App(name, default_model="openai:gpt-4.1-mini")
    app.network(network_of(plans), on="go")
    return app


_word = st.sampled_from(["a", "bb", "ccc"])
_call = st.tuples(st.sampled_from([one.name for one in TOOLS]), _word)
_calls = st.lists(_call, max_size=3).map(tuple)
_agents = st.lists(st.sampled_from(AGENTS), min_size=1, max_size=2, unique=True).map(tuple)
_turn = st.builds(TurnPlan, _agents, st.lists(_calls, min_size=2, max_size=2).map(tuple))

programs = st.lists(_turn, min_size=1, max_size=3)


#: one of everything: turns at once, steps and waits in tools, a failure, somebody scheduled
FULL = [
    TurnPlan(("ann", "bob"), ((("work", "bb"), ("note", "a"), ("nap", "a")), (("note", "ccc"),))),
    TurnPlan(("cy",), ((("fail", "a"), ("hand_over", "bb"), ("note", "bb")), ())),
    TurnPlan(("ann",), ((("nap", "a"), ("work", "bb")), (("note", "a"),))),
]


async def played(harness: Harness) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Run the program to its end; return what is left of it, and what was told."""
    [run] = await harness.send("go", {"input": "Begin"})
    await harness.advance("3d")
    return what_is_said(harness.run(run.id).output), what_is_told(harness.chunks(run.id))


def what_is_told(chunks: Sequence[Chunk]) -> dict[str, list[Any]]:
    """Return what a stream shows in the end, by who told it: turns at once tell in between each other.

    What was taken back is left out, pieces are put together, and ids, which differ from run to run, are not compared;
    that they are told once and numbered without gaps is.
    """
    assert [chunk.sequence_number for chunk in chunks] == list(range(len(chunks)))
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    taken_back = {chunk.data["partId"] for chunk in chunks if chunk.event == "part.failed"}
    names: dict[str, str] = {}
    told: dict[str, list[tuple[str, Any]]] = {}
    for chunk in chunks:
        data = chunk.data
        if chunk.event == "run.started":
            names[data["messageId"]] = names[data["runId"]] = data["name"]
        if data.get("partId") not in taken_back:
            told.setdefault(names[data.get("messageId") or data["runId"]], []).append(_shown(chunk))
    in_order = {name: _joined([one for one in shown if not _is_step(one)]) for name, shown in told.items()}
    steps = {f"steps of {name}": sorted(filter(_is_step, shown), key=repr) for name, shown in told.items()}
    return in_order | steps


def _is_step(shown: tuple[str, Any]) -> bool:
    """Whether it tells of a step: those of calls side by side begin and end in any order."""
    return shown[0].startswith("step.")


def _shown(chunk: Chunk) -> tuple[str, Any]:
    """Return a chunk without ids, and without sums over turns that may end in any order."""
    kept = ("scope", "name", "type", "delta", "finalContent", "error", "reason", "usage", "topic")
    return chunk.event, {key: chunk.data[key] for key in kept if key in chunk.data}


def _joined(shown: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Put pieces that follow each other together."""
    joined: list[tuple[str, Any]] = []
    for event, data in shown:
        if "delta" in data and joined and joined[-1][0] == event and "delta" in joined[-1][1]:
            joined[-1] = (event, {**data, "delta": joined[-1][1]["delta"] + data["delta"]})
        else:
            joined.append((event, data))
    return joined


def what_is_said(output: dict[str, Any]) -> dict[str, Any]:
    """Return a run's output without ids and times, which differ from run to run."""
    return {key: _without_ids(value) for key, value in output.items()}


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_ids(one) for key, one in value.items() if key not in ("id", "created_at", "seal")}
    return [_without_ids(one) for one in value] if isinstance(value, list) else value
