"""Seals: what shows that a result which a client hands back is one that this platform gave out, unchanged.

Made and checked in the engine's process. A seal is an HMAC over the result, its tenant and its conversation, so that
it is worth nothing to another tenant or in another conversation. The key is derived from the installation's secret and
leaves this object in no form.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Self

from celeriac.platform.codec import canonical

#: the field of a result that has its seal
SEAL = "seal"

_VERSION = "1"


class Seals:
    """Seals results, and tells whether a seal is good."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """Seal with this key."""
        self._key = key

    @classmethod
    def of(cls, secret: str) -> Self | None:
        """Derive the key from the installation's secret; None where it has none."""
        return cls(hmac.digest(secret.encode(), b"celeriac.results", "sha256")) if secret else None

    def sealed(self, result: Mapping[str, Any], *, tenant_id: str, conversation: str) -> dict[str, Any]:
        """Return the result with its seal."""
        return {**result, SEAL: self._seal(result, tenant_id, conversation)}

    def is_sealed(self, result: Mapping[str, Any], *, tenant_id: str, conversation: str) -> bool:
        """Whether the result has the seal that it was given for this tenant and conversation."""
        given = result.get(SEAL)
        if not isinstance(given, str):
            return False
        bare = {name: value for name, value in result.items() if name != SEAL}
        try:
            wanted = self._seal(bare, tenant_id, conversation)
        except RecursionError:  # nothing that was given out is nested as deeply
            return False
        return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())

    def _seal(self, result: Mapping[str, Any], tenant_id: str, conversation: str) -> str:
        said = canonical([_VERSION, tenant_id, conversation, dict(result)])
        return f"{_VERSION}.{hmac.digest(self._key, said.encode('utf-8', 'surrogatepass'), 'sha256').hex()}"


def conversation_of(thread_id: str | None, network: str) -> str:
    """Return what a result is sealed for: the thread, or where there is none the network."""
    return f"network:{network}" if thread_id is None else f"thread:{thread_id}"
