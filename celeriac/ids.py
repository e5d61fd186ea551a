"""Ids: each carries its kind (`run_…`, `evt_…`), sorts by time, and is safe in URLs.

A ULID behind a prefix; ids of things that must come to be only once are derived by hash instead.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import time
from base64 import b32hexencode
from itertools import count
from typing import Literal

Kind = Literal[
    "run", "evt", "ten", "key", "wrk", "wai", "mem", "msg", "res", "thr", "blk", "aud", "usr", "inv", "sec", "apr"
]

_ALPHABET = str.maketrans("ABCDEFGHIJKLMNOPQRSTUV", "ABCDEFGHJKMNPQRSTVWXYZ")

#: this process's own randomness: asking the system for each id costs more than all the rest of it
_random = random.Random()
_process = ""
_marks = count()


def _begin_process() -> None:
    """Be unlike any other process, the one that forked this among them."""
    global _process  # one a process
    _random.seed(os.urandom(32))
    _process = os.urandom(12).hex()


_begin_process()
os.register_at_fork(after_in_child=_begin_process)


def new_id(kind: Kind) -> str:
    """Make a fresh id; two made in different milliseconds sort by time."""
    number = (time.time_ns() // 1_000_000) << 80 | _random.getrandbits(80)
    return f"{kind}_{_encode(number)}"


def new_mark() -> str:
    """Make a text that nobody else makes; it says nothing, and costs less than an id."""
    return f"{_process}{next(_marks):x}"


def derived_id(kind: Kind, *parts: str) -> str:
    """Make the same id from the same parts, always: what is inserted under it is inserted once."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()
    return f"{kind}_{_encode(int.from_bytes(digest, 'big'))}"


def slug(name: str) -> str:
    """Return a name as part of an id: lower case, every run of other characters as one dash."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _encode(number: int) -> str:
    """Write 128 bits as 26 characters that sort as the number does (Crockford's base 32)."""
    return b32hexencode((number << 6).to_bytes(17, "big"))[:26].decode().translate(_ALPHABET)
