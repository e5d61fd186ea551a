"""Sets in the state: parallel calls may add to one set, and nothing that one of them added is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from celeriac import Agent, App, Context, Network, tool
from celeriac.testing import Harness, ScriptedModel, call, calls

WORDS = [f"word {number}" for number in range(24)]


@dataclass
class Shelf:
    name: str = ""
    seen: frozenset[str] = frozenset()


@dataclass
class Library:
    seen: set[str] = field(default_factory=lambda: {"the", "first", "few", "words"})
    by_topic: dict[int, set[str]] = field(default_factory=dict)
    shelves: list[Shelf] = field(default_factory=lambda: [Shelf()])


@tool
def note(ctx: Context[Library], word: str) -> None:
    """Note a word everywhere."""
    ctx.state.data.seen.add(word)
    ctx.state.data.by_topic.setdefault(7, {"seven"}).add(word)


@tool
def forget(ctx: Context[Library], word: str) -> None:
    """Forget a word."""
    ctx.state.data.seen.discard(word)


def once(ctx: Context[Any]) -> str | None:
    return None if ctx.network.call_count else "Reader"


reader = Agent[Library]("Reader", tools=[note, forget])
reading = Network[Library]("Reading", agents=[reader], state=Library, router=once, default_model="openai:gpt-4.1-mini")
app = App("library")
app.network(reading)


def noting_all() -> ScriptedModel:
    return ScriptedModel([calls(*(call("note", word=word) for word in WORDS))])


async def test_parallel_calls_that_add_to_one_set_lose_nothing() -> None:
    run = await reading.run("read", model=noting_all())
    assert run.state.data.seen == {"the", "first", "few", "words", *WORDS}
    assert run.state.data.by_topic == {7: {"seven", *WORDS}}


async def test_what_is_taken_out_of_a_set_is_gone() -> None:
    run = await reading.run("read", model=ScriptedModel([call("forget", word="few")]))
    assert run.state.data.seen == {"the", "first", "words"}


async def test_a_durable_run_ends_with_its_sets_in_order() -> None:
    """So that its output is the same whichever process wrote it."""
    async with Harness(app, model=noting_all()) as harness:
        [run] = await harness.send("library/network-reading", {"input": "read"})
    assert run.output["state"]["seen"] == sorted(["the", "first", "few", "words", *WORDS])


async def test_what_does_not_fit_beside_a_set_is_told_to_the_model_and_warns_nobody() -> None:
    @tool
    def spoil(ctx: Context[Library]) -> None:
        """Leave in the state what does not fit."""
        ctx.state.data.shelves[0].name = 7  # type: ignore[assignment]

    network = Network[Library]("N", agents=[Agent[Library]("Reader", tools=[spoil])], state=Library, router=once)
    run = await network.run("go", model=ScriptedModel([call("spoil")]))
    error = run.results[0].tool_results[0].error
    assert error is not None and "does not fit its type: shelves.0.name" in error["message"]
