"""Holdups: a run as people look at it, with what it waits for in words, also where that is the gate.

The web and the CLI call it. The gate is a hint: where it does not answer, nothing is said of it.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from celeriac.platform.durable.reads import Reads, RunView
from celeriac.platform.flow.gate import Gate, Holdup, Reason

log = logging.getLogger(__name__)

_WORDS: dict[Reason, str] = {
    "running": "one of the tenant's running links to end",
    "starts": "a start of the tenant, which has used them up",
    "noisy": "a place, as the last ones are kept for tenants that have fewer",
    "room": "a worker with room for it",
    "turn": "its turn",
}


def view_with_holdup(reads: Reads, gate: Gate, tenant_id: str, run_id: str, *, is_paused: bool = False) -> RunView:
    """Return one run as `Reads.view` does, and of a queued one why it does not start yet; raise `NotFoundError`.

    `is_paused` says of the tenant that nothing of it may start.
    """
    view = reads.view(tenant_id, run_id)
    if view.run.status != "queued":
        return view
    if is_paused:
        return replace(view, waiting_for="queued: its tenant is paused")
    try:
        holdup = gate.explain(run_id)
    except Exception as error:  # noqa: BLE001  # the gate is a hint, whatever breaks in it
        log.warning("The gate does not answer about run %s: %s", run_id, error)
        return view
    return view if holdup is None else replace(view, waiting_for=_in_words(holdup))


def _in_words(holdup: Holdup) -> str:
    match holdup.reason:
        case "pool":
            words = f"a place in the concurrency limit of {_owner(holdup.name)}"
        case "pace":
            words = f"its turn in the throttle of {_owner(holdup.name)}"
        case other:
            words = _WORDS[other]
    if holdup.until is not None:
        words = f"{words}, at {holdup.until:%Y-%m-%d %H:%M:%S} UTC or later"
    return f"queued: waits for {words}"


def _owner(name: str | None) -> str:
    """Return whose limit it is: its name begins with the scope and the owner."""
    scope, owner, *_ = [*(name or "").split(":"), ""]
    return "the tenant" if scope == "tenant" else f"{'app' if scope == 'app' else 'function'} {owner}"
