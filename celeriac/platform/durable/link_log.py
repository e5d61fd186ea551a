"""The log of links: one line for each that ended; only failures by default, and never what user code said."""

from __future__ import annotations

import logging

from celeriac.platform.durable.execution import Outcome
from celeriac.platform.durable.store import Claim

log = logging.getLogger(__name__)


def log_end(claim: Claim, outcome: Outcome) -> None:
    """Log how a link ended."""
    level = logging.WARNING if outcome.cause == "failed" else logging.DEBUG
    fields = {"tenant_id": claim.run.tenant_id, "run_id": claim.run.id, "function_id": claim.run.function_id}
    words = (claim.run.id, claim.run.tenant_id, claim.run.links, outcome.cause, outcome.error_code or "")
    log.log(level, "Run %s of tenant %s, link %d: %s %s", *words, extra=fields)
