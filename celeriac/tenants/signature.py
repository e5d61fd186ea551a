"""Signatures: how a body says in a header who sent it and when, `t=<unix seconds>,v1=<HMAC-SHA256 in hex>`.

What is signed is the time, a dot and the body, byte by byte; the key is the whole text of a signing key. A header holds
one `v1` for each key, so that a receiver may know the old one or the new one while they overlap. Pure: `signing.py`
knows the keys and the time. Nothing here may show a key.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

#: the header that carries a signature
HEADER = "Celeriac-Signature"

#: how far the clock of the sender may be from ours, and so how long what was overheard may be sent again
TOLERANCE = timedelta(minutes=5)

_LONGEST_HEADER, _MOST_SIGNATURES = 4_096, 32
_TIME = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")

#: why a signature is none: not as the header is written; too long ago, or ahead; made with no key of these, or with one
#: that may not sign events
Fault = Literal["malformed", "untimely", "unknown", "not_for_events"]


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key that signs."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a signature comes to: the key that made it, or what is wrong with it."""

    key_id: str | None = None
    fault: Fault | None = None


def signature(body: bytes, keys: Sequence[SigningKey], at: datetime) -> str:
    """Return the header by which each of the keys signs the body at this time."""
    time = str(int(at.timestamp()))
    return ",".join([f"t={time}", *(f"v1={_signed(time, body, key)}" for key in keys)])


def check_signature(body: bytes, header: str, keys: Sequence[SigningKey], at: datetime) -> Verdict:
    """Judge a header that came with a body at this time; how long that takes tells nothing of a signature.

    Parts of other names are passed over, so that there may be a `v2` one day.
    """
    parts = _parts(header)
    if parts is None:
        return Verdict(fault="malformed")
    time, given = parts
    if abs(int(at.timestamp()) - int(time)) > TOLERANCE.total_seconds():
        return Verdict(fault="untimely")
    for key in keys:
        expected = _signed(time, body, key)
        if any(hmac.compare_digest(expected, one) for one in given):
            return Verdict(key_id=key.id)
    return Verdict(fault="unknown")


def _parts(header: str) -> tuple[str, list[str]] | None:
    """Return the time as it was written, and the signatures; None where the header is none."""
    if len(header) > _LONGEST_HEADER:
        return None
    named = list(_named(header))
    times = [value for name, value in named if name == "t"]
    given = [value for name, value in named if name == "v1"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not 0 < len(given) <= _MOST_SIGNATURES:
        return None
    return (times[0], given) if all(_SIGNATURE.fullmatch(one) for one in given) else None


def _named(header: str) -> Iterator[tuple[str, str]]:
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        yield name, value


def _signed(time: str, body: bytes, key: SigningKey) -> str:
    mac = hmac.new(key.secret.encode(), time.encode() + b".", "sha256")
    mac.update(body)
    return mac.hexdigest()
