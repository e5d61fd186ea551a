"""Encryption at rest: AES-GCM under keys of the operator's, of which the first encrypts and all decrypt.

`secrets.py` keeps what it makes. Whatever is encrypted is bound to a place (whose it is, and what it is called), so
that a row which is copied to another place does not open there. Nothing here may show a key or what was encrypted.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from celeriac.errors import ConfigError

#: AES-256, and the nonce of GCM
KEY_BYTES, NONCE_BYTES = 32, 12

_ID = re.compile(r"[A-Za-z0-9_.-]{1,32}")

_HOW = "write CELERIAC_ENCRYPTION_KEYS as id:base64, the newest first; `celeriac secrets new-key` makes one"


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What was encrypted: the id of the key, and the nonce with what follows it."""

    key_id: str
    box: bytes = field(repr=False)


class Cipher:
    """Encrypts and decrypts; safe to share between threads."""

    def __init__(self, setting: str) -> None:
        """Take the keys as the setting writes them; raise `ConfigError` for what cannot be used."""
        self._keys = dict(_parsed(one.strip(), place) for place, one in enumerate(setting.split(","), 1) if one.strip())

    def __repr__(self) -> str:
        """Show the ids alone."""
        return f"Cipher({', '.join(self._keys) or 'no keys'})"

    @property
    def key_ids(self) -> Sequence[str]:
        """The ids of the keys, the one that encrypts first."""
        return list(self._keys)

    def seal(self, text: str, place: Sequence[str]) -> Sealed:
        """Encrypt a text for its place; raise `ConfigError` where there is no key."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if not self._keys:
            raise ConfigError(f"No key encrypts secrets: {_HOW}")
        key_id, key = next(iter(self._keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        return Sealed(key_id=key_id, box=nonce + AESGCM(key).encrypt(nonce, text.encode(), _bound(place)))

    def open(self, sealed: Sealed, place: Sequence[str]) -> str:
        """Decrypt; raise `ConfigError` where the key is gone, or the box was changed or belongs to another place."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._keys.get(sealed.key_id)
        if key is None:
            raise ConfigError(f"Secret {place[-1]!r} needs the encryption key {sealed.key_id!r}, which is gone: {_HOW}")
        try:
            nonce, box = sealed.box[:NONCE_BYTES], sealed.box[NONCE_BYTES:]
            return AESGCM(key).decrypt(nonce, box, _bound(place)).decode()
        except (InvalidTag, ValueError) as error:
            raise ConfigError(
                f"Secret {place[-1]!r} does not open: its row or its key was changed; set it anew"
            ) from error


def new_key(key_id: str) -> str:
    """Make a key as the setting writes it; raise `ConfigError` for an id that is none."""
    if not _ID.fullmatch(key_id):
        raise ConfigError(f"{key_id!r} is no id of a key; use up to 32 letters, digits, dots, dashes, underscores")
    return f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


def _parsed(one: str, place: int) -> tuple[str, bytes]:
    key_id, _, text = one.partition(":")
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _ID.fullmatch(key_id) or len(key) != KEY_BYTES:
        raise ConfigError(f"Encryption key {place} is no id with {KEY_BYTES} bytes in base64; {_HOW}")
    return key_id, key


def _bound(place: Sequence[str]) -> bytes:
    """Return a place so that no two are written alike."""
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in place)
