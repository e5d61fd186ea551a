"""The senders: quiet tenants, each by chance about so many times a second, and a noisy one that posts all at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from types import TracebackType
from typing import Any, Literal, Self

from benchmarks.tenants.client import Client
from benchmarks.tenants.site import Member
from benchmarks.tenants.workload import SHARDS

#: over what the noisy tenant spreads its runs
Shape = Literal["one", "keys", "functions", "users"]


@dataclass(frozen=True, kw_only=True)
class Durations:
    """How long the steps are: drawn from a lognormal distribution, or all alike where `sigma` is 0."""

    median: float
    sigma: float = 0.0

    def draw(self, chance: random.Random) -> float:
        """Return the seconds of one step."""
        return chance.lognormvariate(log(self.median), self.sigma)


class Crowd:
    """Quiet tenants that post while the block lasts, each from a thread of its own; equal seeds, equal times."""

    def __init__(self, url: str, members: Sequence[Member], durations: Durations, *, rate: float) -> None:
        """Post to one web process, `rate` times a second for each member."""
        self._url, self._durations, self._rate = url, durations, rate
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._post, args=(member, number), daemon=True)
            for number, member in enumerate(members)
        ]
        self.errors: list[Exception] = []

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and raise what a sender met."""
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        if self.errors and error is None:
            raise self.errors[0]

    def _post(self, member: Member, seed: int) -> None:
        chance = random.Random(seed)
        due = time.monotonic()
        try:
            with Client(self._url, member.key) as client:
                while True:
                    due += chance.expovariate(self._rate)
                    if self._stop.wait(max(0.0, due - time.monotonic())):
                        return
                    client.events({"name": "crowd/sleep", "data": {"seconds": self._durations.draw(chance)}})
        except Exception as error:  # noqa: BLE001  # the recipe raises it
            self.errors.append(error)


def burst(url: str, member: Member, shape: Shape, count: int, durations: Durations) -> Callable[[], None]:
    """Post `count` runs at once from a thread; return what waits until all are accepted.

    In one request, but for the users, of whom each posts a share of the runs at the same time as the others.
    """
    chance = random.Random(7)
    events = [_event(shape, number, durations.draw(chance)) for number in range(count)]
    parts = [events[number::SHARDS] for number in range(SHARDS)] if shape == "users" else [events]
    errors: list[Exception] = []

    def post(part: list[dict[str, Any]]) -> None:
        try:
            with Client(url, member.key) as client:
                client.events(part)
        except Exception as error:  # noqa: BLE001  # raised by whoever waits
            errors.append(error)

    threads = [threading.Thread(target=post, args=(part,), daemon=True) for part in parts if part]
    for thread in threads:
        thread.start()

    def wait() -> None:
        for thread in threads:
            thread.join(120)
        if errors:
            raise errors[0]

    return wait


def _event(shape: Shape, number: int, seconds: float) -> dict[str, Any]:
    shard = number % SHARDS
    name = {"one": "crowd/sleep", "functions": f"crowd/sleep.{shard}"}.get(shape, "crowd/keyed")
    return {"name": name, "data": {"seconds": seconds, "key": f"{shape}-{shard}"}}
