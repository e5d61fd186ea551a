"""Reach: whoever asks makes no key that may do more than they may, nor one that outlives their own.

The API, the dashboard and replays ask here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from celeriac.tenants.roles import beyond_reach, scopes_of
from celeriac.web.auth import caller
from celeriac.web.problems import Problem


def beyond_caller(kind: str, scopes: Iterable[str] | None) -> frozenset[str]:
    """Return what such a key might do that whoever asks may not give to it."""
    return beyond_reach(scopes_of(kind, scopes), caller().permissions)


def outlives_caller(ends_at: datetime | None) -> bool:
    """Say whether a key that ends then (None: never) is good for longer than the key that asks; people end never."""
    own = caller().ends_at
    return own is not None and (ends_at is None or ends_at > own)


def check_reach(kind: str, scopes: Iterable[str] | None, ends_at: datetime | None) -> None:
    """Raise `Problem` where whoever asks may not make such a key, or a successor of such a one."""
    if beyond := beyond_caller(kind, scopes):
        what = ", ".join(sorted(beyond))
        raise Problem(403, "access_denied", f"You may make no key that may do more than yourself; leave out: {what}")
    if outlives_caller(ends_at):
        until = f"{caller().ends_at:%Y-%m-%d %H:%M} UTC"
        raise Problem(403, "access_denied", f"Your key ends at {until}; it may make none that is good for longer")
