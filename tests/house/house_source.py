"""What the house rules look at: the project's files, and the shape of a rule.

A rule is one pure function from a source to its breaches, with planted snippets that it must refuse and one that it
must accept, so that no rule can stop biting unnoticed. `test_house_rules.py` runs them all; the rules themselves stand
in `shape_rules.py`, `conduct_rules.py`, `dependency_rules.py` and `text_rules.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Folders that hold no source of ours, beside the hidden ones.
FOREIGN_FOLDERS = {"__pycache__", "build", "dist", "node_modules"}

#: Hidden files that are ours all the same.
HIDDEN_BUT_OURS = {".ci", ".gitignore"}

TEXT_SUFFIXES = {".css", ".html", ".ini", ".js", ".lua", ".mako", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}

PACKAGE = ("celeriac/",)
SHIPPED = ("celeriac/", "examples/", "benchmarks/")
TESTS = ("tests/",)
PYTHON = SHIPPED + TESTS
EVERYWHERE = ("",)

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file: its path below the root, and its text."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        """Whether it has a tree at all."""
        return self.path.endswith(".py")

    @property
    def is_test_file(self) -> bool:
        """Whether pytest collects it."""
        return self.path.startswith("tests/") and Path(self.path).name.startswith("test_")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree; only for Python."""
        return ast.parse(self.text)

    @cached_property
    def functions(self) -> list[FunctionNode]:
        """All its functions and methods, the nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, FunctionNode)]

    @cached_property
    def tests(self) -> list[FunctionNode]:
        """The functions that pytest runs."""
        return [node for node in self.functions if node.name.startswith("test")] if self.is_test_file else []

    @cached_property
    def numbered_lines(self) -> list[tuple[int, str]]:
        """Its lines with their numbers."""
        return list(enumerate(self.text.splitlines(), start=1))


#: One breach: the line it stands on, and what is wrong there.
Breach = tuple[int, str]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One law of the house, and the proof that it bites."""

    name: str
    check: Callable[[Source], Iterator[Breach]]
    where: tuple[str, ...]
    bad: tuple[str, ...]
    good: str
    #: Where the snippets pretend to live.
    path: str = "celeriac/example.py"

    def breaches(self, source: Source) -> list[str]:
        """List what the rule refuses in this source, ready to click on."""
        return [f"{source.path}:{line}: {why}" for line, why in self.check(source)]


def our_sources() -> list[Source]:
    """Read every text file of the project."""
    return [Source(path=path.relative_to(ROOT).as_posix(), text=path.read_text()) for path in sorted(_walk(ROOT))]


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if (path.name.startswith(".") and path.name not in HIDDEN_BUT_OURS) or path.name in FOREIGN_FOLDERS:
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.suffix in TEXT_SUFFIXES or not path.suffix:
            yield path
