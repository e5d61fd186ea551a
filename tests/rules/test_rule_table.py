"""Every rule of the engine has its tests, and every test that the page names is there."""

from __future__ import annotations

import re

import pytest

from rules.rule_table import FOUND, Rule, named_in, rules
from rules.takings_out import TAKEN_OUT

RULES = rules()

each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: f"{rule.number}-{rule.title}")


def test_the_page_tells_all_rules_in_order() -> None:
    assert list(RULES) == list(range(1, 30))


@each_rule
def test_a_rule_has_tests(rule: Rule) -> None:
    assert rule.tests, f"rule {rule.number} has no `Proof:` in docs/engine.md"


@each_rule
def test_the_tests_of_a_rule_are_there(rule: Rule) -> None:
    """Who renames a test renames it on the page."""
    missing = [test for test in rule.tests if test.partition("::")[2] not in named_in(test.partition("::")[0])]
    assert missing == []


@pytest.mark.parametrize("number", FOUND)
def test_a_rule_that_was_found_is_taken_out(number: int) -> None:
    """That its test fails then is what `test_rules_taken_out.py` shows."""
    assert number in {taken.rule for taken in TAKEN_OUT}


@pytest.mark.parametrize("number", sorted({taken.rule for taken in TAKEN_OUT}))
def test_what_notices_that_a_rule_is_gone_is_one_of_its_tests(number: int) -> None:
    """And the page says what happens without it."""
    noticing = {re.sub(r"\[.*", "", taken.test) for taken in TAKEN_OUT if taken.rule == number}
    assert noticing <= set(RULES[number].tests)
    assert RULES[number].tells_loss


def test_a_test_that_is_not_there_is_noticed() -> None:
    """The reader of test files must not believe everything."""
    assert "test_a_rule_has_tests" in named_in("rules/test_rule_table.py")
    assert "test_of_nothing" not in named_in("rules/test_rule_table.py")
    assert named_in("rules/test_nowhere.py") == frozenset()
