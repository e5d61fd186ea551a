"""An expression that can never be evaluated is refused where it is declared, with the reason."""

from __future__ import annotations

import cel
import pytest
from hypothesis import HealthCheck, given, settings
from scopes import any_text

from celeriac.errors import ConfigError
from celeriac.platform.expression import check

WAIT = ("event", "async")

REFUSED = [
    ("", "is empty"),
    (" \n", "is empty"),
    ("event.data." + "a" * 1014, "has 1025 bytes; the limit is 1024"),
    ("event.data.a == '" + "é" * 504 + "'", "has 1026 bytes"),
    ("event.data.a == '\ud800'", "lone surrogate"),
    ("event.data.a ==", "at character 16: mismatched input the end"),
    ("event.data.a = 1", "at character 14: what is '= 1', perhaps ==?"),
    ("event.data.a & true", "perhaps &&?"),
    ("event.data.`a-b`", "perhaps event.data"),
    ("event.data.a // the user", "at character 14"),
    ("event.data.é", "at character 12"),
    ("event.data.a == 'open", "at character 17"),
    ("event.data.in == 1", "at character 12"),
    ("event.data.a == 9223372036854775808", "invalid int literal"),
    ("event.data.a == 1e400", "invalid double literal"),
    ("event.data.a == 1u", "two words that touch"),
    ("event.data.a == b'x'", "two words that touch"),
    ("event.data.a == '''x'''", "two words that touch"),
    ("user_id == 'u1'", "did you mean event.data.user_id?"),
    ("data.user_id", "did you mean event.data?"),
    ("event.data.a and event.data.b", "did you mean &&?"),
    ("event.data.a == None", "did you mean null?"),
    ("event.data.user-id", "event.data['user-id']"),
    (".event.data.a", "begins with a dot"),
    ("event.data.a == Point{x: 1}", "put an operator before '{'"),
    ("event.data.a.startswith('x')", "did you mean 'startsWith'?"),
    ("matches(event.data.a, 'x')", "the function 'matches', which is not known"),
    ("event.data.a.has('x')", "the method 'has', which is not known"),
    ("has(event)", "invalid argument to has()"),
    ("event.data.a.matches(event.data.b)", "one plain string"),
    ("event.data.a.matches('x' + 'y')", "one plain string"),
    (r"event.data.a.matches('a\x7b1000}')", "one plain string"),
    ("event.data.a.matches('(a')", "has the pattern '(a': unclosed group"),
    (r"event.data.a.matches(r'(a)\1')", "backreferences are not supported"),
    ("event.data.a.matches(r'(?x)a')", "Of flags there is (?i)"),
    ("event.data.a.matches(r'(a{1000}){1000}')", "too large"),
    ("event.data.a.matches(r'((a{90}|b){90}){90}')", "too large"),
    (" || ".join([r"event.data.a.matches(r'\w{20}')"] * 5), "too large"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=[text[:40] or "empty" for text, _ in REFUSED])
def test_what_cannot_be_evaluated_is_refused_with_its_reason(text: str, reason: str) -> None:
    """So that the author reads it, and not the operator."""
    with pytest.raises(ConfigError) as refused:
        check(text)
    assert reason in str(refused.value)


@pytest.mark.parametrize("loop", ["map(e, e)", "filter (e, e)", "all(e, e)", "exists(e, e)", "exists_one\n(e, e)"])
def test_a_loop_is_refused(loop: str) -> None:
    """With it the cost would be any power of the length of a list."""
    with pytest.raises(ConfigError, match="loops over a list"):
        check(f"event.data.items . {loop}", names=("event", "e"))


@pytest.mark.parametrize(("opened", "closed"), [("(", ")"), ("[", "]"), ("size(", ")"), ("{1:", "}")])
def test_seventeen_brackets_are_one_too_many(opened: str, closed: str) -> None:
    """The parser recurses for each of them, on the stack of the thread."""
    check(opened * 16 + "1" + closed * 16)
    with pytest.raises(ConfigError, match="nested more than 16 deep"):
        check(opened * 17 + "1" + closed * 17)


def test_an_expression_of_exactly_the_limit_is_accepted_as_it_is() -> None:
    """Also one of many operators, each of which is a frame on the stack."""
    for text in (
        "event.data." + "a" * 1013,
        "1" + "+1" * 511 + " ",
        "event" + ".a" * 509 + " " * 1,
        "!" * 1020 + "true",
    ):
        assert len(text) == 1024
        assert check(text) == text


def test_only_the_names_of_the_place_may_be_spoken_of() -> None:
    """Nothing has come yet when a run starts."""
    assert check("event.data.a == async.data.a", names=WAIT) == "event.data.a == async.data.a"
    with pytest.raises(ConfigError, match="only in waits and cancellations"):
        check("event.data.a == async.data.a")


def test_names_and_loops_inside_of_a_text_are_no_concern() -> None:
    """They are data."""
    assert check("""event.data.a == "x.map(e, e) && nobody" || event.data.a.contains('"].filter(')""")
    assert check(r"""event.data.a == r'\' || event.data.b == 'it\'s (((((((((((((((((('""")


@settings(max_examples=600, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(any_text)
def test_whatever_is_accepted_speaks_of_the_names_alone_and_never_loops(text: str) -> None:
    """As the library itself reads it; and whatever is refused is refused by the error of a declaration."""
    try:
        check(text, names=WAIT)
    except ConfigError:
        return
    said = cel.compile(text).references()
    assert set(said["variables"]) <= set(WAIT)
    assert not {"map", "filter", "all", "exists"} & set(said["functions"])
