"""Redirects: which request follows an answer. Pure; each of its addresses is checked like the first one."""

from __future__ import annotations

from dataclasses import replace

from yarl import URL

from celeriac.errors import FetchRefused
from celeriac.platform.fetching.request import Request
from celeriac.platform.fetching.target import target

_REDIRECTS = (301, 302, 303, 307, 308)

#: what may be told to another origin: headers that name nobody. Any other one may be a credential
_HARMLESS = {"accept", "accept-encoding", "accept-language", "content-language", "content-type", "user-agent"}


def redirected(request: Request, status: int, location: str | None) -> Request | None:
    """Return the request that this answer asks for, or None where it is no redirect.

    Raises `FetchRefused` for a location that is none, and for one that gives up TLS.
    """
    if status not in _REDIRECTS or not location:
        return None
    here = target(request.url)
    try:
        there = target(str(here.join(URL(location, encoded=True))))
    except (ValueError, FetchRefused) as error:
        reason = error.message if isinstance(error, FetchRefused) else "it cannot be read"
        raise FetchRefused(f"{here.origin()} redirects to where no fetch goes. {reason}") from error
    if here.scheme == "https" and there.scheme == "http":
        raise FetchRefused(f"{here.origin()} redirects from https to http, which anybody on the way can read")
    drops_body = status == 303 or (status in (301, 302) and request.method == "POST")
    headers = dict(request.headers)
    if drops_body:
        headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
    if here.origin() != there.origin():
        headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
    if not drops_body:
        return replace(request, url=str(there), headers=headers)
    method = "HEAD" if request.method == "HEAD" else "GET"
    return replace(request, url=str(there), headers=headers, method=method, body=None)
