"""The text of a key: `cel_live_<id>_<secret><checksum>`. How it is made, read and hashed; `keys.py` keeps the rest.

Pure but for the randomness. Nothing here may log or raise with a key in the message.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(r"cel_live_([0-9A-Za-z]{10})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})")
_ID_LENGTH, _SECRET_LENGTH = 10, 32


@dataclass(frozen=True, kw_only=True)
class KeyText:
    """A key in the clear; it is shown once and never stored."""

    id: str
    plaintext: str

    @property
    def digest(self) -> str:
        """What is stored of it."""
        return digest(self.plaintext)


def new_key(seed: bytes | None = None) -> KeyText:
    """Make a key: a random one, or the one that belongs to the seed.

    The same seed makes the same key, so that a request that is sent again can be answered alike with nothing stored. A
    seed has to be secret and as hard to guess as a key.
    """
    if seed is None:
        key_id, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    else:
        key_id, secret = _derived(seed, b"id", _ID_LENGTH), _derived(seed, b"secret", _SECRET_LENGTH)
    return KeyText(id=key_id, plaintext=f"cel_live_{key_id}_{secret}{_checksum(key_id + secret)}")


def id_in(plaintext: str) -> str | None:
    """Return the id of the key that this text is; None for a malformed one, without a look-up."""
    parts = _KEY.fullmatch(plaintext)
    if parts is None or _checksum(parts[1] + parts[2]) != parts[3]:
        return None
    return parts[1]


def digest(plaintext: str) -> str:
    """Return what is stored of a key, and cannot be turned back."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _derived(seed: bytes, what: bytes, length: int) -> str:
    """Write 512 bits that the seed gives in base 62; what is left over of them is far more than the text holds."""
    number, text = int.from_bytes(hmac.digest(seed, b"celeriac.key." + what, "sha512"), "big"), ""
    for _ in range(length):
        number, place = divmod(number, len(_ALPHABET))
        text += _ALPHABET[place]
    return text


def _checksum(text: str) -> str:
    """Return the CRC-32 of the text in six characters, so that a mistyped key is known without a look-up."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, place = divmod(number, 62)
        digits = _ALPHABET[place] + digits
    return digits
