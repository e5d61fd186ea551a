"""Exploring a stage: level by level through the tree of questions, all of a level side by side.

What is new is chosen between the levels, in the order of the questions: chosen as the answers come in, it would depend
on who is faster, and a replay is faster than the first time.
"""

from __future__ import annotations

import asyncio

from celeriac import Context
from examples.deep_research import library
from examples.deep_research.findings import Finding, Node, Note, Research, Stage
from examples.deep_research.library import Page

READING = "You read a page for a question. Say in one sentence what it claims, and which questions follow from it."


async def explore(ctx: Context[Research], stage: Stage) -> None:
    """Look up the stage's questions, read what is new, and go on with what follows, as deep as is allowed."""
    research = ctx.state.data
    level = stage.nodes
    limits = research.configuration
    for depth in range(limits.max_depth):
        found = await asyncio.gather(
            *(ctx.step.run("search", library.search, node.query, limits.max_breadth) for node in level)
        )
        await _read_what_is_new(ctx, level, found)
        for node, pages in zip(level, found, strict=True):
            for page in pages:
                note = research.notes[page.url]
                node.findings.append(Finding(url=page.url, claim=note.claim))
                if depth + 1 < limits.max_depth:
                    _follow(research, node, note.follow_ups)
        level = [child for node in level for child in node.children]


async def _read_what_is_new(ctx: Context[Research], level: list[Node], found: list[list[Page]]) -> None:
    """Read each page that nobody has read, and note what it says."""
    research = ctx.state.data
    new: dict[str, tuple[Node, Page]] = {}
    for node, pages in zip(level, found, strict=True):
        for page in pages:
            if page.url not in research.visited:
                new.setdefault(page.url, (node, page))
    first = len(research.visited) + 1
    notes = await asyncio.gather(
        *(_read(ctx, number, node, page) for number, (node, page) in enumerate(new.values(), first))
    )
    research.visited.update(new)
    research.notes.update(zip(new, notes, strict=True))


async def _read(ctx: Context[Research], number: int, node: Node, page: Page) -> Note:
    prompt = f"Question: {node.query}\n\n{page.title}\n{page.text}"
    model = ctx.network.model_of(ctx.agent)
    return (await ctx.step.ai.infer(f"read page {number}", model, prompt, system=READING, output=Note)).output


def _follow(research: Research, node: Node, queries: list[str]) -> None:
    """Hang questions below a node, each once in the whole research."""
    room = research.configuration.max_breadth - len(node.children)
    for query in [query for query in queries if query not in research.asked][: max(room, 0)]:
        research.asked.add(query)
        node.children.append(Node(query=query, depth=node.depth + 1))
