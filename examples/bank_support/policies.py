"""What the banks promise: a policy for each intent, the desk that answers it, and where a person decides first.

The agents' tools and routers read it. The texts stand in `data/policies.json`.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from typing import Literal, TypedDict

from examples.bank_support.dataset import DATA

Desk = Literal["cards", "transfers", "identity", "accounts"]

#: Here a person decides whether cards are blocked before the customer is answered. The phone is on the identity desk.
APPROVAL_INTENTS = frozenset({"lost_or_stolen_card", "compromised_card", "lost_or_stolen_phone"})


class _Entry(TypedDict):
    desk: Desk
    policy: str


def intents() -> list[str]:
    """All 77 intents, sorted."""
    return sorted(_entries())


def policy_of(intent: str) -> str:
    """The text to quote. Raises `LookupError`, naming the closest intent, for one that does not exist."""
    return _entry(intent)["policy"]


def specialist_of(intent: str) -> Desk:
    """The desk that answers this intent. Raises like `policy_of`."""
    return _entry(intent)["desk"]


def needs_approval(intent: str) -> bool:
    """Whether a person decides first."""
    return intent in APPROVAL_INTENTS


def _entry(intent: str) -> _Entry:
    if (entry := _entries().get(intent)) is not None:
        return entry
    close = difflib.get_close_matches(intent, _entries(), n=1)
    raise LookupError(f"Unknown intent {intent!r}" + (f"; did you mean {close[0]!r}?" if close else "."))


@cache
def _entries() -> dict[str, _Entry]:
    entries: dict[str, _Entry] = json.loads((DATA / "policies.json").read_text(encoding="utf-8"))
    return entries
