"""The target: a URL read strictly, and built anew from its parts, so that nobody later on can read it otherwise.

Pure. Refuses what is written in order to be misread (a user before the host, numbers that are addresses in disguise,
line breaks); where the host leads to is checked when it is connected to (`address.py`).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

from yarl import URL

from celeriac.errors import FetchRefused
from celeriac.platform.fetching.address import CLOSED_PORTS

_LONGEST = 8_000
_SHAPE = re.compile(r"(?i:(https?)://)([^/?#]*)(.*)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}(?=:)")
#: control characters and backslashes, which readers of URLs drop or turn each in their own way
_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_PLAIN = re.compile(r"[\x21-\x7e]*")
_NAME = re.compile(r"(?=.{1,254}$)[a-z0-9_]([a-z0-9_-]{0,62})?(\.[a-z0-9_]([a-z0-9_-]{0,62})?)*\.?")
#: hosts whose last part is a number are addresses to somebody: 2130706433, 0x7f.1, 127.1, 0177.0.0.1
_NUMERIC = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?")


def target(text: str) -> URL:
    """Return the URL in the one form in which it is checked and used; raise `FetchRefused` for what is none.

    Escapes of path and query stay as they were written (signed URLs depend on them); a fragment is dropped.
    """
    if len(text) > _LONGEST:
        raise FetchRefused(f"The URL has {len(text)} characters; the limit is {_LONGEST}")
    if _AMBIGUOUS.search(text):
        raise FetchRefused("The URL has a control character or a backslash; escape it with %")
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        scheme = _SCHEME.match(text)
        raise FetchRefused(f"A URL begins with http:// or https://{f', not {scheme[0]}:' if scheme else ''}")
    authority, rest = shape[2], shape[3]
    if "@" in authority:
        raise FetchRefused("The URL names a user before the host; send credentials in an Authorization header")
    try:
        loose = URL(text)
        host, port = loose.raw_host or "", loose.port
        exact = URL(f"http://host{rest}", encoded=True) if _PLAIN.fullmatch(rest) else loose
    except ValueError as error:  # UnicodeError is one
        raise FetchRefused(f"The URL's host or port cannot be read: {authority[:100]!r}") from error
    _check_host(host)
    if port is None or port in CLOSED_PORTS:
        raise FetchRefused(f"Port {port} of {host!r} is not one of HTTP")
    place = f"[{host}]" if ":" in host else host
    shown_port = "" if loose.is_default_port() else f":{port}"
    query = f"?{exact.raw_query_string}" if exact.raw_query_string else ""
    return URL(f"{loose.scheme}://{place}{shown_port}{exact.raw_path or '/'}{query}", encoded=True)


def _check_host(host: str) -> None:
    try:
        if ":" in host:
            IPv6Address(host)
            is_good = "%" not in host
        elif _NUMERIC.fullmatch(host):
            is_good = str(IPv4Address(host)) == host
        else:
            is_good = _NAME.fullmatch(host) is not None
    except ValueError:
        is_good = False
    if not is_good:
        raise FetchRefused(f"{host[:100]!r} is no host; write a name, 192.0.2.1 or [2001:db8::1]")
