"""The tables of the documentation: each expression in them gives what stands beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from celeriac.errors import ConfigError
from celeriac.platform.expression import MISSING, check, evaluate

PAGE = Path(__file__).resolve().parents[2] / "docs" / "durable-functions.md"
SECTION = PAGE.read_text().partition("\n## Expressions\n")[2].partition("\n## ")[0]
EVENT = json.loads(SECTION.partition("```json\n")[2].partition("```")[0])


def rows(*, allowed: bool) -> list[tuple[str, str]]:
    """Return the rows of the section's tables: those whose second cell is a value, or those that give a reason."""
    found: list[tuple[str, str]] = []
    for table in re.findall(r"(?:^\|.*\n)+", SECTION, re.MULTILINE):
        if table.startswith("| not allowed") is not allowed:
            cells = re.findall(r"^\| `(.*?)` \| (.*) \|$", table, re.MULTILINE)
            found += [(text.replace(r"\|", "|"), value) for text, value in cells]
    return found


@pytest.mark.parametrize(("text", "value"), rows(allowed=True))
def test_a_documented_expression_gives_the_documented_value(text: str, value: str) -> None:
    """Also its type: 990 is written as a whole number, 9.9 is not."""
    found = evaluate(check(text), {"event": EVENT})
    assert ("no value" if found is MISSING else f"`{json.dumps(found)}`") == value


@pytest.mark.parametrize("text", [text for text, _ in rows(allowed=False)])
def test_what_is_documented_as_not_allowed_is_refused(text: str) -> None:
    """When it is declared, and not when the first event comes."""
    with pytest.raises(ConfigError):
        check(text, names=("event", "async"))


def test_the_tables_are_found() -> None:
    """No rows would pass all tests."""
    assert (len(rows(allowed=True)) > 70, len(rows(allowed=False)) > 5) == (True, True)
