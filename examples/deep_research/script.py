"""What the agents and the calls without an agent say about swarming bees."""

from __future__ import annotations

import json

from celeriac.testing.model_server import WireRequest
from examples.deep_research.app import CONCLUDING, EDITING, OUTLINING, PLANNING, WRITING
from examples.deep_research.exploring import READING
from examples.script import Part, Script, call, question_of

TOPIC = "Why do honey bees swarm, and what can a beekeeper do?"

_PLAN = {
    "stages": [
        {"name": "Causes", "queries": ["why honey bees divide by swarming", "causes of swarming"]},
        {"name": "Prevention", "queries": ["prevention: space in the hive", "prevention by inspection every week"]},
    ]
}
_OUTLINE = {"title": "Swarming bees", "sections": ["Why they swarm", "What to do"]}


def read(request: WireRequest) -> str:
    """Take a page's first sentence as its claim, and what it points to as a question."""
    text = question_of(request).rpartition("\n")[2]
    claim, _, pointer = text.partition(" See also: ")
    return json.dumps({"claim": claim.rstrip("."), "follow_ups": [pointer.rstrip(".")] if pointer else []})


def conclude(request: WireRequest) -> str:
    """Say the first finding of the stage, and how many there are."""
    head, *claims = question_of(request).splitlines()
    first = claims[0].removeprefix("- ")
    return f"{first}. {head.removeprefix('Stage: ')} rest on {len(claims)} findings."


def write(request: WireRequest) -> str:
    """Write a section of what its stage came to."""
    parts = question_of(request).split("\n\n")
    analysis = parts[1] if parts[-1] == "Section: Why they swarm" else parts[2]
    return analysis.split(": ", 1)[1]


SCRIPT = Script(
    Part("You begin a research", says=call("create_reasoning_stages")),
    Part("You go on with a research", says=call("build_reasoning_tree")),
    Part("You end a research", says=call("generate_report")),
    Part(PLANNING, says=json.dumps(_PLAN)),
    Part(READING, says=read),
    Part(CONCLUDING, says=conclude),
    Part(OUTLINING, says=json.dumps(_OUTLINE)),
    Part(WRITING, says=write),
    Part(EDITING, says=question_of),
)
