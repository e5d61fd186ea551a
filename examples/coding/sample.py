"""A small repository with a bug, for the agents to mend.

`python -m examples.coding.sample` makes it anew at `FOLDER`, or in a new folder that it is given, and prints the data
of the event that has it mended.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from examples.coding.repository import git

FOLDER = "/tmp/celeriac-sample-shop"
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


def main() -> None:
    """Make the repository, by default where the sample event looks for it."""
    folder = sys.argv[1] if len(sys.argv) > 1 else FOLDER
    if folder == FOLDER:
        shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir()
    make_repository(Path(folder))
    print(json.dumps({"repo": folder, "base_commit": "HEAD", "problem_statement": PROBLEM}))


if __name__ == "__main__":
    main()
