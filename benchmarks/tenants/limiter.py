"""T7: the limit on API requests lets through exactly what it says, and its Retry-After is true."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.tenants.at_once import all_at_once
from benchmarks.tenants.client import Client
from benchmarks.tenants.recipe import Outcome, Setting, at_least, at_most
from benchmarks.tenants.site import Member, site_on
from celeriac.tenants.quotas import Limits

RATE, BURST = 50.0, 20
WEBS, CLIENTS_OF_EACH = 2, 4
#: a bucket so slow that coming back early shows: a token every 1.4 seconds
SLOW = Limits(api_requests_per_second=0.7, api_burst=1)

_PATH = "/v1/runs?limit=1"


@dataclass(frozen=True, kw_only=True)
class _Rush:
    """What came of clients that ask without pause."""

    asked: int
    admitted: int
    seconds: float

    @property
    def allowed(self) -> float:
        """The most that the bucket may have given."""
        return BURST + RATE * self.seconds


def limiter_truth(setting: Setting) -> Outcome:
    """Four clients on each of two webs ask without pause; then eight sleep exactly as long as they are told."""
    seconds, trials = (5.0, 2) if setting.is_quick else (20.0, 13)
    with site_on(setting.servers) as site:
        site.start_web(WEBS)
        [first, member] = site.add_tenants(2, Limits(api_requests_per_second=RATE, api_burst=BURST), kind="api")
        _rush(site.urls, first, 0.5)  # buckets are empty when the first of them is made; this member's is full then
        time.sleep(0.5)
        rush = _rush(site.urls, member, seconds)
        patient = site.add_tenants(8, SLOW, kind="api")
        honest = _share_of_successes(site.urls, patient, trials, sleeps=1.0)
        hasty = _share_of_successes(site.urls, patient, 2, sleeps=0.4)
    control = _with_a_bucket_each(setting, min(seconds, 5.0))
    return Outcome(
        figures={
            "admitted": rush.admitted,
            "over_allowed": rush.admitted - rush.allowed,
            "share_of_allowed": rush.admitted / rush.allowed,
            "retry_after_succeeds": honest,
            "asked": rush.asked,
            "seconds": rush.seconds,
        },
        bounds=(
            at_most("over_allowed", 0),
            at_least("share_of_allowed", 0.9 if setting.is_quick else 0.97),
            at_least("retry_after_succeeds", 0.99),
        ),
        control={"share_of_allowed": control.admitted / control.allowed, "too_early_succeeds": hasty},
        control_bounds=(at_least("share_of_allowed", 1.3), at_most("too_early_succeeds", 0.5)),
    )


def _with_a_bucket_each(setting: Setting, seconds: float) -> _Rush:
    """The control arm: each web process counts for itself, as one with a Redis of its own does."""
    with site_on(setting.servers) as site:
        site.start_web()
        site.start_web(CELERIAC_REDIS_URL=setting.servers.redis_url.removesuffix("/0") + "/1")
        [member] = site.add_tenants(1, Limits(api_requests_per_second=RATE, api_burst=BURST), kind="api")
        return _rush(site.urls, member, seconds)


def _rush(urls: Sequence[str], member: Member, seconds: float) -> _Rush:
    asked, admitted = [], []
    moments: list[float] = []
    began = time.monotonic()

    def ask(url: str) -> None:
        with Client(url, member.key) as client:
            while time.monotonic() < began + seconds:
                asked.append(1)
                if client.get(_PATH).status == 200:
                    admitted.append(1)
                moments.append(time.monotonic())

    all_at_once([partial(ask, url) for url in urls for _ in range(CLIENTS_OF_EACH)])
    return _Rush(asked=len(asked), admitted=len(admitted), seconds=max(moments) - began)


def _share_of_successes(urls: Sequence[str], members: Sequence[Member], trials: int, *, sleeps: float) -> float:
    """Return which share of requests succeed that come after `sleeps` times the Retry-After of a refusal."""
    results: list[bool] = []

    def come_back(url: str, member: Member) -> None:
        with Client(url, member.key) as client:
            for _ in range(trials):
                reply = client.get(_PATH)
                while reply.status == 200:
                    reply = client.get(_PATH)
                if reply.status != 429 or reply.retry_after is None:
                    raise RuntimeError(f"Refused with {reply.status}, Retry-After {reply.retry_after}: {reply.body}")
                time.sleep(reply.retry_after * sleeps)
                results.append(client.get(_PATH).status == 200)

    all_at_once([partial(come_back, urls[number % len(urls)], member) for number, member in enumerate(members)])
    return sum(results) / len(results)
