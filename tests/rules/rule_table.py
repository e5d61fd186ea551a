"""The table of the engine's rules: what `docs/engine.md` says, read by those who hold it against the tests."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "engine.md"

#: rules that had to be found by a race, a crash or a measurement; each has to be taken out by `takings_out.py`
FOUND = (2, 3, 4, 5, 7, 11, 12, 15, 18, 20, 21, 22, 29)

_HEADING = re.compile(r"^### (\d+)\. (.+)$", re.MULTILINE)
_PROOF = re.compile(r"^Proof: (.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
_LOSS = re.compile(r"^Without it: ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule as the page tells it."""

    number: int
    title: str
    #: `file::test` below `tests/`
    tests: tuple[str, ...]
    #: whether the page says what happens without it
    tells_loss: bool


def rules() -> dict[int, Rule]:
    """Return the rules by number, in the order of the page."""
    parts = _HEADING.split(PAGE.read_text())
    return {
        int(number): _rule(int(number), title, text)
        for number, title, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    }


def _rule(number: int, title: str, text: str) -> Rule:
    proof = _PROOF.search(text)
    tests = re.findall(r"`([^`]+)`", proof.group(1)) if proof is not None else []
    return Rule(number=number, title=title, tests=tuple(tests), tells_loss=bool(_LOSS.search(text)))


@cache
def named_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file below `tests/`; none where there is no such file."""
    path = PROJECT / "tests" / file
    if not path.exists():
        return frozenset()
    found = ast.parse(path.read_text()).body
    return frozenset(one.name for one in found if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
