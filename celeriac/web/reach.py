"""Reach: whoever asks makes no key that may do more than they may. The API, the dashboard and replays ask here."""

from __future__ import annotations

from collections.abc import Iterable

from celeriac.tenants.roles import beyond_reach, scopes_of
from celeriac.web.auth import caller
from celeriac.web.problems import Problem


def beyond_caller(kind: str, scopes: Iterable[str] | None) -> frozenset[str]:
    """Return what such a key might do that whoever asks may not give to it."""
    return beyond_reach(scopes_of(kind, scopes), caller().permissions)


def check_reach(kind: str, scopes: Iterable[str] | None) -> None:
    """Raise `Problem` where whoever asks may not make such a key."""
    if beyond := beyond_caller(kind, scopes):
        what = ", ".join(sorted(beyond))
        raise Problem(403, "access_denied", f"You may make no key that may do more than yourself; leave out: {what}")
