"""Where the examples are played in a plain script: what they take at the command line, and what they print."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celeriac import AgentResult, NetworkRun
from celeriac.types import Model, ToolCall, Usage
from examples.script import Provider, Script, model_that_says

_WIDTH = 100


def command_line(example: str, doc: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows `--model`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m examples.{example}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="such as openai:gpt-4.1-mini; a script answers without it")
    return parser


@contextmanager
def model_of(name: str | None, script: Script, like: Provider = "openai") -> Iterator[Model | str]:
    """Yield the model of that name, or one that says what the script has."""
    if name is not None:
        yield name
        return
    with model_that_says(script, like) as model:
        yield model


def show(run: NetworkRun[Any]) -> None:
    """Print the turns of a run, why it ended, and what it used."""
    for result in run.results:
        show_result(result)
    show_end(run)


def show_end(run: NetworkRun[Any]) -> None:
    """Print why a run ended, and what it used."""
    print(f"\nended by {run.stop_reason} after {run.call_count} turns; {used(run.usage)}")


def show_result(result: AgentResult[Any]) -> None:
    """Print what an agent called and said."""
    print(f"\n{result.agent}")
    for made, answer in zip(result.tool_calls, result.tool_results, strict=True):
        print(f"  {_called(made)}\n    → {_short(answer.error['message'] if answer.error else answer.data)}")
    if result.text:
        print(f"  {result.text}")


def used(usage: Usage) -> str:
    """Say what was used."""
    tokens = f"{usage.input_tokens} tokens in and {usage.output_tokens} out"
    return f"{usage.model_calls} model calls, {usage.tool_calls} tool calls, {tokens}"


def _called(made: ToolCall) -> str:
    given = ", ".join(f"{name}={_short(value, 40)}" for name, value in made.input.items())
    return f"{made.name}({given})"


def _short(value: object, width: int = _WIDTH) -> str:
    text = value if isinstance(value, str) else repr(value)
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
