"""The customers of the two banks, and the tickets that they open in the demo.

A run's first step loads the customer; the demo's driver draws the tickets. People are made up (`data/customers.json`),
what they write is real (`data/test.csv`).
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cache

from typing_extensions import TypedDict

from examples.bank_support.dataset import DATA, read_queries

#: Each bank is a tenant.
BANKS = ("Northwind Bank", "Harbour Bank")


class Customer(TypedDict):
    """A customer as a step remembers one: plain JSON."""

    customer_id: str
    bank: str
    name: str
    plan: str
    customer_since: str


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A question of a customer; `intent` is the label of banking77, known to the referee only."""

    ticket_id: str
    bank: str
    customer_id: str
    text: str
    intent: str


def customers() -> list[Customer]:
    """All customers, in the order of the file."""
    return list(_customers().values())


def load_customer(customer_id: str) -> Customer | None:
    """The customer of this id, or None."""
    return _customers().get(customer_id)


def tickets(count: int, seed: int) -> list[Ticket]:
    """Draw tickets from the test queries: none twice, every customer about equally often, the same for a seed.

    Raises `ValueError` when more are asked for than there are queries.
    """
    draw = random.Random(seed)
    queries = draw.sample(read_queries("test"), count)
    turns: list[Customer] = []
    while len(turns) < count:
        turns += draw.sample(customers(), len(_customers()))
    return [
        Ticket(
            ticket_id=f"T{number:04d}",
            bank=customer["bank"],
            customer_id=customer["customer_id"],
            text=query.text,
            intent=query.intent,
        )
        for number, (query, customer) in enumerate(zip(queries, turns[:count], strict=True), start=1)
    ]


@cache
def _customers() -> dict[str, Customer]:
    entries: list[Customer] = json.loads((DATA / "customers.json").read_text(encoding="utf-8"))
    return {entry["customer_id"]: entry for entry in entries}
