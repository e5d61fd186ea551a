"""What the planner and the editor say about the sample repository."""

from __future__ import annotations

from examples.script import Part, Script, call, calls

_CART = "shop/cart.py"
_EDIT = {
    "filename": _CART,
    "idea": "Multiply the price of each item by its quantity in Cart.total",
    "reasoning": "items maps each item to its quantity, and total looks at the keys alone",
}
_TOTAL = '''def total(self) -> int:
    """Return what everything costs, in cents."""
    return sum(price_of(item) * quantity for item, quantity in self.items.items())
'''

PLANNER = [
    call("list_files"),
    calls(call("extract_classes_and_functions", filename=_CART), call("read_file", filename=_CART)),
    call("create_plan", thoughts="The sum ignores the values of items.", plan_details="One edit.", edits=[_EDIT]),
]
EDITOR = [
    call("extract_classes_and_functions", filename=_CART),
    # a slip, as models make them: the tool tells it, and nothing is changed
    call("replace_class_method", filename=_CART, class_name="Cart", function_name="sum", new_contents=_TOTAL),
    call("replace_class_method", filename=_CART, class_name="Cart", function_name="total", new_contents=_TOTAL),
    call("done"),
]
SCRIPT = Script(
    Part("You plan changes to a Python project", says=PLANNER),
    Part("You edit code by the plan", says=EDITOR),
)
