"""Have a support desk solve tickets.

From the root of the repository, offline and without a key; a script answers in the place of a model:

    python -m examples.support_desk

In a plain script nobody can be waited for, so that the desk answers ticket T125 without its developer. As a durable run
it waits; here an hour of an in-memory engine's time, until the developer answers:

    python -m examples.support_desk T125 --developer "2.3.1 mends it; it is out tomorrow."
"""

from __future__ import annotations

import asyncio
from typing import Any

from celeriac import AgentResult
from celeriac.testing import Harness
from celeriac.types import Model
from examples.script import model_that_says
from examples.stage import command_line, model_of, show, show_result
from examples.support_desk.app import ANSWERED, CREATED, app, desk, task_of
from examples.support_desk.records import TICKETS
from examples.support_desk.script import SCRIPT


def main() -> None:
    """Solve the tickets."""
    parser = command_line("support_desk", __doc__)
    parser.add_argument("ticket", nargs="?", choices=sorted(TICKETS), default="T124")
    parser.add_argument("--developer", metavar="ANSWER", help="play it as a durable run, in which a developer answers")
    given = parser.parse_args()
    if given.developer is None:
        with model_of(given.model, SCRIPT) as model:
            run = desk.run_sync(task_of(TICKETS[given.ticket]), model=model)
        show(run)
        print(f"\nThe customer is told: {run.state.data.reply}")
    elif given.model is not None:
        parser.error("--developer plays the script; with a model: celeriac dev examples.support_desk.app:app")
    else:
        with model_that_says(SCRIPT) as model:
            asyncio.run(solve_durably(given.ticket, given.developer, model))


async def solve_durably(ticket_id: str, answer: str, model: Model) -> None:
    """Play the ticket on an engine in memory: an hour passes, every process dies, and the developer answers."""
    async with Harness(app, model=model) as engine:
        [run] = await engine.send(CREATED, {"ticket_id": ticket_id})
        print(f"The run is {run.status}.")
        await engine.advance("1h")
        await engine.restart()
        await engine.send(ANSWERED, {"ticket_id": ticket_id, "answer": answer})
        output = engine.run(run.id).output
    results: list[AgentResult[Any]] = [AgentResult.parse(result) for result in output["results"]]
    for result in results:
        show_result(result)
    print(f"\nThe customer is told: {output['answer']}")


if __name__ == "__main__":
    main()
