"""What a research is made of: its limits, its stages with their trees of questions, and what was found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, Field


class Configuration(BaseModel):
    """How far a research goes."""

    max_depth: Annotated[int, Field(ge=1, le=3)] = 2
    max_breadth: Annotated[int, Field(ge=2, le=5)] = 3
    stage_count: Annotated[int, Field(ge=1, le=5)] = 3
    queries_per_stage: Annotated[int, Field(ge=1, le=5)] = 3


class Note(BaseModel):
    """What a model makes of a page."""

    claim: str
    follow_ups: list[str]


class Finding(BaseModel):
    """What one page says to a question."""

    url: str
    claim: str


class Node(BaseModel):
    """A question in the tree, with what was found and the questions that follow from it."""

    query: str
    depth: int = 0
    findings: list[Finding] = []
    children: list[Node] = []

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


class Stage(BaseModel):
    """One part of the research."""

    name: str
    nodes: list[Node]
    #: what the findings come to
    analysis: str = ""

    def findings(self) -> list[Finding]:
        """Return all findings of its tree."""
        return [finding for root in self.nodes for node in root.walk() for finding in node.findings]


class Research(BaseModel):
    """What the three agents share."""

    topic: str = ""
    context: str = ""
    configuration: Configuration = Configuration()
    stages: list[Stage] = []
    current_stage: int = 0
    #: the addresses of pages that were read, and what was noted of each: none is read twice
    visited: set[str] = set()
    notes: dict[str, Note] = {}
    #: questions that were asked: none is asked twice
    asked: set[str] = set()
    draft_report: str | None = None
    final_report: str | None = None

    @property
    def is_explored(self) -> bool:
        """Whether every stage is done."""
        return bool(self.stages) and self.current_stage >= len(self.stages)
