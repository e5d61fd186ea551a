"""Research a topic in a plain script, and print the report.

From the root of the repository, offline and without a key; a script answers in the place of a model, and the search is
over a small library about bees:

    python -m examples.deep_research

With a model: `python -m examples.deep_research --model openai:gpt-4.1-mini`.
"""

from __future__ import annotations

import asyncio

from celeriac import Chunk
from examples.deep_research.app import deep_research
from examples.deep_research.findings import Configuration, Research
from examples.deep_research.script import SCRIPT, TOPIC
from examples.stage import command_line, model_of, show


async def main() -> None:
    """Research, with its progress as it comes."""
    parser = command_line("deep_research", __doc__)
    parser.add_argument("topic", nargs="?", default=TOPIC)
    parser.add_argument("--depth", type=int, choices=(1, 2, 3), default=2, help="how far to follow what is found")
    given = parser.parse_args()
    begun = Research(topic=given.topic, configuration=Configuration(max_depth=given.depth))
    with model_of(given.model, SCRIPT) as model:
        run = await deep_research.run(given.topic, state=begun, model=model, on_chunk=tell)
    show(run)
    print(f"\n{run.state.data.final_report}")


async def tell(chunk: Chunk) -> None:
    """Print what the tools publish."""
    if chunk.event == "data.delta":
        told = chunk.data["delta"]
        print(f"{told['progress']['percent']:3} %  {told['message']}")


if __name__ == "__main__":
    asyncio.run(main())
