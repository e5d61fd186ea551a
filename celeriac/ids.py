"""Ids: each carries its kind (`run_…`, `evt_…`), sorts by time, and is safe in URLs.

A ULID behind a prefix; ids of things that must come to be only once are derived by hash instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from typing import Literal

Kind = Literal["run", "evt", "ten", "key", "wrk", "wai", "mem", "msg", "res", "thr"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(kind: Kind) -> str:
    """Make a fresh id; two made in different milliseconds sort by time."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return f"{kind}_{_encode(number)}"


def derived_id(kind: Kind, *parts: str) -> str:
    """Make the same id from the same parts, always: what is inserted under it is inserted once."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()
    return f"{kind}_{_encode(int.from_bytes(digest, 'big'))}"


def slug(name: str) -> str:
    """Return a name as part of an id: lower case, every run of other characters as one dash."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _encode(number: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -5, -5))
