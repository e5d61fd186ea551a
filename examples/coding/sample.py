"""A small repository with a bug, for the agents to mend."""

from __future__ import annotations

from pathlib import Path

from examples.coding.repository import git

PROBLEM = "Cart.total is wrong as soon as somebody buys two of a thing: the quantity is not taken into account."

_CART = '''"""The cart of a shop."""

from shop.prices import price_of


class Cart:
    """What a customer is about to buy."""

    def __init__(self) -> None:
        self.items: dict[str, int] = {}

    def add(self, item: str, quantity: int = 1) -> None:
        """Put something into the cart."""
        self.items[item] = self.items.get(item, 0) + quantity

    def total(self) -> int:
        """Return what everything costs, in cents."""
        return sum(price_of(item) for item in self.items)
'''

_PRICES = '''"""The price list."""

CENTS = {"lamp": 4900, "bulb": 350}


def price_of(item: str) -> int:
    """Return the price of one piece, in cents."""
    return CENTS[item]
'''

_FILES = {"shop/__init__.py": "", "shop/cart.py": _CART, "shop/prices.py": _PRICES, "README.md": "# A shop\n"}


def make_repository(folder: Path) -> str:
    """Make the repository in a folder that is not there yet, and return its commit."""
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    where = str(folder)
    git(where, "init", "--quiet")
    git(where, "add", ".")
    author = ("-c", "user.name=Shop", "-c", "user.email=shop@example.com")
    git(where, *author, "commit", "--quiet", "--message", "A shop")
    return git(where, "rev-parse", "HEAD").strip()
