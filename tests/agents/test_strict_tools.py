"""Any tool under a strict mode: what such a mode would send comes to the function as it was meant."""

import inspect
from typing import Any, Literal

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from celeriac import tool
from celeriac.platform.agents.parameters import read
from celeriac.platform.models.strict_schema import as_strict

LEFT_OUT = object()


class Item(BaseModel):
    name: str
    amount: int = 1
    note: str | None = None


class Gift(BaseModel):
    kind: Literal["gift"] = "gift"
    items: list[Item] = []


class Bill(BaseModel):
    kind: Literal["bill"] = "bill"
    total: float
    tags: list[str] | None = None


TEXT = st.text("abcäß ", max_size=5)
ITEMS = st.builds(Item, name=TEXT, amount=st.integers(0, 9), note=st.none() | TEXT)
GIFTS = st.builds(Gift, items=st.lists(ITEMS, max_size=2))
BILLS = st.builds(Bill, total=st.integers(0, 99).map(float), tags=st.none() | st.lists(TEXT, max_size=2))

#: types with what makes their values
KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers(-9, 9)),
    (str, TEXT),
    (bool, st.booleans()),
    (str | None, st.none() | TEXT),
    (int | None, st.none() | st.integers(0, 9)),
    (list[int], st.lists(st.integers(0, 9), max_size=3)),
    (list[str | None], st.lists(st.none() | TEXT, max_size=3)),
    (Literal["a", "b"], st.sampled_from("ab")),
    (Item, ITEMS),
    (Item | None, st.none() | ITEMS),
    (list[Item], st.lists(ITEMS, max_size=2)),
    (Gift | Bill, GIFTS | BILLS),
    (list[Gift | Bill] | None, st.none() | st.lists(GIFTS | BILLS, max_size=2)),
]


@st.composite
def functions(draw: st.DrawFn) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return a function, the arguments that a model means, and the values that it is to be called with."""
    parameters, meant, expected = [], {}, {}
    for number, (kind, values) in enumerate(draw(st.lists(st.sampled_from(KINDS), max_size=4))):
        name, value, default = f"p{number}", draw(values), inspect.Parameter.empty
        is_left_out = draw(st.booleans())
        if is_left_out or draw(st.booleans()):
            default = draw(values)
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default))
        meant[name] = LEFT_OUT if is_left_out else value
        expected[name] = default if is_left_out else value
    seen: dict[str, Any] = {}

    def take(**given: Any) -> None:
        seen.update(given)

    take.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return take, meant, expected


def sent(meant: dict[str, Any]) -> Any:
    """Return plain JSON as a strict mode would send it: nothing left out, null in its place."""
    return {
        name: None if one is LEFT_OUT else TypeAdapter(Any).dump_python(one, mode="json") for name, one in meant.items()
    }


@settings(max_examples=60, deadline=None)
@given(functions())
def test_a_strict_call_comes_back_as_it_was_meant(case: tuple[Any, dict[str, Any], dict[str, Any]]) -> None:
    function, meant, expected = case
    one = tool(name="take", strict=True)(function)
    call = sent(meant)
    jsonschema.validate(call, as_strict(one.spec.schema))
    got = read(one.parameters, call)
    defaults = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    for name, value in expected.items():
        takes_null = meant[name] is LEFT_OUT and call[name] is None and name in got
        # For a parameter that can be null, null is a value: nobody can tell it from what was left out.
        assert got.get(name, defaults[name]) == (None if takes_null else value)
