"""T12: fifty posters at the edge of a quota: exactly so many runs are accepted, and nothing is half there."""

from __future__ import annotations

import threading
import time
from functools import partial

from benchmarks.tenants.at_once import all_at_once
from benchmarks.tenants.backlog import tell_functions
from benchmarks.tenants.client import Client, Reply
from benchmarks.tenants.dwell import CONCURRENCY, WORKERS
from benchmarks.tenants.recipe import Outcome, Setting, at_least, exactly
from benchmarks.tenants.site import Member, Site, site_on
from celeriac.tenants.quotas import Limits

POSTERS, POSTS_OF_EACH, EVENTS_OF_A_POST = 50, 4, 3
#: no multiple of what one request brings, so that the last of them does not fit
QUOTA = 200
WEBS = 2


def quota_edge(setting: Setting) -> Outcome:
    """Single events against a quota on queued runs, and requests of three; no worker takes any of them away."""
    with site_on(setting.servers) as site:
        tell_functions(site)
        site.start_web(WEBS)
        single, by_three = (site.add_tenants(1, Limits(queued_runs=QUOTA))[0] for _ in range(2))
        [free] = site.add_tenants(1)
        one = _post(site, single, 1)
        three = _post(site, by_three, EVENTS_OF_A_POST)
        unlimited = _post(site, free, 1)
        came_true = _comes_true(site, single)
        honest = _share_of_successes(site, single)
    return Outcome(
        figures={
            **one,
            **{f"by_three_{name}": value for name, value in three.items()},
            "room_is_used": came_true,
            "retry_after_succeeds": honest,
        },
        bounds=(
            exactly("accepted", QUOTA),
            exactly("half_created", 0),
            exactly("other_answers", 0),
            exactly("without_retry_after", 0),
            exactly("by_three_accepted", QUOTA // EVENTS_OF_A_POST * EVENTS_OF_A_POST),
            exactly("by_three_half_created", 0),
            exactly("by_three_other_answers", 0),
            exactly("room_is_used", 1),
            at_least("retry_after_succeeds", 0.99),
        ),
        control={"accepted": unlimited["accepted"]},
        control_bounds=(at_least("accepted", QUOTA + 1),),
    )


def _post(site: Site, member: Member, events: int) -> dict[str, int]:
    """Let all posters post at once; return what was answered, and what stands in the database beside it."""
    replies: list[Reply] = []
    # as many events in all, however many a request brings
    posts = POSTS_OF_EACH * 2 // (events if events < POSTS_OF_EACH else POSTS_OF_EACH)

    def post(number: int) -> None:
        with Client(site.urls[number % len(site.urls)], member.key) as client:
            for _ in range(max(1, posts)):
                body = [{"name": "crowd/sleep", "data": {"seconds": 0}}] * events
                replies.append(client.post("/v1/events", body))

    all_at_once([partial(post, number) for number in range(POSTERS)])
    accepted = sum(len(reply.body["data"]) for reply in replies if reply.status == 202)
    refused = [reply for reply in replies if reply.status == 429 and reply.body.get("code") == "quota_exceeded"]
    [[runs]] = site.fleet.query("SELECT count(*) FROM runs WHERE tenant_id = ?", member.tenant_id)
    [[kept]] = site.fleet.query("SELECT count(*) FROM events WHERE tenant_id = ?", member.tenant_id)
    return {
        "accepted": accepted,
        "refused": len(refused),
        "other_answers": sum(reply.status not in (202, 429) for reply in replies)
        + sum(reply.status == 429 for reply in replies)
        - len(refused),
        "half_created": abs(int(runs) - accepted) + abs(int(kept) - accepted),
        "without_retry_after": sum(reply.retry_after is None for reply in refused),
    }


def _share_of_successes(site: Site, member: Member) -> float:
    """Let workers take the runs, and posters sleep as they were told; return which share of them is accepted then."""
    successes: list[bool] = []
    event = {"name": "crowd/sleep", "data": {"seconds": 0}}

    def come_back(number: int) -> None:
        with Client(site.urls[number % len(site.urls)], member.key) as client:
            refused = client.post("/v1/events", event)
            if refused.status != 429 or refused.retry_after is None:
                raise RuntimeError(f"A full quota answered {refused.status}: {refused.body}")
            everyone.wait()
            site.wait_for_first([member.tenant_id])
            time.sleep(refused.retry_after)
            successes.append(client.post("/v1/events", event).status == 202)

    everyone = threading.Barrier(20, action=lambda: site.fleet.start_workers(WORKERS, CONCURRENCY))
    all_at_once([partial(come_back, number) for number in range(20)])
    return sum(successes) / len(successes)


def _comes_true(site: Site, member: Member) -> int:
    """Raise the quota by one; return how many more are taken then."""
    site.fleet.rooms.tenants.set_limits(member.tenant_id, Limits(queued_runs=QUOTA + 1))
    time.sleep(1.2)  # limits are known everywhere within a second
    event = {"name": "crowd/sleep", "data": {"seconds": 0}}
    with Client(site.urls[0], member.key) as client:
        return [client.post("/v1/events", event).status for _ in range(3)].count(202)
