"""The files in `data/`: the banking77 queries. The classifier learns from them and the tickets are drawn from them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a customer wrote, and the intent that people gave it."""

    text: str
    intent: str


def read_queries(part: Literal["train", "test"]) -> list[Query]:
    """Read one part of banking77, in the order of the file."""
    with (DATA / f"{part}.csv").open(newline="", encoding="utf-8") as file:
        return [Query(text=" ".join(row["text"].split()), intent=row["category"]) for row in csv.DictReader(file)]
