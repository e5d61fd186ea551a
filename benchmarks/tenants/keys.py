"""A revoked key: how long any web process still takes it."""

from __future__ import annotations

import threading
import time

from benchmarks.tenants.client import Client
from benchmarks.tenants.recipe import Outcome, Setting, at_most, exactly
from benchmarks.tenants.site import Site, site_on

WEBS = 2
_PATH = "/v1/runs?limit=1"
_EVERY = 0.01


def revoked_keys(setting: Setting) -> Outcome:
    """Two web processes are asked with a key without pause; a third process revokes it."""
    rounds = 3 if setting.is_quick else 10
    with site_on(setting.servers) as site:
        site.start_web(WEBS)
        [kept] = site.add_tenants(1, kind="api")
        late = [_last_accepted(site, kept.tenant_id) for _ in range(rounds)]
        statuses = []
        for url in site.urls:
            with Client(url, kept.key) as client:
                statuses.append(client.get(_PATH).status)
    return Outcome(
        figures={"seconds": max(late), "rounds": rounds, "web_processes": WEBS},
        bounds=(at_most("seconds", 1.0),),
        control={"kept_key_refused": sum(status != 200 for status in statuses)},
        control_bounds=(exactly("kept_key_refused", 0),),
    )


def _last_accepted(site: Site, tenant_id: str) -> float:
    """Return the seconds from the revocation until the last request that was still accepted, on any of the webs."""
    key_id, key = site.fleet.rooms.keys.create(tenant_id, "api")[:2]
    accepted: list[float] = []
    stop = threading.Event()

    def ask(url: str) -> None:
        with Client(url, key) as client:
            while not stop.wait(_EVERY):
                if client.get(_PATH).status == 200:
                    accepted.append(time.monotonic())

    threads = [threading.Thread(target=ask, args=(url,), daemon=True) for url in site.urls for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    site.fleet.rooms.keys.revoke(key_id)
    revoked = time.monotonic()
    time.sleep(2.0)
    stop.set()
    for thread in threads:
        thread.join()
    if not accepted:
        raise RuntimeError("The key was never accepted; no figure is of worth")
    return max(0.0, max(accepted) - revoked)
