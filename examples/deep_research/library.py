"""What is searched: a small library about swarming bees. Stands for a search engine of your own."""

from __future__ import annotations

import re

from pydantic import BaseModel


class Page(BaseModel):
    """A page as a search finds it."""

    url: str
    title: str
    text: str


def _page(name: str, title: str, text: str) -> Page:
    return Page(url=f"https://bees.example/{name}", title=title, text=text)


PAGES = [
    _page(
        "swarming",
        "What swarming is",
        "A colony of honey bees divides by swarming: the old queen leaves with about half of the workers. "
        "See also: signs of swarming.",
    ),
    _page(
        "crowding",
        "Causes: a crowded brood nest",
        "Crowding is the main cause of swarming, because the scent of the queen no longer reaches every worker. "
        "See also: space in the hive.",
    ),
    _page(
        "season",
        "Causes: the season",
        "Most swarms leave in late spring, when there is much nectar and the colony grows fast. "
        "See also: space in the hive.",
    ),
    _page(
        "queen-cells",
        "Signs: queen cells",
        "Queen cells at the lower edge of the combs are the surest sign that a colony prepares for swarming.",
    ),
    _page(
        "space",
        "Prevention: space in the hive",
        "A super that is added before the colony needs it delays swarming. See also: dividing a colony.",
    ),
    _page(
        "division",
        "Prevention: dividing a colony",
        "Whoever divides a colony by hand, the old queen in one half, has done what the swarm would have done.",
    ),
    _page(
        "inspection",
        "Prevention: inspection every week",
        "A queen cell is sealed after nine days, so that an inspection every week finds it in time. "
        "See also: signs of swarming.",
    ),
]


def search(query: str, limit: int) -> list[Page]:
    """Return the pages that have most words of the query, best first."""
    wanted = _words(query)
    scored = [(len(wanted & _words(f"{page.title} {page.text}")), page) for page in PAGES]
    found = sorted((one for one in scored if one[0] >= 2), key=lambda one: -one[0])
    return [page for _, page in found[:limit]]


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z]+", text.lower()) if len(word) > 2}
