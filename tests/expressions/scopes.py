"""Events for the tests of expressions, ordinary and hostile ones, and expressions put together at random."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

FIELDS = ("a", "b", "some-key")


def scope(data: Any, coming: Any = None) -> dict[str, Any]:
    """Return the scope of a wait: the run's own event, and the one that comes."""
    own = {"name": "shop/order.placed", "data": data, "id": "evt_1", "ts": "2026-03-04T05:06:07+00:00"}
    return {"event": own, "async": {**own, "id": "evt_2", "data": coming}}


def nested(depth: int, *, lists: bool = False) -> Any:
    """Return a value inside so many others."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


#: Whatever Python's JSON reader may hand on, and a little more.
hostile_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**70, 10**400]),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 2.0**53, 2.0**63, 2.0**64, 1e308]),
    st.text(max_size=4),
    st.sampled_from(["", "1", "true", "é😀", "\x00", "\ud800", "a\udfff", "2026-03-04T05:06:07Z", "90s", "(", "[a"]),
)
hostile_values = st.recursive(
    hostile_scalars | st.builds(nested, st.sampled_from([60, 300]), lists=st.booleans()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "\ud800"]), inner, max_size=3)
    ),
    max_leaves=6,
)
hostile_data = st.dictionaries(st.sampled_from(FIELDS), hostile_values, max_size=3) | hostile_values
hostile_scopes = st.builds(scope, hostile_data, hostile_data) | st.dictionaries(st.just("event"), hostile_values)

ORDINARY_PATHS = (
    "event",
    "event.data",
    "event.data.a",
    "event.data.b",
    "event.data.a.b",
    "event.data.b.a.a",
    "event.missing",
    'event.data["some-key"]',
    "event['data'].a",
    "event . data\n. b",
    "async.data",
    "async.data.a",
    "event.ts",
)
paths = st.sampled_from(ORDINARY_PATHS)
literals = st.one_of(
    st.sampled_from(["true", "false", "null", "''", '"é😀"', "'\\n'", r"r'\d'", "0", "-0", "1", "- 1", "1.0", "-0.0"]),
    st.sampled_from(["1e400", "1e3", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "0x10"]),
    st.integers(-3, 3).map(str),
    st.integers(-(2**63) - 2, 2**64 + 2).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(alphabet="ab é1", max_size=3).map(lambda text: f"'{text}'"),
)
comparisons = st.builds("{} {} {}".format, paths | literals, st.sampled_from(["==", "!="]), paths | literals)
conjunctions = st.lists(comparisons | paths, min_size=1, max_size=3).map(" && ".join)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"]
    functions = ["size", "int", "double", "string", "timestamp", "duration", "has", "!", "-"]
    methods = ["startsWith", "endsWith", "contains", "size", "getHours", "getFullYear"]
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(operators), inner),
        st.builds("{}({})".format, st.sampled_from(functions), inner),
        st.builds("{}.{}({})".format, inner, st.sampled_from(methods), inner | st.just("")),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'a': {}, {}: 1}}".format, inner, inner),
        st.builds("{}.matches({})".format, inner, st.sampled_from(["'^a'", r"r'\d+'", "'('"])),
    )


#: Expressions of the whole language, most of which make no sense.
expressions = st.recursive(paths | literals, _larger, max_leaves=8)

#: Words of the language and around it in any order, and any text at all.
_WORDS = ["event", "async", "data", ".", ".", "a", "[", "]", "(", ")", "{", "}", ",", ":", "?", "!", "-", "+", "=="]
_WORDS += ["&&", "||", " in ", "true", "null", "1", "0x1F", "1.5", "1e3", ".5", "1u", "'x'", '"y"', "r'\\'", "b'x'"]
_WORDS += ["has(", "size(", ".map(", ".filter(", ".all(e,", ".exists(e,", "optional", "dyn", "type", "e", "//", "`"]
_WORDS += ["'''", '"""', '""', "\\", "'\\'", "=", "@", "#", "é", "\ud800", "\n", "\x00"]
any_text = st.lists(st.sampled_from([*_WORDS, " ", " "]), max_size=12).map("".join) | st.text(max_size=20)
