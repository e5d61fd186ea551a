"""Every rule of the house, over every file of the project, and the proof that each rule still bites."""

from __future__ import annotations

from functools import cache

import pytest

import conduct_rules
import dependency_rules
import shape_rules
import text_rules
from house_source import Rule, Source, our_sources

RULES = [*shape_rules.RULES, *conduct_rules.RULES, *dependency_rules.RULES, *text_rules.RULES]

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name.replace(" ", "-"))


@cache
def sources() -> list[Source]:
    """Read the project once for all rules."""
    return our_sources()


@each_rule
def test_the_project_keeps_the_rule(rule: Rule) -> None:
    """No file breaks it."""
    reads_text = rule in text_rules.RULES
    ours = [source for source in sources() if source.path.startswith(rule.where) and (source.is_python or reads_text)]
    breaches = [breach for source in ours for breach in rule.breaches(source)]
    assert not breaches, f"{rule.name}:\n" + "\n".join(breaches)


@each_rule
def test_the_rule_refuses_a_planted_breach(rule: Rule) -> None:
    """A rule that finds nothing in bad code is no rule."""
    assert all(rule.breaches(Source(path=rule.path, text=snippet)) for snippet in rule.bad)


@each_rule
def test_the_rule_accepts_good_code(rule: Rule) -> None:
    """A rule that cries over good code is switched off sooner or later."""
    assert rule.breaches(Source(path=rule.path, text=rule.good)) == []


def test_the_walk_finds_the_whole_project() -> None:
    """A rule over no files would be green for ever."""
    paths = {source.path for source in sources()}
    assert {"Makefile", ".ci/run", "README.md", "tests/waiting.py", "celeriac/errors.py"} <= paths
