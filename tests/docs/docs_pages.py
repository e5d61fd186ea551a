"""The pages of the documentation as code: their Python blocks, each page one module read from top to bottom.

Every line of a page's module stands where it stands in the page, so that an error names the page's own line.
A block below `<!-- run -->` is executed; the others are compiled and type-checked like it. Called by the tests beside.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]

#: what a reader reads
PAGES = (ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").glob("*.md")))

RUN = "<!-- run -->"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    language: str
    #: the number of its first line in the page, from 1
    line: int
    code: str
    is_run: bool


def blocks_of(text: str) -> list[Block]:
    """Read the fenced blocks of a page, in order."""
    found: list[Block] = []
    language, start, is_run, before = None, 0, False, ""
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.startswith("```"):
            before = line.strip() or before
        elif language is None:
            language, start, is_run = line[3:].strip(), number + 1, before == RUN
        else:
            code = "\n".join(lines[start - 1 : number - 1]) + "\n"
            found.append(Block(language=language, line=start, code=code, is_run=is_run))
            language, before = None, ""
    return found


def python_of(page: Path) -> list[Block]:
    """Return the Python blocks of a page."""
    return [block for block in blocks_of(page.read_text()) if block.language == "python"]


def module_source(page: Path) -> str:
    """Return all Python of a page as one module, each line at its place in the page."""
    lines: list[str] = []
    for block in python_of(page):
        lines += [""] * (block.line - 1 - len(lines))
        lines += block.code.splitlines()
    return "\n".join(lines) + "\n"


def module_name(page: Path) -> str:
    """Return the name under which a page is imported and checked."""
    path = page.relative_to(ROOT).with_suffix("").as_posix()
    return "page_" + path.replace("/", "_").replace("-", "_").lower()


def run_page(page: Path) -> ModuleType:
    """Execute the blocks of a page that are to be run, in order, in one module; return it."""
    module = ModuleType(module_name(page))
    sys.modules[module.__name__] = module  # where annotations are resolved
    for block in python_of(page):
        if block.is_run:
            code = "\n" * (block.line - 1) + block.code
            exec(compile(code, str(page), "exec", dont_inherit=True), module.__dict__)
    return module
