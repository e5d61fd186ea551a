"""Chat about the numbers of a product in one thread, and ask its customer support.

From the root of the repository, offline and without a key; a script answers in the place of a model:

    python -m examples.insights_chat

With a model: `python -m examples.insights_chat --model openai:gpt-4.1-mini`. A refund waits for a person's approval,
which takes a durable run; in a plain script the model is told so.
"""

from __future__ import annotations

import asyncio

from celeriac.types import Model
from examples.insights_chat.insights import insights
from examples.insights_chat.script import REFUND, SCRIPT, SIGNUPS, SLOW, UPGRADES
from examples.insights_chat.support import Desk, customer_support
from examples.stage import command_line, model_of, show, show_end


async def main() -> None:
    """Ask two questions in a thread, then two of the support."""
    given = command_line("insights_chat", __doc__).parse_args()
    with model_of(given.model, SCRIPT) as model:
        for question in (SIGNUPS, UPGRADES):
            await chat(question, model)
        for question in (SLOW, REFUND):
            print(f"\n> {question}")
            show(await customer_support.run(question, state=Desk(user_id="u-1"), model=model))


async def chat(question: str, model: Model | str) -> None:
    """Print the answer as it comes."""
    print(f"\n> {question}")
    async with insights.stream(question, thread_id="numbers", model=model) as stream:
        async for piece in stream.text():
            print(piece, end="", flush=True)
        run = await stream.result()
    print(f"\n{run.state.data.sql}")
    show_end(run)


if __name__ == "__main__":
    asyncio.run(main())
