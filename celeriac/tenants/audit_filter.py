"""The audit filter: which entries of an audit log somebody means.

A value that the API, the CLI and the dashboard make; `audit.py` reads by it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from celeriac.errors import ConfigError

_ACTION = re.compile(r"[a-z_]{1,50}\.[a-z_]{0,50}")


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which entries are meant; everything left out matches. Raises `ConfigError` for what no entry can match."""

    #: an action, or, with a dot at its end, all that begin with it
    action: str | None = None
    actor: str | None = None
    subject: str | None = None
    #: written at this time or later
    since: datetime | None = None
    #: written before this time
    until: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what can never match."""
        if self.action is not None and not _ACTION.fullmatch(self.action):
            raise ConfigError(f"{self.action[:100]!r} is no action; write key.revoked, or key. for all that begin so")
        if self.since and self.until and self.since >= self.until:
            raise ConfigError("Nothing was written after that and before this; give since the earlier time")
